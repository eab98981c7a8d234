//! Dockerfiles as people write them.

use proptest::prelude::*;

use super::*;

#[test]
fn pieces_are_whole_instructions() {
    let text = "\
# escape=\\
FROM python:3.11 AS base

RUN apt-get update \\
    # what we need
    && apt-get install -y git \\

    curl
COPY <<EOF <<-\"END\" /etc/
RUN is no instruction here
EOF
\tEND
CMD [\"bash\"]";
    let dockerfile = Dockerfile::parse(text);
    let names: Vec<&str> =
        dockerfile.pieces.iter().filter_map(|piece| piece.instruction.as_deref()).collect();
    assert_eq!(names, ["FROM", "RUN", "COPY", "CMD"]);
    assert_eq!(dockerfile.to_string(), text);
    assert_eq!(dockerfile.base().as_deref(), Some("python:3.11"));
}

#[test]
fn the_last_stage_makes_the_image() {
    let base = |text: &str| Dockerfile::parse(text).base();
    assert_eq!(base("FROM a AS one\nFROM --platform=linux/amd64 b\n").as_deref(), Some("b"));
    assert_eq!(base("from a\r\n").as_deref(), Some("a"));
    assert_eq!(base("# nothing\n"), None);
    assert_eq!(base("FROM"), None);
}

proptest! {
    #[test]
    fn what_is_read_is_printed(text in "(?s)(RUN|COPY|FROM|#|<<EOF|EOF|\\\\|`|escape=|\"|'|\n|\r\n|\t| |a|&&|;|\u{e9})*") {
        prop_assert_eq!(Dockerfile::parse(&text).to_string(), text);
    }

    #[test]
    fn any_text_at_all(text in any::<String>()) {
        let dockerfile = Dockerfile::parse(&text);
        let _ = (dockerfile.base(), dockerfile.copied());
        prop_assert_eq!(dockerfile.to_string(), text);
    }

    #[test]
    fn words_stand_where_they_say(text in "(?s)(RUN|pip|\\\\|\n|\"|'| |a|&&|;|#|\u{e9})*") {
        for word in words::shell(&text, '\\').into_iter().chain(words::plain(&text, '\\')) {
            prop_assert!(text.get(word.at.clone()).is_some());
            prop_assert!(!word.at.is_empty());
        }
    }
}
