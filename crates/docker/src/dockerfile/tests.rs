//! What a Dockerfile takes from outside, and every way of hiding it that came to mind.

use std::collections::BTreeMap;

use super::*;

fn images(text: &str) -> Result<Vec<String>, String> {
    with_args(text, &[])
}

fn with_args(text: &str, args: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let args: BTreeMap<String, Option<String>> =
        args.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))).collect();
    read(text.as_bytes(), &args)
        .map(|reading| reading.images().map(ToString::to_string).collect())
        .map_err(|refusal| refusal.to_string())
}

#[test]
fn bases_and_copies_are_named() {
    for (text, wanted) in [
        ("FROM base\nRUN id\n", vec!["base"]),
        ("from base", vec!["base"]),
        ("  FrOm\tbase  \n", vec!["base"]),
        (
            "FROM --platform=linux/amd64 base AS one\nFROM one\nCOPY --from=0 /a /b\nCOPY --from=ONE /a /b",
            vec!["base"],
        ),
        ("FROM scratch\nCOPY --from=bob/secret /a /b", vec!["bob/secret"]),
        ("FROM scratch\nCOPY --chown=1:1 --from=bob/secret:1 [\"/a\", \"/b\"]", vec!["bob/secret:1"]),
        ("FROM \\\n  ba\\\nse\n", vec!["base"]),
        ("FROM \\\n# a comment\n\nbase\n", vec!["base"]),
        ("# escape=`\nFROM base\nRUN a `\n b\n", vec!["base"]),
        ("#escape=`\n# escape=\\\nFROM base\nRUN a \\\n b\n", vec!["base"]),
        ("# a comment\n# escape=`\nFROM base\nRUN \\\n a\n", vec!["base"]),
        ("\u{feff}FROM base", vec!["base"]),
        ("FROM base\r\nRUN id\r\n", vec!["base"]),
        ("ARG A=base\nFROM $A", vec!["base"]),
        ("ARG A=\"ba\" B=se\nARG C=${A}$B\nFROM ${C}:1 AS x", vec!["base:1"]),
        ("ARG A\nFROM ${A:-base}", vec!["base"]),
        ("FROM ${UNKNOWN:-base}", vec!["base"]),
        ("FROM base\nONBUILD COPY --from=bob/secret / /", vec!["base", "bob/secret"]),
    ] {
        assert_eq!(
            images(text).as_deref(),
            Ok(&wanted.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()[..]),
            "{text:?}"
        );
    }
    assert_eq!(with_args("ARG A=base\nFROM $A", &[("A", "other")]), Ok(vec!["other".to_owned()]));
    assert_eq!(with_args("ARG A=base\nFROM a-$B$A", &[("B", "not declared")]), Ok(vec!["a-base".to_owned()]));
}

#[test]
fn what_cannot_be_told_is_refused() {
    for text in [
        "FROM \"base\"x",
        "FROM ba'se'",
        "FROM $",
        "FROM ${A",
        "FROM ${A:?no}",
        "FROM ${A:-$B}",
        "ARG A=b\\ase\nFROM $A",
        "FROM a b",
        "FROM a AS B/c",
        "FROM a\nCOPY --from=\"bob/secret\" / /",
        "FROM a\nCOPY --from=$X / /",
        "FROM a\nONBUILD FROM b",
        "FROM a\nNONSENSE b",
        "FROM a\nRUN <<EOF\nid\nEOF",
        "FROM a\nCOPY <<EOF /x\nid\nEOF",
    ] {
        assert!(images(text).is_err(), "{text:?}");
    }
    assert!(read(b"FROM \xff", &BTreeMap::new()).is_err());
    assert!(read(&vec![b'#'; DOCKERFILE_BYTES_MAX + 1], &BTreeMap::new()).is_err());
}

#[test]
fn the_engine_fetches_nothing() {
    for source in [
        "http://169.254.169.254/ /x",
        "HTTPS://h/ /x",
        "a http://127.0.0.1:8888/api /x/",
        "[\"http://h/\", \"/x\"]",
        "[\"ht\\u0074p://h/\", \"/x\"]",
        "\"http\"://h/ /x",
        "ht\\tp://h/ /x",
        "$URL /x",
        "--chown=1:1 http://h/ /x",
        "git@h:r.git /x",
        "\\\nhttp://h/ /x",
    ] {
        for before in ["ADD ", "add ", "ONBUILD ADD ", "  ADD\t", "ADD \\\n "] {
            let text = format!("FROM base\n{before}{source}\n");
            assert!(images(&text).is_err(), "{text:?}");
        }
    }
    for good in [
        "ADD a.tar /x",
        "ADD [\"a b\", \"/x\"]",
        "ADD --chown=1:1 . /app",
        "RUN wget http://h/",
        "COPY $A /x",
    ] {
        assert!(images(&format!("FROM base\n{good}\n")).is_ok(), "{good}");
    }
    assert!(read_triggers(["ADD http://h/ /x"]).is_err());
    assert_eq!(read_triggers(["COPY --from=bob/x / /", "RUN id"]).map(|i| i.len()), Ok(1));
}

#[test]
fn what_builders_read_differently_is_read_in_every_way() {
    for text in [
        // Older builders end the RUN at an indented comment.
        "FROM base\nRUN a \\\n  # comment\nADD http://h/ /x\n",
        "FROM base\nADD \\\n  # http://h/ /x\n a b\n",
        // Newer ones do not go on after an escaped backslash, older ones do.
        "FROM base\nRUN a \\\\\nADD http://h/ /x\n",
        "FROM base\nADD \\\\\nhttp://h/ /x\n",
        // Which character joins lines depends on what counts as a directive.
        "# syntax=x\n# escape=`\nFROM base\nRUN a `\nADD http://h/ /x\n",
        "# syntax=x\n# escape=`\nFROM base\nRUN a \\\nADD http://h/ /x\n",
    ] {
        assert!(images(text).is_err(), "{text:?}");
    }
    let usual = "FROM base\nRUN apt-get install \\\n    # compilers\n    gcc \\\n    # and more\n    make\n";
    assert_eq!(images(usual), Ok(vec!["base".to_owned()]));
    assert_eq!(images("FROM base\nRUN printf 'a\\\\n' && \\\n  id\n"), Ok(vec!["base".to_owned()]));
}

#[test]
fn a_line_is_put_after_every_from() {
    let text = b"FROM a\nRUN x\nFROM \\\n b AS c\nRUN y";
    let reading = read(text, &BTreeMap::new()).unwrap();
    let written = reading.with_line_after_from(text, "LABEL l=1");
    assert_eq!(
        String::from_utf8_lossy(&written),
        "FROM a\nLABEL l=1\nRUN x\nFROM \\\n b AS c\nLABEL l=1\nRUN y"
    );
    let short = b"FROM a";
    let written = read(short, &BTreeMap::new()).unwrap().with_line_after_from(short, "LABEL l=1");
    assert_eq!(String::from_utf8_lossy(&written), "FROM a\nLABEL l=1\n");
}
