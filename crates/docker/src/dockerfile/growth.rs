//! How long an instruction becomes when the builder puts variables in: it does so in the Engine's own memory, and a
//! variable made of ten others ten times over fills it.
//!
//! Must never: take a size for smaller than it can be.

use std::collections::BTreeMap;

use super::{DockerfileRefusal, words};

/// The longest that one instruction may become, in bytes.
const INSTRUCTION_BYTES_MAX: usize = 4 << 20;
/// What all instructions may become together, in bytes.
const ALL_BYTES_MAX: usize = 64 << 20;
/// The longest variable of an image that others build on, in bytes: every variable is taken for as long at least. The
/// kernel takes none of twice this length.
pub const VARIABLE_BYTES_MAX: usize = 64 << 10;

/// Instructions in which the builder puts variables in. In `RUN` and `CMD` the shell does.
const EXPANDED: [&str; 11] =
    ["ADD", "ARG", "COPY", "ENV", "EXPOSE", "FROM", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"];

/// The lengths of the variables so far, each the longest that it ever was.
#[derive(Debug, Clone, Default)]
pub(super) struct Growth {
    known: BTreeMap<String, usize>,
    /// The longest that was set under a name which a variable chose.
    anywhere: usize,
    all: usize,
}

impl Growth {
    /// Counts one instruction, and remembers what it sets.
    pub(super) fn take(
        &mut self,
        name: &str,
        rest: &str,
        build_args: &BTreeMap<String, Option<String>>,
    ) -> Result<(), DockerfileRefusal> {
        if EXPANDED.binary_search(&name).is_err() {
            return Ok(());
        }
        let bytes = self.expanded(rest);
        self.all = self.all.saturating_add(bytes);
        if bytes > INSTRUCTION_BYTES_MAX || self.all > ALL_BYTES_MAX {
            return Err(DockerfileRefusal::new(format!(
                "{name} becomes too long when its variables are put in; a build's instructions are at most {} MiB each \
                 and {} MiB together",
                INSTRUCTION_BYTES_MAX >> 20,
                ALL_BYTES_MAX >> 20
            )));
        }
        if matches!(name, "ENV" | "ARG") {
            self.set(rest, build_args);
        }
        Ok(())
    }

    /// `KEY=VALUE …`, `KEY VALUE`, or `KEY` alone.
    fn set(&mut self, rest: &str, build_args: &BTreeMap<String, Option<String>>) {
        let words = words::split(rest);
        let pairs = words.first().is_some_and(|word| word.contains('='));
        if !pairs && words.len() > 1 {
            let bytes = self.expanded(rest);
            self.remember(&words[0], bytes);
            return;
        }
        for word in &words {
            let key = word.split_once('=').map_or(word.as_str(), |(key, _)| key);
            let given = build_args.get(key).and_then(Option::as_ref).map_or(0, String::len);
            let bytes = self.expanded(word).max(given);
            self.remember(key, bytes);
        }
    }

    fn remember(&mut self, key: &str, bytes: usize) {
        if key.contains(['$', '"', '\'', '\\', '`']) {
            self.anywhere = self.anywhere.max(bytes);
        } else {
            let known = self.known.entry(key.to_owned()).or_insert(0);
            *known = (*known).max(bytes);
        }
    }

    /// The most bytes that a text becomes.
    fn expanded(&self, text: &str) -> usize {
        let references = text.split('$').skip(1).map(|after| {
            let after = after.strip_prefix('{').unwrap_or(after);
            let name = words::name_at_start(after);
            // The image may have one of the same name, which holds where the Dockerfile's own is of another stage.
            self.known.get(name).copied().unwrap_or(0).max(self.anywhere).max(VARIABLE_BYTES_MAX)
        });
        references.fold(text.len(), usize::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(lines: &[String]) -> Result<(), String> {
        let text = format!("FROM base\n{}\n", lines.join("\n"));
        super::super::read(text.as_bytes(), &BTreeMap::from([("GIVEN".to_owned(), Some("x".repeat(60_000)))]))
            .map(drop)
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn the_list_can_be_searched() {
        assert!(EXPANDED.is_sorted());
    }

    #[test]
    fn variables_of_variables_do_not_fill_the_memory() {
        let chain = |first: &str, form: &dyn Fn(char, char) -> String| {
            let names: Vec<char> = ('A'..='K').collect();
            let mut lines = vec![first.to_owned()];
            lines.extend(names.windows(2).map(|pair| form(pair[0], pair[1])));
            lines
        };
        let ten = |from: char| format!("${{{from}}}").repeat(10);
        for lines in [
            chain("ENV A=xxxxxxxxxx", &|from, to| format!("ENV {to}={}", ten(from))),
            chain("ENV A xxxxxxxxxx", &|from, to| format!("ENV {to} {}", ten(from))),
            chain("ARG A=xxxxxxxxxx", &|from, to| format!("ARG {to}=\"{}\"", ten(from))),
            chain("ENV A=xxxxxxxxxx", &|from, to| format!("ONBUILD ENV {to}={}", ten(from))),
            chain("ENV A=xxxxxxxxxx", &|from, to| {
                format!("ENV {to}={}", format!("${{NONE:-${from}}}").repeat(10))
            }),
            chain("ENV K=L A=xxxxxxxxxx", &|from, to| format!("ENV $K=x {to}={}", ten(from))),
            vec!["ARG GIVEN".to_owned(), format!("LABEL a={}", "$GIVEN".repeat(100))],
            vec![format!("LABEL a={}", "$FROM_THE_IMAGE".repeat(100))],
            vec![
                "ENV N=L".to_owned(),
                format!("ENV $N={}", "x".repeat(70_000)),
                format!("LABEL a={}", "$L".repeat(90)),
            ],
        ] {
            let refusal = judged(&lines).expect_err(&lines[lines.len() - 1]);
            assert!(refusal.contains("becomes too long"), "{refusal}");
        }
    }

    #[test]
    fn ordinary_files_are_far_from_it() {
        let mut lines = vec![
            "ARG VERSION=1.2 PYTHON".to_owned(),
            "ENV PATH=/opt/conda/bin:$PATH LD_LIBRARY_PATH=/usr/lib:${LD_LIBRARY_PATH:-/lib}".to_owned(),
            "LABEL version=$VERSION maintainer=\"a b\" python=${PYTHON}".to_owned(),
        ];
        for step in 0..60 {
            lines.push(format!("ENV STEP_{step}=/opt/$VERSION/{step} PATH=$PATH:/opt/{step}"));
            lines.push(format!("COPY --chown=me file-$VERSION $HOME/{step}/"));
            lines.push(format!("RUN for i in $(seq 9); do echo $i ${{A}} ${{B}} {step}; done"));
            lines.push(format!("WORKDIR $HOME/{step}"));
        }
        assert_eq!(judged(&lines), Ok(()));
    }
}
