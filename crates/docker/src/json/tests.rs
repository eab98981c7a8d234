//! Stories of bodies that two readers could read differently, and properties of the reader.

use proptest::prelude::*;

use super::{JSON_BODY_BYTES_MAX, JSON_DEPTH_MAX, JSON_VALUES_MAX, Json, JsonError, Object, fold, parse};

fn error(body: &str) -> String {
    parse(body.as_bytes()).expect_err(body).to_string()
}

fn round(body: &str) -> String {
    String::from_utf8(parse(body.as_bytes()).expect(body).to_bytes()).expect("utf-8")
}

#[test]
fn values_keep_their_order_their_digits_and_their_letters() {
    for body in [
        "null",
        r#"{"b":1,"a":[true,false,null,{}],"c":{"x":""}}"#,
        "[0,-0,-1,9223372036854775807,18446744073709551615,0.10,1e400,1.50E-3]",
        r#"["\"\\\n\r\t\u0001é漢🚀"]"#,
    ] {
        assert_eq!(round(body), body);
    }
    assert_eq!(round(" \t\r\n{ \"a\" : [ 1 , 2 ] } \n"), r#"{"a":[1,2]}"#);
    assert_eq!(round(r#""\u0041\/\b\f\ud83d\ude80""#), "\"A/\\u0008\\u000c🚀\"");
}

#[test]
fn what_is_not_json_is_told_with_its_place() {
    let story = [
        ("", "got EOF while reading request body: it is empty; a JSON object is needed"),
        ("  ", "got EOF while reading request body: it is empty; a JSON object is needed"),
        ("{} {}", "the body has bytes after its JSON value, at byte 3"),
        ("{}x", "the body has bytes after its JSON value, at byte 2"),
        ("\u{feff}{}", "the body is not valid JSON at byte 0: a value was expected"),
        (r#"{"a":1,"b":2,"a":3}"#, "the key \"a\" occurs twice in one object, again at byte 13"),
        (r#"{"a":1,"\u0061":2}"#, "the key \"a\" occurs twice in one object, again at byte 7"),
        ("{\"a\"}", "the body is not valid JSON at byte 4: a colon was expected after the key"),
        ("{a:1}", "the body is not valid JSON at byte 1: a key in quotes was expected"),
        ("{\"a\":1,}", "the body is not valid JSON at byte 7: a key in quotes was expected"),
        ("[1,]", "the body is not valid JSON at byte 3: a value was expected"),
        ("[1 2]", "the body is not valid JSON at byte 3: a comma or ] was expected"),
        ("01", "the body has bytes after its JSON value, at byte 1"),
        ("[1.]", "the body is not valid JSON at byte 3: a digit was expected"),
        ("+1", "the body is not valid JSON at byte 0: a value was expected"),
        ("NaN", "the body is not valid JSON at byte 0: a value was expected"),
        ("nul", "the body is not valid JSON at byte 0: a value was expected"),
        ("\"a", "the body is not valid JSON at byte 2: the body ends inside a string"),
        ("\"a\nb\"", "the body is not valid JSON at byte 2: a control character in a string must be escaped"),
        (
            r#""\x""#,
            "the body is not valid JSON at byte 2: an escape letter was expected after the backslash",
        ),
        (r#""\u12""#, "the body is not valid JSON at byte 5: four hexadecimal digits were expected"),
        (
            r#""\ud800""#,
            "the body is not valid JSON at byte 1: a surrogate half without its other half is not a letter",
        ),
        (
            r#""\udc00\ud800""#,
            "the body is not valid JSON at byte 1: a surrogate half without its other half is not a letter",
        ),
        (r#""/a\u0000/b""#, "the body is not valid JSON at byte 3: a NUL character is not accepted"),
    ];
    for (body, expected) in story {
        assert_eq!(error(body), expected, "{body:?}");
    }
    assert_eq!(parse(b"\"\xff\""), Err(JsonError::Utf8 { at: 1 }));
}

#[test]
fn depth_and_size_have_a_limit() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(parse(deep(JSON_DEPTH_MAX).as_bytes()).is_ok());
    assert_eq!(parse(deep(JSON_DEPTH_MAX + 1).as_bytes()), Err(JsonError::Depth { at: JSON_DEPTH_MAX }));
    assert_eq!(parse("[".repeat(1_000_000).as_bytes()), Err(JsonError::Depth { at: JSON_DEPTH_MAX }));

    let mut body = vec![b' '; JSON_BODY_BYTES_MAX - 2];
    body.extend(b"{}");
    assert!(parse(&body).is_ok());
    body.push(b' ');
    assert_eq!(parse(&body), Err(JsonError::TooLarge { bytes: JSON_BODY_BYTES_MAX + 1 }));
}

#[test]
fn keys_fold_as_in_go() {
    assert_eq!(fold("Ho\u{17f}tConfig"), "hostconfig");
    assert_eq!(fold("Networ\u{212a}Mode"), "networkmode");
    // Go folds no other letters: these two stay different.
    assert_ne!(fold("Ä"), fold("ä"));
    let object = |body: &str| match parse(body.as_bytes()).expect(body) {
        Json::Object(object) => object,
        other => panic!("{other:?}"),
    };
    assert_eq!(object(r#"{"Memory":1,"memory":2}"#).folded_duplicate(), Some(("Memory", "memory")));
    assert_eq!(object(r#"{"Binds":1,"Bind\u017f":2}"#).folded_duplicate(), Some(("Binds", "Bind\u{17f}")));
    assert_eq!(object(r#"{"a":1,"b":2}"#).folded_duplicate(), None);
}

#[test]
fn numbers_are_read_as_go_reads_them_into_whole_numbers() {
    let number = |body: &str| parse(body.as_bytes()).expect(body).as_i64();
    assert_eq!(number("9223372036854775807"), Some(i64::MAX));
    for not_whole in ["9223372036854775808", "1.0", "1e3", "0.5"] {
        assert_eq!(number(not_whole), None, "{not_whole}");
    }
}

#[test]
fn neutral_values_say_nothing() {
    for neutral in
        ["null", "false", "0", "-0", "0.0", "0e9", "\"\"", "[]", "{}", r#"{"a":null,"b":{"c":[]}}"#]
    {
        assert!(parse(neutral.as_bytes()).expect(neutral).is_neutral(), "{neutral}");
    }
    for telling in ["true", "-1", "0.1", "\"0\"", "[0]", "[null]", r#"{"a":1}"#] {
        assert!(!parse(telling.as_bytes()).expect(telling).is_neutral(), "{telling}");
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(Json::int),
        "[^\u{0}]{0,8}".prop_map(Json::text),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::btree_map("[^\u{0}]{0,8}", inner, 0..6)
                .prop_map(|map| Json::Object(map.into_iter().collect::<Object>())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&body);
    }

    #[test]
    fn no_almost_json_makes_the_reader_panic(body in r#"[\[\]{}:,"\\ua0-9eE+.\-tfn ]{0,60}"#) {
        if let Ok(value) = parse(body.as_bytes()) {
            prop_assert_eq!(parse(&value.to_bytes()), Ok(value));
        }
    }

    #[test]
    fn what_is_written_is_read_again(value in any_json()) {
        let bytes = value.to_bytes();
        prop_assert_eq!(parse(&bytes), Ok(value.clone()));
        // Another reader agrees.
        let other: serde_json::Value = serde_json::from_slice(&bytes).expect("valid");
        prop_assert_eq!(other, serde_json::Value::from(&value));
    }

    #[test]
    fn what_another_reader_refuses_is_refused(body in r#"[\[\]{}:,"0-9eE+.\-tfn ]{0,40}"#) {
        if serde_json::from_str::<serde_json::Value>(&body).is_err() && !body.contains(['e', 'E']) {
            prop_assert!(parse(body.as_bytes()).is_err(), "{}", body);
        }
    }
}

#[test]
fn a_body_of_many_values_is_refused_before_it_fills_the_memory() {
    let many = |count: usize| format!("[{}0]", "0,".repeat(count));
    assert!(parse(many(JSON_VALUES_MAX - 2).as_bytes()).is_ok());
    assert!(matches!(parse(many(JSON_VALUES_MAX).as_bytes()), Err(JsonError::TooMany { .. })));
}

#[test]
fn many_keys_take_no_square_of_time() {
    let object: Object = (0..200_000).map(|n| (format!("k{}", n % 150_000), Json::int(n))).collect();
    assert_eq!(object.iter().count(), 150_000);
    assert_eq!(object.get("k0"), Some(&Json::int(150_000)));
}
