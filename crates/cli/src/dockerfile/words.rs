//! The words of an instruction, and where each stands in its text: a change of one word leaves the others where they are.

use std::ops::Range;

/// A word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Without its quotes.
    pub(super) text: String,
    /// Where it stands, quotes included.
    pub(super) at: Range<usize>,
    /// `&&`, `;` and the like, which part commands.
    pub(super) parts: bool,
}

/// The words of an instruction that is no command of the shell's: only white space parts them.
pub(super) fn plain(text: &str, escape: char) -> Vec<Word> {
    read(text, escape, false)
}

/// The words of `RUN`, as a shell parts them.
pub(super) fn shell(text: &str, escape: char) -> Vec<Word> {
    read(text, escape, true)
}

fn read(text: &str, escape: char, shell: bool) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    // The word that is being read, and the quote that it is in.
    let mut word: Option<Word> = None;
    let mut quote: Option<char> = None;
    let mut line_begins = true;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let next = at + c.len_utf8();
        if quote.is_none() && word.is_none() && line_begins && c == '#' {
            // A comment between lines that go on.
            at = text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
            continue;
        }
        if let Some(joined) = joins(&text[at..], escape).filter(|_| quote.is_none()) {
            words.extend(word.take());
            at += joined;
            line_begins = true;
            continue;
        }
        line_begins &= c.is_whitespace();
        if shell && c == '\\' && quote != Some('\'') {
            // It means the next character, whatever that is.
            let meant = text[next..].chars().next();
            let end = next + meant.map_or(0, char::len_utf8);
            extend(&mut word, at..end, meant);
            at = end;
            continue;
        }
        let quoted = shell && matches!(c, '"' | '\'') && quote.is_none_or(|open| open == c);
        if quoted {
            quote = if quote.is_some() { None } else { Some(c) };
            extend(&mut word, at..next, None);
        } else if quote.is_some() {
            extend(&mut word, at..next, Some(c));
        } else if c.is_whitespace() {
            words.extend(word.take());
            line_begins |= c == '\n';
        } else if shell && matches!(c, '&' | '|' | ';') && !redirects(&text[..at]) {
            words.extend(word.take());
            match words.last_mut().filter(|last| last.parts && last.at.end == at) {
                Some(last) => {
                    last.text.push(c);
                    last.at.end = next;
                }
                None => words.push(Word { text: c.to_string(), at: at..next, parts: true }),
            }
        } else {
            extend(&mut word, at..next, Some(c));
        }
        at = next;
    }
    words.extend(word);
    words
}

/// `2>&1` is one word.
fn redirects(before: &str) -> bool {
    before.ends_with('>')
}

fn extend(word: &mut Option<Word>, at: Range<usize>, c: Option<char>) {
    let word = word.get_or_insert_with(|| Word { text: String::new(), at: at.clone(), parts: false });
    word.text.extend(c);
    word.at.end = at.end;
}

/// The length of what joins two lines, if it stands here: the escape character, blanks, the line's end.
fn joins(text: &str, escape: char) -> Option<usize> {
    let rest = text.strip_prefix(escape)?;
    let blanks = rest.trim_start_matches([' ', '\t', '\r']);
    let rest = blanks.strip_prefix('\n')?;
    Some(text.len() - rest.len())
}
