use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

fn check(text: &str, lone: LoneSurrogate) -> Result<(), Fault> {
    let mut scanner = Scanner::new(text, lone);
    scanner.skip()?;
    scanner.end()
}

fn reads(text: &str) -> String {
    let mut scanner = Scanner::new(text, LoneSurrogate::Accept);
    scanner.string().unwrap().into_owned()
}

#[test]
fn faults_say_where_and_what() {
    let fault = |text| check(text, LoneSurrogate::Refuse).unwrap_err();
    assert_eq!(fault("{\"a\" 1}"), Fault { at: 5, what: "expected a colon after the key" });
    assert_eq!(fault("[1,]").at, 3);
    assert_eq!(fault("{\"a\":1,}").at, 7);
    assert_eq!(fault("{,\"a\":1}").at, 1);
    assert_eq!(fault("[01]").at, 2);
    assert_eq!(fault("[1.]").at, 3);
    assert_eq!(fault("\"a\nb\"").what, "control characters must be escaped");
    assert_eq!(fault("\"a\\x\"").at, 2);
    assert_eq!(fault("\"\\u12g4\"").at, 1);
    assert_eq!(fault("\"open").at, 5);
    assert_eq!(fault("nul").at, 0);
    assert_eq!(fault("{} {}").at, 3);
    assert_eq!(fault("").at, 0);
}

#[test]
fn nesting_is_followed_to_the_bound_and_no_deeper() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(check(&nested(128), LoneSurrogate::Refuse), Ok(()));
    let fault = check(&nested(129), LoneSurrogate::Refuse).unwrap_err();
    assert_eq!((fault.at, fault.what), (128, "nested deeper than 128 levels"));
    assert!(check(&"[".repeat(1 << 20), LoneSurrogate::Refuse).is_err());
    // Closing gives the depth back.
    let flat = format!("[{}[]]", "[],".repeat(1_000));
    assert_eq!(check(&flat, LoneSurrogate::Refuse), Ok(()));
}

#[test]
fn escapes_are_decoded() {
    assert_eq!(reads(r#""\"\\\/\b\f\n\r\t""#), "\"\\/\u{8}\u{c}\n\r\t");
    assert_eq!(reads(r#""caf\u00e9 \ud83d\ude00 ok""#), "café 😀 ok");
    assert_eq!(reads(r#""\u0000x""#), "\u{0}x");
}

#[test]
fn half_a_surrogate_pair_is_refused_or_read_as_a_replacement() {
    for lone in [
        r#""\ud83d""#,
        r#""\ude00""#,
        r#""\ud83dx""#,
        r#""\ud83d\u0041""#,
        r#""\ud83d\ud83d\ude00""#,
    ] {
        assert!(check(lone, LoneSurrogate::Refuse).is_err(), "{lone}");
        assert_eq!(check(lone, LoneSurrogate::Accept), Ok(()), "{lone}");
        assert!(reads(lone).contains('\u{fffd}'), "{lone}");
    }
    assert_eq!(reads(r#""\ud83d\ud83d\ude00""#), "\u{fffd}😀");
}

#[test]
fn specials_are_found_at_every_offset() {
    for length in 0..40 {
        for (special, found) in [("\"", true), ("\u{1f}\"", false), ("\\n\"", true)] {
            let text = format!("\"{}{special}", "é".repeat(length));
            assert_eq!(check(&text, LoneSurrogate::Refuse).is_ok(), found, "{text:?}");
            let text = format!("\"{}{special}", "a".repeat(length));
            assert_eq!(check(&text, LoneSurrogate::Refuse).is_ok(), found, "{text:?}");
        }
    }
}

/// JSON text, mostly well-formed, with a few characters struck out or put in.
fn nearly_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| format!("{number}e-3")),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "[a-z\\\\u0-9\"d]{0,12}".prop_map(|text| format!("\"{text}\"")),
    ];
    let value = leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec(("\"[a-z]{0,3}\"", inner), 0..4).prop_map(|members| {
                let members = members.into_iter().map(|(key, value)| format!("{key}:{value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    });
    (value, any::<prop::sample::Index>(), prop::option::of("[\\[\\]{},:\" 0a\\\\-]")).prop_map(
        |(text, place, with)| {
            let Some(with) = with else { return text };
            let mut letters: Vec<char> = text.chars().collect();
            let place = place.index(letters.len().max(1));
            if place < letters.len() {
                letters[place] = with.chars().next().unwrap();
            }
            letters.into_iter().collect()
        },
    )
}

proptest! {
    #[test]
    fn accepts_exactly_what_is_json(text in nearly_json()) {
        let theirs = serde_json::from_str::<IgnoredAny>(&text).is_ok();
        prop_assert_eq!(check(&text, LoneSurrogate::Accept).is_ok(), theirs, "{}", text);
    }

    #[test]
    fn strings_decode_as_they_do_elsewhere(text in any::<String>()) {
        let plain = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(reads(&plain), text.clone());
        let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
        prop_assert_eq!(reads(&format!("\"{units}\"")), text);
    }

    #[test]
    fn anything_is_scanned_without_panic(text in any::<String>()) {
        let fault = check(&text, LoneSurrogate::Refuse).err();
        prop_assert!(fault.is_none_or(|fault| fault.at <= text.len()));
    }
}

#[test]
fn what_is_nested_too_deep_is_told_from_what_is_broken() {
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    for (text, deep) in [
        (nested(128), false),
        (nested(129), true),
        (format!("{{\"a\":\"{}\"}}", "[".repeat(500)), false),
        (format!("{{\"a\\\"\":\"\\\\\",\"b\":{}}}", nested(128)), true),
        ("[".repeat(129), true),
        ("{\"a\":".to_owned(), false),
        ("[],".repeat(500), false),
    ] {
        assert_eq!(nests_too_deep(text.as_bytes()), deep, "{text}");
        assert!(!deep || check(&text, LoneSurrogate::Refuse).is_err());
    }
}
