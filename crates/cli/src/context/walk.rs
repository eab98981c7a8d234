//! Which files a build takes: those that a `COPY` names, without those of `.dockerignore`.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::path::Path;

use super::ignore::{Patterns, clean, fits_or_holds};
use super::{ContextError, Entry};
use crate::dockerfile::Copied;

/// All that `copied` means below `directory`. What is not there is left to the builder to complain of.
pub(super) fn entries(
    directory: &Path,
    copied: &Copied,
    ignored: &Patterns,
) -> Result<Vec<Entry>, ContextError> {
    let wanted = match copied {
        Copied::These(sources) => wanted(directory, sources),
        Copied::Anything => None,
    };
    let mut walk = Walk { directory, ignored, wanted, entries: Vec::new() };
    if directory.is_dir() {
        walk.enter("")?;
    }
    Ok(walk.entries)
}

/// The sources as patterns; `None` stands for everything.
fn wanted(directory: &Path, sources: &BTreeSet<String>) -> Option<Vec<String>> {
    let mut wanted = Vec::new();
    for source in sources {
        let source = clean(source);
        // What a link leads to is in the context, too; where, only the builder finds out.
        if source.is_empty() || leads_through_a_link(directory, &source) {
            return None;
        }
        wanted.push(source);
    }
    Some(wanted)
}

fn leads_through_a_link(directory: &Path, source: &str) -> bool {
    let steps = source.match_indices('/').map(|(at, _)| &source[..at]).chain([source]);
    steps.map(|step| directory.join(step)).any(|path| path.is_symlink())
}

struct Walk<'a> {
    directory: &'a Path,
    ignored: &'a Patterns,
    wanted: Option<Vec<String>>,
    entries: Vec<Entry>,
}

impl Walk<'_> {
    fn enter(&mut self, below: &str) -> Result<(), ContextError> {
        let here = self.directory.join(below);
        let unreadable = |source| ContextError { path: here.clone(), source };
        for entry in std::fs::read_dir(&here).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            // Docker's paths are text; a file with another name cannot be copied by it either.
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            let metadata = entry.metadata().map_err(|source| ContextError { path: entry.path(), source })?;
            self.take(&path, metadata)?;
        }
        Ok(())
    }

    fn take(&mut self, path: &str, metadata: Metadata) -> Result<(), ContextError> {
        let known = metadata.is_dir() || metadata.is_file() || metadata.is_symlink();
        let (here, below) = match &self.wanted {
            None => (true, true),
            Some(wanted) => {
                let here = wanted.iter().any(|wanted| fits_or_holds(wanted, path));
                (here, here || wanted.iter().any(|wanted| may_lie_below(wanted, path)))
            }
        };
        let left_out = self.ignored.leave_out(path);
        let enters = metadata.is_dir() && below && (!left_out || self.ignored.may_keep_below());
        if here && known && !left_out {
            self.entries.push(Entry { path: path.to_owned(), metadata });
        }
        if enters { self.enter(path) } else { Ok(()) }
    }
}

/// Whether a source may be found somewhere below this directory.
fn may_lie_below(wanted: &str, directory: &str) -> bool {
    let depth = directory.split('/').count();
    let mut steps = wanted.split('/');
    let above: Vec<&str> = steps.by_ref().take(depth).collect();
    steps.next().is_some() && fits_or_holds(&above.join("/"), directory)
}
