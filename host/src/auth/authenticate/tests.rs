use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::{Caller, Clearance, Directory, KeyText, ModelRules, Pepper};
use super::{AuthError, authenticate};

fn caller() -> Caller {
    Caller {
        org: "acme".into(),
        key_id: "k1".into(),
        name: "ci".into(),
        team: None,
        project: None,
        user: None,
        models: ModelRules::default(),
        clearance: Clearance::Internal,
        plan: None,
        budgets: Default::default(),
        limits: None,
        disabled: false,
        expires_at_ms: None,
    }
}

fn directory(key: &KeyText, caller: Caller) -> Directory {
    let pepper = Pepper::from_bytes(&[7; 32]);
    let hash = pepper.hash(key.reveal());
    Directory::new(pepper, [(hash, caller)])
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    map
}

#[test]
fn a_key_is_found_wherever_clients_put_it() {
    let key = KeyText::generate().unwrap();
    let directory = directory(&key, caller());
    let bearer = format!("Bearer {}", key.reveal());
    let lower = format!("bearer  {}", key.reveal());
    for pairs in [
        vec![("authorization", bearer.as_str())],
        vec![("authorization", lower.as_str())],
        vec![("x-api-key", key.reveal())],
        vec![("x-goog-api-key", key.reveal())],
        vec![("authorization", bearer.as_str()), ("x-api-key", key.reveal())],
    ] {
        let found = authenticate(&headers(&pairs), None, &directory, 0).unwrap();
        assert_eq!(&*found.key_id, "k1");
    }
}

#[test]
fn who_sends_no_key_hears_of_each_header_that_takes_one() {
    let told = AuthError::Missing.to_string();
    for header in ["Authorization: Bearer", "x-api-key", "x-goog-api-key"] {
        assert!(told.contains(header), "{told}");
    }
}

#[test]
fn differing_keys_are_refused_even_if_one_of_them_is_valid() {
    let key = KeyText::generate().unwrap();
    let directory = directory(&key, caller());
    let bearer = format!("Bearer {}", key.reveal());
    let refused = authenticate(
        &headers(&[("authorization", &bearer), ("x-api-key", "sk-other")]),
        None,
        &directory,
        0,
    );
    assert_eq!(refused.unwrap_err(), AuthError::Conflicting);
    let twice = headers(&[("x-api-key", key.reveal()), ("x-api-key", "tp-other")]);
    assert_eq!(authenticate(&twice, None, &directory, 0).unwrap_err(), AuthError::Conflicting);
}

#[test]
fn what_is_not_a_known_key_is_refused_by_name_and_never_repeated() {
    let key = KeyText::generate().unwrap();
    let directory = directory(&key, caller());
    for (pairs, expected) in [
        (vec![], AuthError::Missing),
        (vec![("authorization", "Basic dXNlcg==")], AuthError::Malformed),
        (vec![("authorization", "canary-secret")], AuthError::Malformed),
        (vec![("x-api-key", "")], AuthError::Malformed),
        (vec![("x-api-key", "tp-canary-secret")], AuthError::Unknown),
    ] {
        let refused = authenticate(&headers(&pairs), None, &directory, 0).unwrap_err();
        assert_eq!(refused, expected);
        assert!(!refused.to_string().contains("canary"), "{refused}");
        assert_eq!(refused.status(), 401);
    }
}

#[test]
fn a_former_secret_works_until_its_time_is_over_and_is_told_so_then() {
    let (old, new) = (KeyText::generate().unwrap(), KeyText::generate().unwrap());
    let known = directory(&new, caller());
    let hash = |key: &KeyText| known.pepper().hash(key.reveal());
    let both = known.clone().with_former([(hash(&old), hash(&new), 100)]);
    let sent = headers(&[("x-api-key", old.reveal())]);
    assert_eq!(&*authenticate(&sent, None, &both, 99).unwrap().key_id, "k1");
    let refused = authenticate(&sent, None, &both, 100).unwrap_err();
    assert_eq!((refused, refused.status().as_u16()), (AuthError::Rotated, 401));
    assert!(refused.to_string().contains("rotated"), "{refused}");
    assert!(authenticate(&headers(&[("x-api-key", new.reveal())]), None, &both, 100).is_ok());
}

#[test]
fn disabled_and_expired_keys_are_told_so() {
    let key = KeyText::generate().unwrap();
    let sent = headers(&[("x-api-key", key.reveal())]);
    let off = directory(&key, Caller { disabled: true, ..caller() });
    assert_eq!(authenticate(&sent, None, &off, 0).unwrap_err(), AuthError::Disabled);
    let ends = directory(&key, Caller { expires_at_ms: Some(100), ..caller() });
    assert!(authenticate(&sent, None, &ends, 99).is_ok());
    assert_eq!(authenticate(&sent, None, &ends, 100).unwrap_err(), AuthError::Expired);
}
