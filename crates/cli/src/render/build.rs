//! A build's steps: a line for each that is over, and one for the present step.

use unicode_width::UnicodeWidthStr as _;

use super::table::cut;
use super::words::{countdown, duration};
use super::{BAD, QUIET};

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum StepEnd {
    /// It was done in an earlier build.
    Cached,
    /// Seconds.
    Took(f64),
    Failed,
}

/// A step that is over: `  2/5  RUN pip install …   12 s`.
pub(crate) fn step(number: usize, of: usize, text: &str, end: StepEnd, columns: Option<u16>) -> String {
    let told = match end {
        StepEnd::Cached => format!("{QUIET}cached{QUIET:#}"),
        StepEnd::Took(seconds) if seconds < 9.95 => format!("{seconds:.1} s"),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a build")]
        StepEnd::Took(seconds) => duration(seconds.round() as u64),
        StepEnd::Failed => format!("{BAD}failed{BAD:#}"),
    };
    let head = head(number, of);
    let text = one_line(text);
    let room = columns.map(|columns| usize::from(columns).saturating_sub(head.width() + 16).max(20));
    match room {
        Some(room) => {
            let text = cut(&text, room);
            format!("{head}{text}{}   {told}", " ".repeat(room.saturating_sub(text.width())))
        }
        None => format!("{head}{text}   {told}"),
    }
}

/// The present step, with the time that it has taken and its last words.
pub(crate) fn present_step(
    number: usize,
    of: usize,
    text: &str,
    seconds: u64,
    last: &str,
    columns: u16,
) -> String {
    // The last column stays free: writing there makes some terminals go on to the next line.
    let room = usize::from(columns).saturating_sub(1);
    let line = format!("{}{} · {}", head(number, of), cut(&one_line(text), room / 2), countdown(seconds));
    if last.is_empty() { cut(&line, room) } else { cut(&format!("{line} · {}", one_line(last)), room) }
}

fn head(number: usize, of: usize) -> String {
    let width = of.to_string().len();
    format!("  {number:>width$}/{of}  ")
}

/// An instruction as the builder tells it has the blanks of the lines that it was written in.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::plain;
    use super::*;

    #[test]
    fn steps() {
        let long =
            "RUN pip install --no-cache-dir     numpy     pandas     scikit-learn     matplotlib     seaborn";
        let lines = [
            step(1, 12, "FROM ds01-python:latest", StepEnd::Cached, Some(80)),
            step(2, 12, long, StepEnd::Took(1.26), Some(80)),
            step(3, 12, long, StepEnd::Took(192.0), Some(80)),
            step(12, 12, "RUN false", StepEnd::Failed, Some(80)),
            step(3, 12, long, StepEnd::Took(59.9), None),
            present_step(3, 12, long, 192, "Collecting  numpy", 80),
            present_step(3, 12, "RUN true", 2, "", 80),
        ];
        expect![[r#"
            building
               1/12  FROM ds01-python:latest                                   cached
               2/12  RUN pip install --no-cache-dir numpy pandas scikit-lea…   1.3 s
               3/12  RUN pip install --no-cache-dir numpy pandas scikit-lea…   3 min
              12/12  RUN false                                                 failed
               3/12  RUN pip install --no-cache-dir numpy pandas scikit-learn matplotlib seaborn   1 min
               3/12  RUN pip install --no-cache-dir numpy p… · 3 min 12 s · Collecting num…
               3/12  RUN true · 2 s"#]]
        .assert_eq(&plain(&format!("building\n{}", lines.join("\n"))));
    }
}
