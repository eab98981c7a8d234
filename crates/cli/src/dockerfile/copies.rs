//! What a Dockerfile takes from its own context: the sources of `COPY` and `ADD`.

use std::collections::BTreeSet;

use super::{Dockerfile, words};

/// What a build takes from its context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Copied {
    /// Files and directories by name, `*` and `?` in them as the builder reads them. None at all is common.
    These(BTreeSet<String>),
    /// It cannot be told before the build: variables, or words that are no list.
    Anything,
}

impl Dockerfile {
    /// What a build of it takes from its context.
    pub(crate) fn copied(&self) -> Copied {
        let mut sources = BTreeSet::new();
        for piece in &self.pieces {
            let found = match piece.instruction.as_deref() {
                Some("COPY" | "ADD") => self.sources(&piece.text),
                // What is run when somebody builds on the image is not copied now.
                _ => Some(Vec::new()),
            };
            match found {
                Some(found) => sources.extend(found),
                None => return Copied::Anything,
            }
        }
        Copied::These(sources)
    }

    /// The sources of one instruction; `None`: they cannot be told.
    fn sources(&self, text: &str) -> Option<Vec<String>> {
        let all: Vec<String> =
            words::plain(text, self.escape).into_iter().skip(1).map(|word| word.text).collect();
        let flags = all.iter().take_while(|word| word.starts_with("--")).count();
        if all[..flags].iter().any(|flag| flag.starts_with("--from=")) {
            return Some(Vec::new());
        }
        let named = &all[flags..];
        let named = match named.first() {
            Some(first) if first.starts_with('[') => serde_json::from_str(&named.join(" ")).ok()?,
            _ => named.to_vec(),
        };
        let (_, sources) = named.split_last()?;
        let unclear =
            |source: &String| source.contains(['$', '"', '\'', '\\', '[']) || source.starts_with("<<");
        (!sources.iter().any(unclear)).then(|| sources.to_vec())
    }
}
