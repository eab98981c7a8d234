//! What is drawn with characters: bars, curves, frames, and the same in ASCII for terminals that have no more. Pure; it
//! must never decide whether a terminal has.

use unicode_width::UnicodeWidthStr as _;

/// Eighths of a character, from nothing to all of it, filled from the left.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
/// Eighths of a character, filled from below; a sample of nothing is still a sample.
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// What there is of a bar and is not filled.
const EMPTY: char = '░';

/// A bar of `width` characters, `part` of `whole` filled: what is filled, and the rest.
pub(crate) fn bar(part: u64, whole: u64, width: usize) -> (String, String) {
    let whole = whole.max(1);
    let eighths = u128::from(part.min(whole)) * (width as u128) * 8 / u128::from(whole);
    let eighths = usize::try_from(eighths).unwrap_or(usize::MAX);
    // Little is not nothing.
    let eighths = if part > 0 { eighths.max(1) } else { 0 };
    let mut filled = "█".repeat(eighths / 8);
    filled += EIGHTHS[eighths % 8];
    let rest = width - filled.chars().count().min(width);
    (filled, EMPTY.to_string().repeat(rest))
}

/// The character for a sample in percent, in row `row` (0 is the lowest) of a curve so many rows high.
pub(crate) fn curve_step(percent: u8, row: u16, rows: u16) -> char {
    let levels = u32::from(rows.max(1)) * 8;
    // From 1 on: the lowest line says that there was a sample.
    let level = (u32::from(percent.min(100)) * levels / 100).clamp(1, levels);
    match level.saturating_sub(u32::from(row) * 8) {
        0 => ' ',
        above => STEPS[usize::try_from(above - 1).unwrap_or(7).min(7)],
    }
}

/// Lines in a frame with a title, each so many columns wide; lines may be styled.
pub(crate) fn frame(title: &str, lines: &[String], columns: usize) -> String {
    let inner = columns.saturating_sub(4);
    let title_width = anstream::adapter::strip_str(title).to_string().width();
    let rule = "─".repeat(inner.saturating_sub(title_width));
    let mut text = format!("┌─ {title} {}┐\n", rule.get('─'.len_utf8()..).unwrap_or_default());
    for line in lines {
        let width = anstream::adapter::strip_str(line).to_string().width();
        text += &format!("│ {line}{} │\n", " ".repeat(inner.saturating_sub(width)));
    }
    text + &format!("└{}┘\n", "─".repeat(columns.saturating_sub(2)))
}

/// The same with ASCII alone, column for column; what is not of ours and not ASCII becomes a question mark.
pub(crate) fn ascii(text: &str) -> String {
    text.chars().map(ascii_char).collect()
}

fn ascii_char(c: char) -> char {
    match c {
        '█' | '▉' | '▊' | '▋' | '▌' | '▇' => '#',
        '▍' | '▎' | '▏' | '▒' | '▃' | '▄' => ':',
        '▅' | '▆' => '|',
        '░' | '▂' => '.',
        '▁' => '_',
        '─' => '-',
        '│' => '|',
        '┌' | '┐' | '└' | '┘' => '+',
        '…' => '~',
        '·' => '-',
        c if c.is_ascii() => c,
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_they_say() {
        for width in [0, 1, 7, 20] {
            for part in 0..=130 {
                let (filled, rest) = bar(part, 100, width);
                let (filled, rest) = (filled.chars().count(), rest.chars().count());
                assert!(width == 0 || filled + rest == width, "{part} of 100 in {width}");
                assert_eq!(part == 0, filled == 0, "{part} of 100 in {width}");
            }
        }
        assert_eq!(bar(50, 100, 4), ("██".to_owned(), "░░".to_owned()));
        assert_eq!(bar(3, 0, 2), ("██".to_owned(), String::new()), "of nothing");
        assert_eq!(bar(55, 100, 10).0, "█████▌");
    }

    #[test]
    fn curves_rise() {
        let curve = |rows, row| {
            [0, 30, 60, 100].map(|percent| curve_step(percent, row, rows)).iter().collect::<String>()
        };
        assert_eq!(curve(1, 0), "▁▂▄█");
        assert_eq!([curve(2, 1), curve(2, 0)], ["  ▁█", "▁▄██"]);
    }

    #[test]
    fn ascii_takes_as_many_columns() {
        let drawn = frame("0 · A100", &["███░ 97%".to_owned()], 20);
        assert_eq!(drawn, "┌─ 0 · A100 ───────┐\n│ ███░ 97%         │\n└──────────────────┘\n");
        assert_eq!(ascii(&drawn), "+- 0 - A100 -------+\n| ###. 97%         |\n+------------------+\n");
        assert_eq!(ascii("größe"), "gr??e");
    }
}
