//! Words that the documents have for commands that are not here yet, each with what does the same today. It must never
//! name a command that is here.

use clap::error::{ContextKind, ContextValue, ErrorKind};

const ELSEWHERE: [(&str, &str); 1] =
    [("exec", "container attach NAME opens a shell; docker exec NAME COMMAND runs one command")];

/// What to type instead, for a command that is known and not here.
pub(crate) fn hint(error: &clap::Error) -> Option<&'static str> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    ELSEWHERE.iter().find(|(known, _)| known == word).map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn what_the_documents_name_is_found_elsewhere() {
        let hint_for =
            |line: &str| hint(&crate::args::parse(line.split_whitespace().map(OsString::from)).unwrap_err());
        assert!(hint_for("container exec p").is_some_and(|hint| hint.contains("container attach NAME")));
        assert_eq!(hint_for("container destroy p"), None);
        assert_eq!(hint_for("container deploy"), None);
        for (word, _) in ELSEWHERE {
            assert!(hint_for(&format!("container {word}")).is_some(), "{word} is a command by now");
        }
    }
}
