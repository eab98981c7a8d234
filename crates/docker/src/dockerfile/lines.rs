//! Dockerfile lines put together to instructions, as the builder does it.
//! Must never: join or part lines where the builder would not.

use super::{DOCKERFILE_BYTES_MAX, DockerfileRefusal};

/// White space between an instruction and what follows it.
const SPACES: [char; 5] = ['\t', '\x0b', '\x0c', '\r', ' '];

/// What builders of different age make of the same lines. All that a text could mean is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    /// The character that joins lines, whatever directives say; `None`: as they say.
    escape: Option<char>,
    /// Within an instruction that goes on, a comment with white space before it is a comment.
    indented_comments: bool,
    /// Two escape characters at the end of a line join it to the next.
    doubled_joins: bool,
}

impl Manner {
    /// As current builders read.
    pub(super) const CURRENT: Self = Self { escape: None, indented_comments: true, doubled_joins: false };

    /// Every manner that could make a difference for a text, the current one first.
    pub(super) fn all(text: &str) -> Vec<Self> {
        let escapes: &[Option<char>] = match text.to_ascii_lowercase().contains("escape") {
            true => &[None, Some('\\'), Some('`')],
            false => &[None],
        };
        let indented = text
            .lines()
            .any(|line| line.starts_with(char::is_whitespace) && line.trim_start().starts_with('#'));
        let doubled = text.contains("\\\\") || text.contains("``");
        let mut manners = Vec::new();
        for escape in escapes {
            for indented_comments in [true, false] {
                for doubled_joins in [false, true] {
                    if (indented || indented_comments) && (doubled || !doubled_joins) {
                        manners.push(Self { escape: *escape, indented_comments, doubled_joins });
                    }
                }
            }
        }
        manners
    }
}

/// One instruction, its continued lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instruction {
    /// In capitals.
    pub(super) name: String,
    /// What follows, without white space around it.
    pub(super) rest: String,
    /// Where its last line ends in the text, the line end included.
    pub(super) end: usize,
}

/// The text of a Dockerfile.
pub(super) fn decoded(text: &[u8]) -> Result<&str, DockerfileRefusal> {
    if text.len() > DOCKERFILE_BYTES_MAX {
        return Err(DockerfileRefusal::new(format!(
            "the Dockerfile is larger than {} KiB",
            DOCKERFILE_BYTES_MAX >> 10
        )));
    }
    std::str::from_utf8(text)
        .map_err(|_| DockerfileRefusal::new("the Dockerfile is not UTF-8 text; save it as UTF-8"))
}

/// All instructions of a text, read in one manner.
pub(super) fn instructions(text: &str, manner: Manner) -> Result<Vec<Instruction>, DockerfileRefusal> {
    let mut found = Vec::new();
    let mut escape = manner.escape.unwrap_or('\\');
    let mut directives = true;
    let mut joined: Option<String> = None;
    let mut end = 0;
    for (number, whole) in text.split_inclusive('\n').enumerate() {
        end += whole.len();
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line = if number == 0 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        let bare = line.trim_start();
        let is_comment = line.starts_with('#') || joined.is_none() || manner.indented_comments;
        if is_comment && bare.starts_with('#') {
            match directive(bare).filter(|_| directives && joined.is_none()) {
                Some(("escape", _)) if manner.escape.is_some() => {}
                Some(("escape", "`")) => escape = '`',
                Some(("escape", "\\")) => escape = '\\',
                Some(("escape", _)) => return Err(DockerfileRefusal::new("invalid ESCAPE: use ` or \\")),
                Some(_) => {}
                None => directives &= joined.is_some(),
            }
            continue;
        }
        directives = false;
        // Only the first line of an instruction loses the white space in front.
        let line = if joined.is_none() { bare } else { line };
        let (part, goes_on) = match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
            Some(part) if manner.doubled_joins || !part.ends_with(escape) => (part, true),
            _ => (line, false),
        };
        if joined.is_some() && line.trim().is_empty() {
            // An empty line does not end what goes on.
            continue;
        }
        let whole = joined.take().unwrap_or_default() + part;
        if goes_on {
            joined = Some(whole);
        } else {
            found.extend(instruction(&whole, end));
        }
    }
    found.extend(joined.and_then(|whole| instruction(&whole, end)));
    Ok(found)
}

fn instruction(line: &str, end: usize) -> Option<Instruction> {
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    let (name, rest) = line.split_once(SPACES).unwrap_or((line, ""));
    Some(Instruction { name: name.to_uppercase(), rest: rest.trim().to_owned(), end })
}

/// `# NAME = VALUE` at the top of the file.
fn directive(comment: &str) -> Option<(&str, &str)> {
    let (name, value) = comment.strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
    let known = ["escape", "syntax", "check"].into_iter().find(|known| name.eq_ignore_ascii_case(known));
    plain.then_some((known.unwrap_or("other"), value))
}
