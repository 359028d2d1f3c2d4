//! Compares a verdict with what a case expects: what is expected must be there, what else is there
//! does not matter unless the case is exact. Says where they differ, one line each.

use serde_json::{Map, Value};
use turnpike_ledger::PicoUsd;

/// Characters of a value that a difference shows.
const SHOWN_MAX: usize = 160;

/// How strictly a case is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) tolerance: f64,
    pub(super) exact: bool,
}

/// Where the two differ; empty when they do not.
pub(super) fn differences(expected: &Value, found: &Value, rules: Rules) -> Vec<String> {
    let mut out = Vec::new();
    compare("", expected, found, rules, &mut out);
    out
}

fn compare(path: &str, expected: &Value, found: &Value, rules: Rules, out: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(wanted), _) if is_matcher(wanted) => {
            if !matches(wanted, found) {
                out.push(difference(path, expected, found));
            }
        }
        (Value::Object(wanted), Value::Object(has)) => objects(path, wanted, has, rules, out),
        (Value::Array(wanted), Value::Array(has)) => {
            if wanted.len() != has.len() {
                let (wanted, has) = (wanted.len(), has.len());
                let found = shown(found);
                out.push(format!("{}: expected {wanted} of them, got {has}: {found}", at(path)));
                return;
            }
            for (index, (wanted, has)) in wanted.iter().zip(has).enumerate() {
                compare(&format!("{path}[{index}]"), wanted, has, rules, out);
            }
        }
        (Value::Number(wanted), Value::Number(has)) => {
            let off = wanted.as_f64().zip(has.as_f64()).map(|(one, other)| (one - other).abs());
            if !off.is_some_and(|off| off <= rules.tolerance) {
                out.push(difference(path, expected, found));
            }
        }
        (Value::String(wanted), Value::String(has)) => {
            let amount = |text: &String| text.parse::<PicoUsd>().ok();
            // "0.10" and "0.1" are one amount.
            let same = amount(wanted).zip(amount(has)).is_some_and(|(one, other)| one == other);
            if wanted != has && !same {
                out.push(difference(path, expected, found));
            }
        }
        (wanted, has) if wanted == has => {}
        _ => out.push(difference(path, expected, found)),
    }
}

fn objects(
    path: &str,
    wanted: &Map<String, Value>,
    has: &Map<String, Value>,
    rules: Rules,
    out: &mut Vec<String>,
) {
    for (name, wanted) in wanted {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match has.get(name) {
            Some(found) => compare(&path, wanted, found, rules, out),
            None => {
                let whole = shown(&Value::Object(has.clone()));
                out.push(format!("{path}: expected {}, but there is {whole}", shown(wanted)));
            }
        }
    }
    if rules.exact {
        for (name, found) in has.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
            out.push(format!("{}: {name} is not expected: {}", at(path), shown(found)));
        }
    }
}

/// `{"min": 0.2, "max": 0.8}` and `{"contains": "x"}` stand for values that fit.
fn is_matcher(wanted: &Map<String, Value>) -> bool {
    !wanted.is_empty() && wanted.keys().all(|key| matches!(&**key, "min" | "max" | "contains"))
}

fn matches(wanted: &Map<String, Value>, found: &Value) -> bool {
    wanted.iter().all(|(key, bound)| match (&**key, bound, found) {
        ("contains", Value::String(part), Value::String(text)) => text.contains(part),
        ("contains", part, Value::Array(list)) => list.contains(part),
        ("min", Value::Number(min), Value::Number(number)) => number.as_f64() >= min.as_f64(),
        ("max", Value::Number(max), Value::Number(number)) => number.as_f64() <= max.as_f64(),
        _ => false,
    })
}

fn difference(path: &str, expected: &Value, found: &Value) -> String {
    format!("{}: expected {}, got {}", at(path), shown(expected), shown(found))
}

fn at(path: &str) -> &str {
    if path.is_empty() { "the verdict" } else { path }
}

/// A value on one line, cut where it gets long.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut cut: String = text.chars().take(SHOWN_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(expected: &Value, verdict: &Value, tolerance: f64, exact: bool) -> Vec<String> {
        differences(expected, verdict, Rules { tolerance, exact })
    }

    #[test]
    fn what_is_expected_must_be_there_and_the_rest_may() {
        let verdict = json!({"task": "code", "difficulty": 0.5, "needs": ["tools"]});
        assert!(found(&json!({"task": "code"}), &verdict, 0.0, false).is_empty());
        assert_eq!(
            found(&json!({"task": "chat", "needs": []}), &verdict, 0.0, false),
            [
                r#"task: expected "chat", got "code""#,
                r#"needs: expected 0 of them, got 1: ["tools"]"#,
            ]
        );
        let exact = found(&json!({"task": "code", "needs": ["tools"]}), &verdict, 0.0, true);
        assert_eq!(exact, ["the verdict: difficulty is not expected: 0.5"]);
    }

    #[test]
    fn numbers_have_a_tolerance_and_ranges() {
        let verdict = json!({"difficulty": 0.5});
        assert!(found(&json!({"difficulty": 0.55}), &verdict, 0.1, true).is_empty());
        assert_eq!(found(&json!({"difficulty": 0.7}), &verdict, 0.1, true).len(), 1);
        let range = json!({"difficulty": {"min": 0.4, "max": 0.6}});
        assert!(found(&range, &verdict, 0.0, true).is_empty());
        assert_eq!(found(&json!({"difficulty": {"min": 0.6}}), &verdict, 0.0, true).len(), 1);
    }

    #[test]
    fn amounts_are_compared_as_amounts_and_texts_as_texts() {
        let verdict = json!({"total": "0.1", "text": "a [EMAIL]"});
        assert!(found(&json!({"total": "0.100"}), &verdict, 0.0, false).is_empty());
        assert_eq!(found(&json!({"total": "0.11"}), &verdict, 0.0, false).len(), 1);
        let part = json!({"text": {"contains": "[EMAIL]"}});
        assert!(found(&part, &verdict, 0.0, false).is_empty());
        assert_eq!(found(&json!({"text": "[EMAIL]"}), &verdict, 0.0, false).len(), 1);
    }

    #[test]
    fn a_refusal_in_place_of_a_verdict_is_shown() {
        let refusal = json!({"refusal": "trap", "detail": "wasm trap"});
        let told = found(&json!({"task": "code"}), &refusal, 0.0, false);
        assert!(told.len() == 1 && told[0].contains("wasm trap"), "{told:?}");
    }
}
