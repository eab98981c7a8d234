//! What YAML parsers disagree about, written down: the tree must not change under a new version of the parser.

use expect_test::{Expect, expect};

use super::*;

fn show(node: &Node, out: &mut String) {
    match &node.value {
        Value::Null => out.push_str("null"),
        Value::Scalar { text, plain: true } => out.push_str(text),
        Value::Scalar { text, plain: false } => out.push_str(&format!("{text:?}")),
        Value::List(items) => {
            out.push('[');
            for item in items {
                show(item, out);
                out.push(' ');
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for entry in entries {
                out.push_str(&format!("{}@{}:{}=", entry.key, entry.place.line, entry.place.column));
                show(&entry.value, out);
                out.push(' ');
            }
            out.push('}');
        }
    }
}

fn check(text: &str, expected: &Expect) {
    let mut findings = Findings::default();
    let root = parse(text, &mut findings);
    let mut out = String::new();
    match &root {
        Some(node) => show(node, &mut out),
        None => out.push_str("nothing"),
    }
    for mistake in findings.finish("f").0 {
        out.push_str(&format!("\n{mistake}"));
    }
    expected.assert_eq(&out);
}

#[test]
fn places_are_exact() {
    check("a:\n  b: 1\n  ccc: [x, y]\n", &expect![[r#"{a@1:1={b@2:3=1 ccc@3:3=[x y ] } }"#]]);
}

#[test]
fn repeated_keys_are_found_where_they_are_repeated_and_all_of_them() {
    check(
        "a: 1\nb:\n  c: 1\n  c: 2\na: 3\n",
        &expect![[r#"
            {a@1:1=1 b@2:1={c@3:3=1 } }
            f:4:3: `c` is already set on line 3; keep one of the two
            f:5:1: `a` is already set on line 1; keep one of the two"#]],
    );
}

#[test]
fn tabs_and_broken_indentation_are_placed() {
    check(
        "a:\n\tb: 1\n",
        &expect![[r#"
        nothing
        f:2:2: not YAML: tabs disallowed within this context (block indentation); indent with spaces"#]],
    );
    check(
        "a:\n   b: 1\n  c: 2\n",
        &expect![[r#"
        nothing
        f:3:3: not YAML: while parsing a block mapping, did not find expected key; look at the indentation of this line and the one before"#]],
    );
    check(
        "a: [1, 2\n",
        &expect![[r#"
        nothing
        f:1:4: not YAML: unclosed bracket '['"#]],
    );
    check(
        "a: 'x\n",
        &expect![[r#"
        nothing
        f:2:1: not YAML: invalid indentation in multiline quoted scalar"#]],
    );
    check(
        "a: b: c\n",
        &expect![[r#"
        nothing
        f:1:5: not YAML: mapping values are not allowed in this context"#]],
    );
}

#[test]
fn merge_keys_give_way_to_what_is_written() {
    check(
        "d: &d {x: 1, y: 2}\ng:\n  y: 3\n  <<: *d\nh:\n  <<: [*d, {z: 4}]\n",
        &expect!["{d@1:1={x@1:8=1 y@1:14=2 } g@2:1={y@3:3=3 x@1:8=1 } h@5:1={x@1:8=1 y@1:14=2 z@6:13=4 } }"],
    );
    check(
        "g:\n  <<: 3\n",
        &expect![[r#"
        {g@1:1={} }
        f:2:7: `<<` takes a mapping, or a list of mappings"#]],
    );
}

#[test]
fn null_is_null_only_without_quotes() {
    check(
        "a:\nb: ~\nc: null\nd: \"null\"\ne: [null, 'null', nobody]\n",
        &expect![[r#"{a@1:1=null b@2:1=null c@3:1=null d@4:1="null" e@5:1=[null "null" nobody ] }"#]],
    );
}

#[test]
fn scalars_stay_as_written() {
    check(
        "a: 010\nb: .inf\nc: yes\nd: 1_000\ne: !!str 12\nf: 9600%\n",
        &expect![[r#"{a@1:1=010 b@2:1=.inf c@3:1=yes d@4:1=1_000 e@5:1="12" f@6:1=9600% }"#]],
    );
}

#[test]
fn one_document() {
    check(
        "a: 1\n---\nb: 2\n",
        &expect![[r#"
        nothing
        f:2:1: a second document starts here; the file must hold one"#]],
    );
    check("---\na: 1\n...\n", &expect!["{a@2:1=1 }"]);
    check("# nothing\n", &expect!["nothing"]);
    check("", &expect!["nothing"]);
    check(
        "%YAML 1.1\n---\na: 1\n",
        &expect![[r#"
        nothing
        f:1:1: not YAML: YAML directives are disallowed"#]],
    );
}

#[test]
fn tags_keys_and_aliases_that_mean_nothing_are_refused() {
    check(
        "a: !include other.yaml\n",
        &expect![[r#"
        {a@1:1=other.yaml }
        f:1:13: the tag !include means nothing here; leave it out"#]],
    );
    check(
        "? [a, b]\n: 1\nc: 2\n",
        &expect![[r#"
        {c@3:1=2 }
        f:1:3: a key must be a word, not a list or a mapping"#]],
    );
    check(
        "a: *nobody\n",
        &expect![[r#"
        nothing
        f:1:4: not YAML: while parsing node, found unknown anchor"#]],
    );
    check(
        "a: &a [*a]\n",
        &expect![[r#"
        nothing
        f:1:8: this alias stands inside what it stands for"#]],
    );
}

#[test]
fn a_page_of_aliases_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = level - 1;
        text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{below}"); 9].join(", ")));
    }
    let mut findings = Findings::default();
    assert!(parse(&text, &mut findings).is_none());
    let (mistakes, _) = findings.finish("f");
    assert!(mistakes[0].message.contains("more than 50000 values"), "{mistakes:?}");
}

#[test]
fn depth_is_limited() {
    let mut findings = Findings::default();
    let text = format!("a: {}{}\n", "[".repeat(40), "]".repeat(40));
    assert!(parse(&text, &mut findings).is_none());
}
