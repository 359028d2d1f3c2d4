//! Cards, IBANs and phone numbers are the published test numbers of their issuers; keys are made
//! up in the right form.

use turnpike_policy_sdk::{Action, Place, Plugin, Redact};

use super::RedactDefault;

mod chunking;

fn place(direction: &str) -> Place {
    Place { direction: direction.to_owned(), channel: "text".to_owned(), role: "user".to_owned() }
}

/// Everything is masked, so that a test sees what is left.
fn masking() -> RedactDefault {
    let mut policy = RedactDefault::default();
    policy.configure(r#"{"input": {"all": "mask"}}"#).unwrap();
    policy
}

/// The text with `<kind>` in the place of every entity, as a host would mask it.
fn masked(policy: &RedactDefault, text: &str) -> String {
    let found = policy.scan(&place("input"), text, true).unwrap();
    assert_eq!(found.hold, 0, "a last window holds nothing");
    replace(text, &found.spans)
}

fn replace(text: &str, spans: &[turnpike_policy_sdk::Span]) -> String {
    let mut out = String::new();
    let mut at = 0;
    for span in spans {
        let start = span.start as usize;
        assert!(start >= at, "spans are ordered and do not overlap");
        out.push_str(&text[at..start]);
        if span.action == Action::Note {
            out.push_str(&text[start..start + span.length as usize]);
        } else {
            out.push_str(&format!("<{}>", span.kind));
        }
        at = start + span.length as usize;
    }
    out.push_str(&text[at..]);
    out
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let policy = masking();
    for (text, wanted) in cases {
        assert_eq!(masked(&policy, text), *wanted, "{text}");
    }
}

#[test]
fn email_addresses_are_found_in_their_surroundings() {
    check(&[
        ("Write to jane.doe+list@mail.example.com.", "Write to <email>."),
        ("<jo@x.org>,\"a_b@c-d.io\"", "<<email>>,\"<email>\""),
        ("mailto:a@b.co?subject=x", "mailto:<email>?subject=x"),
        ("a@b, @handle, x@y.1, user@localhost", "a@b, @handle, x@y.1, user@localhost"),
        ("写信给a@b.com吧", "写信给<email>吧"),
    ]);
}

#[test]
fn cards_need_a_brand_a_length_and_the_check_digit() {
    check(&[
        ("4111 1111 1111 1111", "<card>"),
        ("card:4111111111111111.", "card:<card>."),
        ("(5555-5555-5555-4444)", "(<card>)"),
        ("3782 822463 10005 amex", "<card> amex"),
        ("6011111111111117, 3530111333300000", "<card>, <card>"),
        ("30569309025904 2223003122003222", "<card> <card>"),
        ("7 4111 1111 1111 1111 exp 12/27", "7 <card> exp 12/27"),
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),
        ("9111111111111119 order 411111111111111", "9111111111111119 order 411111111111111"),
        ("x4111111111111111 4111111111111111y", "x4111111111111111 4111111111111111y"),
    ]);
}

#[test]
fn ibans_need_their_countrys_length_and_97() {
    check(&[
        ("DE89 3704 0044 0532 0130 00", "<iban>"),
        ("to GB29NWBK60161331926819.", "to <iban>."),
        ("FR14 2004 1010 0505 0001 3M02 606 please", "<iban> please"),
        ("NO93 8601 1117 947", "<iban>"),
        ("DE89 3704 0044 0532 0130 07", "DE89 3704 0044 0532 0130 07"),
        ("DE89370400440532013 is short", "DE89370400440532013 is short"),
        ("ZZ89 3704 0044 0532 0130 00", "ZZ89 3704 0044 0532 0130 00"),
    ]);
}

#[test]
fn phone_numbers_are_told_from_other_numbers() {
    check(&[
        ("call +1 415 555 0132 now", "call <phone> now"),
        ("+49 30 901820, +33 6 12 34 56 78", "<phone>, <phone>"),
        ("(415) 555-0132", "<phone>"),
        ("415-555-0132 or 415.555.0132.", "<phone> or <phone>."),
        ("020 7946 0958; 030/9018200", "<phone>; <phone>"),
        ("on 2024-01-15 10:30, 05/12/2024", "on 2024-01-15 10:30, 05/12/2024"),
        ("192.168.10.1 v1.22.333 0.12345678901", "192.168.10.1 v1.22.333 0.12345678901"),
        ("1234567890 items, 3.14159265358979", "1234567890 items, 3.14159265358979"),
    ]);
}

#[test]
fn credentials_are_known_by_their_issuers_marks() {
    let body = "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3dEf6h";
    for prefix in [
        "sk-",
        "sk-ant-api03-",
        "sk-proj-",
        "ghp_",
        "github_pat_",
        "glpat-",
        "hf_",
        "gsk_",
        "xai-",
        "sk_live_",
        "xoxb-",
        "npm_",
        "r8_",
        "AIza",
    ] {
        check(&[(&format!("use {prefix}{body}, please"), "use <api-key>, please")]);
    }
    check(&[
        ("AKIAIOSFODNN7EXAMPLE", "<api-key>"),
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1",
            "aws_secret_access_key = <api-key>",
        ),
        ("{\"api_key\": \"q8Zk20dLm4Xw\"}", "{\"api_key\": \"<api-key>\"}"),
        (
            "{\\\"client-secret\\\":\\\"q8Zk20dLm4Xw77\\\"}",
            "{\\\"client-secret\\\":\\\"<api-key>\\\"}",
        ),
        ("Authorization: Bearer q8Zk20dLm4Xw~77/ab+c=", "Authorization: Bearer <token>="),
        ("password: hunter2hunter2", "password: <api-key>"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N", "<token>"),
    ]);
}

#[test]
fn words_that_only_look_like_credentials_stay() {
    for text in [
        "sk-learn-compatible-estimators-are-nice",
        "the bearer of bad news",
        "token: the smallest unit of text",
        "password: required, at least 12 characters",
        "max_tokens=1024 and secret = 42",
        "ghp_short AKIA123",
        "fn token(&self) -> Option<Token1234567890> {}",
    ] {
        check(&[(text, text)]);
    }
}

#[test]
fn private_keys_are_taken_whole() {
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n";
    for label in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
        let key = format!(
            "-----BEGIN {label}PRIVATE KEY-----\n{}-----END {label}PRIVATE KEY-----",
            line.repeat(26)
        );
        check(&[(&format!("key:\n{key}\nthanks"), "key:\n<private-key>\nthanks")]);
        let escaped = key.replace('\n', "\\n");
        check(&[(&format!("\"{escaped}\""), "\"<private-key>\"")]);
    }
    check(&[("-----BEGIN CERTIFICATE-----\nabc", "-----BEGIN CERTIFICATE-----\nabc")]);
    let torn = format!("-----BEGIN PRIVATE KEY-----\n{line}");
    check(&[(&torn, "<private-key>")]);
}

#[test]
fn by_default_credentials_are_pseudonymized_and_personal_data_is_counted() {
    let text = "a@b.com 4111111111111111 AKIAIOSFODNN7EXAMPLE";
    let actions = |direction: &str| {
        let found = RedactDefault::default().scan(&place(direction), text, true).unwrap();
        found.spans.into_iter().map(|span| (span.kind, span.action)).collect::<Vec<_>>()
    };
    let wanted = |key: Action| {
        [("email", Action::Note), ("card", Action::Note), ("api-key", key)]
            .map(|(kind, action)| (kind.to_owned(), action))
    };
    assert_eq!(actions("input"), wanted(Action::Pseudonymize));
    assert_eq!(actions("output"), wanted(Action::Note));
}

#[test]
fn each_kind_and_direction_is_set_apart() {
    let mut policy = RedactDefault::default();
    let config = r#"{"input": {"all": "off", "email": "pseudonymize", "card": "block"},
                     "output": {"email": "mask"}}"#;
    policy.configure(config).unwrap();
    let text = "a@b.com AKIAIOSFODNN7EXAMPLE 4111111111111111";
    let input = policy.scan(&place("input"), text, true).unwrap().spans;
    assert_eq!(input.len(), 2, "what is off is not even counted");
    assert_eq!(input[0].action, Action::Pseudonymize);
    assert!(matches!(&input[1].action, Action::Block(why) if why.contains("card")));
    let output = policy.scan(&place("output"), text, true).unwrap().spans;
    assert_eq!(output[0].action, Action::Mask);
    assert_eq!(output[1].action, Action::Note);
}

#[test]
fn a_wrong_configuration_is_refused_with_what_is_wrong() {
    for (config, part) in [
        (r#"{"inputs": {}}"#, "inputs"),
        (r#"{"input": {"emial": "mask"}}"#, "emial"),
        (r#"{"input": {"email": "hide"}}"#, "hide"),
        ("nonsense", "JSON"),
    ] {
        let error = RedactDefault::default().configure(config).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    assert!(RedactDefault::manifest().config_schema.contains("\"private-key\""));
}
