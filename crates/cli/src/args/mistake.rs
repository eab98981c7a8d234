//! A command line that is not understood: what is said of it, and the next command to type. It must never print.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::argv::{Argv, normalise};
use super::path_of;
use crate::render::{QUIET, styled};

/// Words that the documents have for commands that are not here, each with what does the same.
const ELSEWHERE: [(&str, &str); 1] =
    [("exec", "container attach NAME opens a shell; docker exec NAME COMMAND runs one command")];
/// How the parser ends its complaints; where to look is said better.
const PARSERS_END: &str = "\n\nFor more information, try";

/// What is told of a mistake, with its colours.
pub(crate) fn told(mistake: &clap::Error, argv: impl IntoIterator<Item = OsString>) -> String {
    let text = mistake.render().ansi().to_string();
    let Some(end) = text.find(PARSERS_END) else { return text };
    format!("{}\n\n{} {}\n", &text[..end], styled(QUIET, "hint:"), hint(mistake, argv))
}

/// What to type next.
fn hint(mistake: &clap::Error, argv: impl IntoIterator<Item = OsString>) -> String {
    let Argv { words, by_program } = normalise(argv);
    let path = path_of(&words);
    if mistake.kind() != ErrorKind::InvalidSubcommand {
        let typed = if by_program { format!("ds01 {path}") } else { path };
        return format!("{} --help shows what it takes", typed.trim_end());
    }
    if let Some(ContextValue::String(word)) = mistake.get(ContextKind::InvalidSubcommand)
        && let Some((_, instead)) = ELSEWHERE.iter().find(|(known, _)| known == word)
    {
        return (*instead).to_owned();
    }
    match path.as_str() {
        "" => "ds01 help all shows every command".to_owned(),
        group => format!("{group} help shows its commands"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint_for(line: &str) -> String {
        let words = || line.split_whitespace().map(OsString::from);
        let text = told(&crate::args::parse(words()).unwrap_err(), words());
        let text = anstream::adapter::strip_str(&text).to_string();
        assert!(text.starts_with("error: ") && !text.contains("For more"), "{text}");
        text.lines().last().and_then(|line| line.strip_prefix("hint: ")).unwrap_or_default().to_owned()
    }

    #[test]
    fn a_mistake_ends_in_what_to_type() {
        for (line, next) in [
            ("ds01 nothing", "ds01 help all shows every command"),
            ("container destroy p", "container help shows its commands"),
            ("ds01 image nothing", "image help shows its commands"),
            ("container-deploy", "container deploy --help shows what it takes"),
            ("ds01 container deploy p --nothing", "ds01 container deploy --help shows what it takes"),
            ("container list --watch=0", "container list --help shows what it takes"),
            ("ds01 --nothing", "ds01 --help shows what it takes"),
        ] {
            assert_eq!(hint_for(line), next, "{line}");
        }
    }

    #[test]
    fn what_the_documents_name_is_found_elsewhere() {
        assert!(hint_for("container exec p").contains("container attach NAME"));
        for (word, _) in ELSEWHERE {
            assert!(
                crate::args::parse(["container".into(), (*word).into()]).is_err(),
                "{word} is a command by now"
            );
        }
    }

    #[test]
    fn help_is_no_mistake() {
        for line in ["container list --help", "container"] {
            let words = || line.split_whitespace().map(OsString::from);
            let text = told(&crate::args::parse(words()).unwrap_err(), words());
            assert!(text.contains("Usage:") && !text.contains("hint:"), "{text}");
        }
    }
}
