//! Here-documents: `RUN <<EOF`, `COPY <<-"EOF" /file`. Ours is only to know where they end.

/// How a here-document ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heredoc {
    word: String,
    /// `<<-`: tabs in front of the word do not count.
    tabs: bool,
}

impl Heredoc {
    /// Whether this line is its end.
    pub(super) fn ends_at(&self, line: &str) -> bool {
        let line = line.trim_end_matches(['\n', '\r']);
        let line = if self.tabs { line.trim_start_matches('\t') } else { line };
        line == self.word
    }
}

/// The here-documents that an instruction begins, in order.
pub(super) fn all(instruction: &str) -> Vec<Heredoc> {
    instruction.split_whitespace().filter_map(heredoc).collect()
}

fn heredoc(word: &str) -> Option<Heredoc> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let quoted = ['"', '\''].iter().find_map(|&q| rest.strip_prefix(q)?.strip_suffix(q));
    let name = quoted.unwrap_or(rest);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(plain)).then(|| Heredoc { word: name.to_owned(), tabs })
}
