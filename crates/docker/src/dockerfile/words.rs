//! Words of `ARG` and `FROM`: quotes and variables, as far as they can be told before the build.
//! Must never: guess.

/// Words parted by white space outside quotes; the quotes stay.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// A word with its variables put in. `value` says what a variable is: `Some(None)` unset, `None` nobody knows.
///
/// `None` where what the builder would make of it is not certain.
pub(super) fn expanded(word: &str, value: &impl Fn(&str) -> Option<Option<String>>) -> Option<String> {
    let inner = |quote: char| word.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(literal) = inner('\'') {
        return (!literal.contains('\'')).then(|| literal.to_owned());
    }
    let word = inner('"').unwrap_or(word);
    if word.contains(['"', '\'', '\\', '`']) {
        return None;
    }
    let mut out = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (text, left) = match after.strip_prefix('{') {
            Some(braced) => {
                let (inside, left) = braced.split_once('}')?;
                (in_braces(inside, value)?, left)
            }
            None => {
                let name = name_at_start(after);
                (value(name)?.unwrap_or_default(), after.strip_prefix(name).filter(|_| !name.is_empty())?)
            }
        };
        out.push_str(&text);
        rest = left;
    }
    out.push_str(rest);
    Some(out)
}

/// `NAME`, `NAME:-default`, `NAME:+instead`.
fn in_braces(inside: &str, value: &impl Fn(&str) -> Option<Option<String>>) -> Option<String> {
    let name = name_at_start(inside);
    let rest = inside.strip_prefix(name).filter(|_| !name.is_empty())?;
    let known = value(name)?.filter(|known| !known.is_empty());
    match rest.get(..2) {
        None if rest.is_empty() => Some(known.unwrap_or_default()),
        _ if rest[1..].contains('$') => None,
        Some(":-") => Some(known.unwrap_or_else(|| rest[2..].to_owned())),
        Some(":+") => Some(known.map(|_| rest[2..].to_owned()).unwrap_or_default()),
        _ => None,
    }
}

pub(super) fn name_at_start(text: &str) -> &str {
    let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let end = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    if begins { &text[..end] } else { "" }
}
