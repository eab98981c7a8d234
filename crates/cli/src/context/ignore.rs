//! `.dockerignore`, and `*` in a `COPY`: patterns of paths as Docker reads them.

/// Patterns, in the order of the file: the last one that fits decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Patterns(Vec<Pattern>);

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    /// Without what does not matter: `./`, slashes at the ends.
    path: String,
    /// `!`: what it fits is kept.
    keeps: bool,
}

impl Patterns {
    /// Reads a `.dockerignore`.
    pub(super) fn parse(text: &str) -> Self {
        let lines = text.trim_start_matches('\u{feff}').lines().filter(|line| !line.starts_with('#'));
        let pattern = |line: &str| {
            let line = line.trim();
            let (keeps, path) = match line.strip_prefix('!') {
                Some(path) => (true, path.trim()),
                None => (false, line),
            };
            let path = clean(path);
            (!path.is_empty()).then_some(Pattern { path, keeps })
        };
        Self(lines.filter_map(pattern).collect())
    }

    /// Whether a path is left out. A pattern that fits a directory fits all that is in it.
    pub(super) fn leave_out(&self, path: &str) -> bool {
        let last = self.0.iter().rev().find(|pattern| fits_or_holds(&pattern.path, path));
        last.is_some_and(|pattern| !pattern.keeps)
    }

    /// Whether something may be kept of a directory that is left out itself.
    pub(super) fn may_keep_below(&self) -> bool {
        self.0.iter().any(|pattern| pattern.keeps)
    }
}

/// A path as both sides of a comparison have it.
pub(super) fn clean(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    parts.join("/")
}

/// Whether a pattern fits a path or a directory above it.
pub(super) fn fits_or_holds(pattern: &str, path: &str) -> bool {
    let above = path.match_indices('/').map(|(at, _)| &path[..at]);
    above.chain([path]).any(|path| fits(pattern.as_bytes(), path.as_bytes()))
}

/// `*` and `?` stay within a name, `**` does not.
fn fits(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => path.is_empty(),
        // `**/x` fits `x` as well.
        [b'*', b'*', b'/', rest @ ..] => {
            fits(rest, path) || (0..path.len()).any(|at| path[at] == b'/' && fits(rest, &path[at + 1..]))
        }
        [b'*', b'*', rest @ ..] => (0..=path.len()).any(|at| fits(rest, &path[at..])),
        [b'*', rest @ ..] => {
            let within = path.iter().position(|&b| b == b'/').unwrap_or(path.len());
            (0..=within).any(|at| fits(rest, &path[at..]))
        }
        [b'?', rest @ ..] => path.first().is_some_and(|&b| b != b'/') && fits(rest, &path[1..]),
        [b'[', ..] => in_class(pattern, path),
        [b'\\', c, rest @ ..] | [c, rest @ ..] => path.first() == Some(c) && fits(rest, &path[1..]),
    }
}

/// `[a-z]`, `[^a-z]`.
fn in_class(pattern: &[u8], path: &[u8]) -> bool {
    let Some(end) = pattern.iter().skip(1).position(|&b| b == b']').map(|at| at + 1) else { return false };
    let (Some(&found), rest) = (path.first(), &pattern[end + 1..]) else { return false };
    let (negated, mut class) = match &pattern[1..end] {
        [b'^', class @ ..] => (true, class),
        class => (false, class),
    };
    let mut within = false;
    while let [first, after @ ..] = class {
        let (last, after) = match after {
            [b'-', last, after @ ..] => (last, after),
            _ => (first, after),
        };
        within |= (first..=last).contains(&&found);
        class = after;
    }
    found != b'/' && within != negated && fits(rest, &path[1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, path, so) in [
            ("data", "data", true),
            ("data", "data/raw/1.csv", true),
            ("data", "my/data", false),
            ("/data/", "data/x", true),
            ("*.pt", "best.pt", true),
            ("*.pt", "models/best.pt", false),
            ("**/*.pt", "best.pt", true),
            ("**/*.pt", "models/a/best.pt", true),
            ("models/**", "models/a/best.pt", true),
            ("**/__pycache__", "src/a/__pycache__/x.pyc", true),
            ("run-?", "run-1", true),
            ("run-?", "run-12", false),
            ("run-[0-9]", "run-7", true),
            ("run-[^0-9]", "run-7", false),
            ("run-[", "run-7", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
        ] {
            assert_eq!(Patterns::parse(pattern).leave_out(path), so, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_one_decides() {
        let patterns = Patterns::parse("# all but the code\n*\n!src\n\nsrc/secret\n");
        assert!(patterns.leave_out("data/x") && patterns.leave_out("src/secret"));
        assert!(!patterns.leave_out("src/a/b.py"));
        assert!(patterns.may_keep_below());
    }
}
