//! What becomes of a text, as `diff -u` shows it.

use similar::TextDiff;

/// Lines around a change.
const CONTEXT_LINES: usize = 3;

/// The difference of two texts of one file; empty if there is none.
pub(crate) fn difference(name: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let diff = TextDiff::from_lines(before, after);
    diff.unified_diff().context_radius(CONTEXT_LINES).header(name, name).to_string()
}
