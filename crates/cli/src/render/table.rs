//! Tables as `docker ps` prints them: aligned, without lines. Where the terminal is narrow, columns that can be missed
//! go first, then the widest are cut; in a pipe nothing is cut. It must never wrap a row.

use anstyle::Style;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::TITLE;

/// Blanks between columns.
const GAP: usize = 3;
/// A column is not cut below this.
const CUT_MIN: usize = 6;

/// A column's title, and whether it can be missed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// 0: never dropped; else the highest goes first.
    pub(super) drop: u8,
}

/// One cell.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) style: Style,
}

impl Cell {
    pub(super) fn styled(style: Style, text: impl Into<String>) -> Self {
        Self { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(Style::new(), text)
    }
}

/// Lays a table out for `columns` characters a line.
pub(super) fn table(heads: &[Column], rows: &[Vec<Cell>], columns: Option<u16>) -> String {
    let mut shown: Vec<usize> = (0..heads.len()).collect();
    let mut widths: Vec<usize> = (0..heads.len())
        .map(|at| {
            rows.iter().map(|row| row[at].text.width()).chain([heads[at].title.width()]).max().unwrap_or(0)
        })
        .collect();
    if let Some(columns) = columns {
        fit(heads, &mut shown, &mut widths, usize::from(columns));
    }
    let title: Vec<Cell> = heads.iter().map(|head| Cell::styled(TITLE, head.title)).collect();
    std::iter::once(&title).chain(rows).map(|row| line(row, &shown, &widths)).collect()
}

fn fit(heads: &[Column], shown: &mut Vec<usize>, widths: &mut [usize], columns: usize) {
    loop {
        let total = shown.iter().map(|&at| widths[at]).sum::<usize>() + GAP * (shown.len() - 1);
        if total <= columns {
            return;
        }
        let droppable = shown.iter().copied().filter(|&at| heads[at].drop > 0);
        if let Some(goes) = droppable.max_by_key(|&at| heads[at].drop) {
            shown.retain(|&at| at != goes);
            continue;
        }
        let Some(&widest) = shown.iter().max_by_key(|&&at| widths[at]).filter(|&&at| widths[at] > CUT_MIN)
        else {
            return;
        };
        widths[widest] = widths[widest].saturating_sub(total - columns).max(CUT_MIN).min(widths[widest] - 1);
    }
}

fn line(row: &[Cell], shown: &[usize], widths: &[usize]) -> String {
    let mut line = String::new();
    let mut blanks = 0;
    for &at in shown {
        let text = cut(&row[at].text, widths[at]);
        line.push_str(&" ".repeat(blanks));
        let style = row[at].style;
        line.push_str(&format!("{style}{text}{style:#}"));
        blanks = widths[at].saturating_sub(text.width()) + GAP;
    }
    line.push('\n');
    line
}

/// `text` in at most `width` columns, with `…` for what is missing.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::plain;
    use super::*;

    fn sample(columns: Option<u16>) -> String {
        let heads =
            [("NAME", 0), ("IMAGE", 1), ("AGE", 2), ("GPU", 0)].map(|(title, drop)| Column { title, drop });
        let rows = [
            vec!["my-project".into(), "ds01-alice/my-project:latest".into(), "2 h".into(), "0:1".into()],
            vec!["日本".into(), "x".into(), "1 min".into(), Cell::styled(TITLE, "-")],
        ];
        plain(&table(&heads, &rows, columns))
    }

    #[test]
    fn narrower_and_narrower() {
        expect![[r#"
            NAME         IMAGE                          AGE     GPU
            my-project   ds01-alice/my-project:latest   2 h     0:1
            日本         x                              1 min   -
        "#]]
        .assert_eq(&sample(None));
        expect![[r#"
            NAME         IMAGE                          GPU
            my-project   ds01-alice/my-project:latest   0:1
            日本         x                              -
        "#]]
        .assert_eq(&sample(Some(50)));
        expect![[r#"
            NAME         GPU
            my-project   0:1
            日本         -
        "#]]
        .assert_eq(&sample(Some(20)));
        expect![[r#"
            NAME     GPU
            my-pr…   0:1
            日本     -
        "#]]
        .assert_eq(&sample(Some(12)));
        assert_eq!(sample(Some(1)), sample(Some(12)));
    }
}
