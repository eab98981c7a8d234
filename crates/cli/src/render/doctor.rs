//! The report of `ds01 doctor`: one line for what is in order, a paragraph for what is not.

use anstyle::Style;

use super::words::count;
use super::{BAD, CARE, GOOD, QUIET, TYPED, styled};
use crate::doctor::{Entry, Report, Verdict};

/// The column in which sentences begin.
const INDENT: usize = 13;
/// Lines are not broken shorter than this.
const BREAK_MIN: usize = 40;

/// `ds01 doctor`. Quiet shows what is wrong, and nothing where nothing is.
pub(crate) fn doctor(report: &Report, quiet: bool, columns: Option<u16>) -> String {
    let mut out = String::new();
    let mut for_root = Vec::new();
    for entry in &report.findings {
        match entry.needs_root {
            true => for_root.push(entry.found.as_str()),
            false => out.push_str(&paragraph(entry, columns)),
        }
    }
    if !for_root.is_empty() {
        let text = format!("needs root (sudo ds01 doctor): {}", for_root.join("; "));
        out.push_str(&labelled("not checked", QUIET, &text, Style::new(), columns));
    }
    if quiet {
        return out;
    }
    format!("{out}\n{}\n", summary(report))
}

fn summary(report: &Report) -> String {
    let mut parts = Vec::new();
    for (n, thing, style) in [(report.problems, "problem", BAD), (report.warnings, "warning", CARE)] {
        if n > 0 {
            parts.push(styled(style, &count(n as u64, thing)));
        }
    }
    if parts.is_empty() {
        parts.push(styled(GOOD, "no problem"));
    }
    parts.push(format!("{} in order", report.ok));
    if report.not_checked > 0 {
        parts.push(format!("{} not checked", report.not_checked));
    }
    parts.join(", ")
}

fn paragraph(entry: &Entry, columns: Option<u16>) -> String {
    let (word, style) = match entry.verdict {
        Verdict::Ok => ("ok", GOOD),
        Verdict::NotChecked => ("not checked", QUIET),
        Verdict::Warning => ("warning", CARE),
        Verdict::Problem => ("PROBLEM", BAD),
    };
    if entry.verdict == Verdict::NotChecked {
        return labelled(word, style, &format!("{}: {}", entry.found, entry.why), Style::new(), columns);
    }
    let mut out = labelled(word, style, &entry.found, Style::new(), columns);
    // What can be typed stays on its line, so that it can be copied.
    for (label, text, style, columns) in
        [("why", &entry.why, Style::new(), columns), ("fix", &entry.fix, TYPED, None)]
    {
        if !text.is_empty() {
            out.push_str(&labelled(&format!("        {label}"), QUIET, text, style, columns));
        }
    }
    out
}

/// A word at the left, and beside it a text of one or several lines, broken where the terminal ends.
fn labelled(label: &str, style: Style, text: &str, text_style: Style, columns: Option<u16>) -> String {
    let width = columns.map(|columns| usize::from(columns).saturating_sub(INDENT).max(BREAK_MIN));
    let mut out = String::new();
    for (n, line) in text.lines().map(tamed).flat_map(|line| broken(&line, width)).enumerate() {
        let head = if n == 0 { styled(style, label) } else { String::new() };
        let blanks = " ".repeat(INDENT.saturating_sub(if n == 0 { label.len() } else { 0 }));
        out.push_str(&format!("{head}{blanks}{}\n", styled(text_style, &line)));
    }
    out
}

/// What a name on the machine may hold must not speak to the terminal.
fn tamed(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A line in pieces of at most `width` characters, broken at blanks.
fn broken(line: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return vec![line.to_owned()] };
    let mut pieces = vec![String::new()];
    for word in line.split(' ') {
        let last = pieces.last_mut().expect("there is always one");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            pieces.push(word.to_owned());
            continue;
        }
        if !last.is_empty() {
            last.push(' ');
        }
        last.push_str(word);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::plain;
    use super::*;

    fn entry(verdict: Verdict, found: &str, why: &str, fix: &str) -> Entry {
        let (found, why, fix) = (found.to_owned(), why.to_owned(), fix.to_owned());
        Entry { check: "a.check", verdict, found, why, fix, needs_root: false }
    }

    fn sample() -> Report {
        let root =
            |what: &str| Entry { needs_root: true, ..entry(Verdict::NotChecked, what, "needs root", "") };
        Report {
            problems: 1,
            warnings: 1,
            ok: 1,
            not_checked: 3,
            findings: vec![
                entry(Verdict::Ok, "live-restore is on", "", ""),
                entry(
                    Verdict::Problem,
                    "carol can open the socket",
                    "she is root then",
                    "chmod 0600 SOCKET\nand keep it so",
                ),
                root("who reaches the Engine's socket"),
                entry(Verdict::Warning, "a sentence that is much longer than the terminal is wide", "w", "f"),
                entry(Verdict::NotChecked, "the NVIDIA driver", "this machine has none", ""),
                root("the version of ds01d"),
            ],
        }
    }

    #[test]
    fn on_a_pipe_and_on_a_narrow_terminal() {
        expect![[r#"
            ok           live-restore is on
            PROBLEM      carol can open the socket
                    why  she is root then
                    fix  chmod 0600 SOCKET
                         and keep it so
            warning      a sentence that is much longer than the terminal is wide
                    why  w
                    fix  f
            not checked  the NVIDIA driver: this machine has none
            not checked  needs root (sudo ds01 doctor): who reaches the Engine's socket; the version of ds01d

            1 problem, 1 warning, 1 in order, 3 not checked
        "#]]
        .assert_eq(&plain(&doctor(&sample(), false, None)));
        let narrow = plain(&doctor(&sample(), false, Some(50)));
        assert!(
            narrow.contains("a sentence that is much longer than the\n             terminal is wide\n"),
            "{narrow}"
        );
    }

    #[test]
    fn a_name_does_not_speak_to_the_terminal() {
        let told = paragraph(&entry(Verdict::Ok, "the socket /run/\x1b[2Jx", "", ""), None);
        assert!(told.contains("/run/\u{fffd}[2Jx"), "{told}");
    }

    #[test]
    fn quiet_says_what_is_wrong_and_nothing_else() {
        expect![[r#"
            PROBLEM      carol can open the socket
                    why  she is root then
                    fix  chmod 0600 SOCKET
                         and keep it so
            warning      a sentence that is much longer than the terminal is wide
                    why  w
                    fix  f
        "#]]
        .assert_eq(&plain(&doctor(&sample().only_wrong(), true, None)));
        let nothing = Report { problems: 0, warnings: 0, ok: 3, not_checked: 0, findings: Vec::new() };
        assert_eq!(doctor(&nothing, true, None), "");
        assert_eq!(plain(&doctor(&nothing, false, None)), "\nno problem, 3 in order\n");
    }
}
