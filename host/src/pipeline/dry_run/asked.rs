//! What is to be explained: a body as it would be sent to a provider's API, or that body in an
//! envelope with its dialect and with rules to try.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use turnpike_protocol::{Call, Dialect};

use crate::error::Refusal;
use crate::hook::Clearance;
use crate::json::{self, Fault, Object};
use crate::route::{RULE_BYTES_MAX, RULES_BYTES_MAX, RULES_MAX, Rule};

/// Bytes of the rules as they were sent, white space too: beyond, they are not read.
const SENT_BYTES_MAX: usize = 4 * RULES_BYTES_MAX;

/// Of a member's name that is told in a refusal.
const NAME_CHARS_SHOWN: usize = 40;
/// The members of the envelope.
const ENVELOPE: [&str; 5] = ["request", "dialect", "model", "class", "rules"];

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) body: Bytes,
    pub(super) dialect: Dialect,
    pub(super) embeds: bool,
    /// Where the body's dialect has it in the path.
    pub(super) model: Option<String>,
    pub(super) class: Option<Clearance>,
    /// In place of the organization's own.
    pub(super) rules: Option<Vec<Rule>>,
}

/// `{"request": {…}, "dialect": "openai-chat", "model": "auto", "class": "internal", "rules": []}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    request: &'a RawValue,
    dialect: Option<String>,
    model: Option<String>,
    class: Option<String>,
    #[serde(borrow)]
    rules: Option<&'a RawValue>,
}

/// The members by which bodies are told apart; what they hold is not looked at.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow)]
    request: Option<&'a RawValue>,
    #[serde(borrow)]
    contents: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    encoding_format: Option<&'a RawValue>,
    #[serde(borrow)]
    dimensions: Option<&'a RawValue>,
}

// === impl Asked ===

impl Asked {
    /// Reads either form.
    pub(super) fn read(body: Bytes, headers: &HeaderMap) -> Result<Self, Box<Refusal>> {
        let shape: Shape<'_> = parse(&body)?;
        if shape.request.is_none() {
            let (dialect, embeds) = guessed(&shape, &body, headers);
            return Ok(Self { body, dialect, embeds, model: None, class: None, rules: None });
        }
        let envelope: Envelope<'_> = parse(&body).map_err(|other| misaddressed(&body, other))?;
        let inner = body.slice_ref(envelope.request.get().as_bytes());
        let shape: Shape<'_> = parse(&inner)?;
        let (mut dialect, mut embeds) = guessed(&shape, &inner, headers);
        match envelope.dialect.as_deref() {
            None => {}
            Some("embeddings") => (dialect, embeds) = (Dialect::OpenAiChat, true),
            Some(label) => {
                let known = Dialect::parse(label).filter(|it| *it != Dialect::BedrockConverse);
                let Some(known) = known else { return Err(wrong("dialect", &dialects())) };
                (dialect, embeds) = (known, false);
            }
        }
        let class = envelope.class.as_deref().map(|label| {
            let wrong = || wrong("class", "public, internal, confidential or restricted");
            Clearance::from_label(label).ok_or_else(wrong)
        });
        let rules = envelope.rules.map(tried).transpose()?;
        let class = class.transpose()?;
        Ok(Self { body: inner, dialect, embeds, model: envelope.model, class, rules })
    }
}

/// The rules to try, within the bounds of those that are kept.
fn tried(sent: &RawValue) -> Result<Vec<Rule>, Box<Refusal>> {
    let too_long = || wrong("rules", &format!("all together have at most {RULES_BYTES_MAX} bytes"));
    if sent.get().len() > SENT_BYTES_MAX {
        return Err(too_long());
    }
    let unread: Vec<&RawValue> =
        serde_json::from_str(sent.get()).map_err(|_| wrong("rules", "a list of rules"))?;
    if unread.len() > RULES_MAX {
        return Err(wrong("rules", &format!("at most {RULES_MAX} rules")));
    }
    let (mut rules, mut bytes) = (Vec::with_capacity(unread.len()), 0_usize);
    for (at, text) in unread.into_iter().enumerate() {
        let place = format!("rules.{at}");
        let rule: Rule =
            json::read(text.get().as_bytes()).map_err(|fault| misread(&place, &fault))?;
        rule.check().map_err(|fault| wrong(&format!("{place}.{}", fault.field), &fault.reason))?;
        let written = serde_json::to_string(&rule).map_or(usize::MAX, |text| text.len());
        if written > RULE_BYTES_MAX {
            let most = format!("a rule has at most {RULE_BYTES_MAX} bytes; use patterns with *");
            return Err(wrong(&place, &most));
        }
        bytes = bytes.saturating_add(written);
        rules.push(rule);
    }
    if bytes > RULES_BYTES_MAX { Err(too_long()) } else { Ok(rules) }
}

/// Which member of an envelope can't be read, by its name alone.
fn misaddressed(body: &[u8], other: Box<Refusal>) -> Box<Refusal> {
    let Ok(members) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(body) else {
        return other;
    };
    for (name, value) in members {
        if !ENVELOPE.contains(&&*name) {
            let name: String = name.chars().take(NAME_CHARS_SHOWN).collect();
            let known = ENVELOPE.join(", ");
            return wrong(&name, &format!("the envelope has no such member; it has {known}"));
        }
        // What a request and rules are is told where they are read.
        let is_text = matches!(&*name, "dialect" | "model" | "class");
        if is_text && serde_json::from_str::<Option<String>>(value.get()).is_err() {
            return wrong(&name, "text");
        }
    }
    let message = "a member of the envelope is there twice; send it once".to_owned();
    Box::new(Refusal::invalid(400, "duplicate_field", message, None))
}

/// Which member of a rule can't be read, and why.
fn misread(place: &str, fault: &Fault) -> Box<Refusal> {
    let Some(at) = &fault.at else { return wrong(place, &fault.what) };
    // It may be a name that the caller made up.
    let at: String = at.chars().take(NAME_CHARS_SHOWN).collect();
    wrong(&format!("{place}.{at}"), &fault.what)
}

/// The dialect that a body looks like.
fn guessed(shape: &Shape<'_>, body: &Bytes, headers: &HeaderMap) -> (Dialect, bool) {
    if shape.contents.is_some() {
        return (Dialect::Gemini, false);
    }
    let vectors = shape.encoding_format.is_some() || shape.dimensions.is_some();
    if shape.messages.is_none() && shape.input.is_some() {
        return if vectors {
            (Dialect::OpenAiChat, true)
        } else {
            (Dialect::OpenAiResponses, false)
        };
    }
    if shape.system.is_some() || headers.contains_key("anthropic-version") {
        return (Dialect::AnthropicMessages, false);
    }
    (Call::dialect_of(Dialect::OpenAiChat, body), false)
}

fn dialects() -> String {
    let known = Dialect::ALL.iter().filter(|known| **known != Dialect::BedrockConverse);
    let known: Vec<&str> = known.map(|known| known.label()).collect();
    format!("{} or embeddings", known.join(", "))
}

fn wrong(field: &str, may: &str) -> Box<Refusal> {
    let message = format!("{field} can't be used: {may}");
    Box::new(Refusal::invalid(400, "invalid_value", message, Some(field.to_owned())))
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Box<Refusal>> {
    let read = serde_json::from_slice::<Object<T>>(text).map(|Object(read)| read);
    read.map_err(|cause| {
        let is_object = text.trim_ascii_start().starts_with(b"{");
        // Of data, serde's words may quote the value.
        let told = match cause.classify() {
            serde_json::error::Category::Data if is_object => {
                "a member is not what it should be, or not known"
            }
            _ => "it is no JSON object",
        };
        let message = format!(
            "the body can't be read at line {}, column {}: {told}",
            cause.line(),
            cause.column()
        );
        Box::new(Refusal::invalid(400, "invalid_json", message, None))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &'static str) -> Result<Asked, Box<Refusal>> {
        Asked::read(Bytes::from_static(body.as_bytes()), &HeaderMap::new())
    }

    #[test]
    fn a_body_is_told_by_its_members() {
        for (body, dialect, embeds) in [
            (r#"{"model":"auto","messages":[]}"#, Dialect::OpenAiChat, false),
            (r#"{"model":"auto","system":"x","messages":[]}"#, Dialect::AnthropicMessages, false),
            (r#"{"model":"auto","input":"x"}"#, Dialect::OpenAiResponses, false),
            (r#"{"model":"m","input":"x","dimensions":8}"#, Dialect::OpenAiChat, true),
            (r#"{"contents":[]}"#, Dialect::Gemini, false),
            (r#"{"request":{"contents":[]},"model":"auto"}"#, Dialect::Gemini, false),
            (
                r#"{"request":{"messages":[]},"dialect":"anthropic-messages"}"#,
                Dialect::AnthropicMessages,
                false,
            ),
            (r#"{"request":{"input":"x"},"dialect":"embeddings"}"#, Dialect::OpenAiChat, true),
        ] {
            let asked = read(body).unwrap();
            assert_eq!((asked.dialect, asked.embeds), (dialect, embeds), "{body}");
        }
    }

    #[test]
    fn the_envelope_is_checked_and_names_what_is_wrong() {
        let envelope =
            r#"{"request":{"messages":[]},"class":"internal","rules":[{"deny":["a/*"]}]}"#;
        let asked = read(envelope).unwrap();
        assert_eq!(asked.body, r#"{"messages":[]}"#);
        assert_eq!((asked.class, asked.rules.unwrap().len()), (Some(Clearance::Internal), 1));
        for (body, field) in [
            (r#"{"request":{},"dialect":"morse"}"#, "dialect"),
            (r#"{"request":{},"class":"secret"}"#, "class"),
            (r#"{"request":{},"rules":[{},{"profile":"slow"}]}"#, "rules.1.profile"),
            (r#"{"request":{},"rules":[{"allowed":[]}]}"#, "rules.0.allowed"),
            (r#"{"request":{},"rules":[{"denny":[]}]}"#, "rules.0.denny"),
            (r#"{"request":{},"rules":[{"cost_ceiling_usd":0.01}]}"#, "rules.0.cost_ceiling_usd"),
            (r#"{"request":{},"rules":[{"when":{"modell":[]}}]}"#, "rules.0.when.modell"),
            (r#"{"request":{},"rules":[7]}"#, "rules.0"),
            (r#"{"request":{},"rules":{}}"#, "rules"),
        ] {
            assert_eq!(read(body).unwrap_err().param.as_deref(), Some(field), "{body}");
        }
        for (body, param, said) in [
            (r#"{"request":{},"rule":[]}"#, "rule", "request, dialect, model, class, rules"),
            (r#"{"request":{},"model":["auto"]}"#, "model", "text"),
            (r#"{"request":{},"class":1}"#, "class", "text"),
        ] {
            let refused = read(body).unwrap_err();
            assert_eq!((refused.code, refused.param.as_deref()), ("invalid_value", Some(param)));
            assert!(refused.message.ends_with(said), "{}", refused.message);
        }
        let twice = read(r#"{"request":{},"model":"a","model":"b"}"#).unwrap_err();
        assert_eq!((twice.code, twice.param), ("duplicate_field", None));
    }

    /// By the order of the fields an array could be read as any of these.
    #[test]
    fn what_has_members_is_an_object() {
        for body in ["[1]", r#"[{"messages":[]},null,null,null,null,null,null]"#] {
            let refused = read(body).unwrap_err();
            assert_eq!(refused.code, "invalid_json");
            assert!(refused.message.ends_with("it is no JSON object"), "{}", refused.message);
        }
        for (rules, field) in [
            (r#"[["a rule",false,0]]"#, "rules.0"),
            (r#"[{"deny":["a/*"]},{"when":[["auto"],[],[],[]]}]"#, "rules.1.when"),
            (r#"[{"weights":[1,2,3]}]"#, "rules.0.weights"),
        ] {
            let body = format!("{{\"request\":{{\"messages\":[]}},\"rules\":{rules}}}");
            let refused = Asked::read(body.into(), &HeaderMap::new()).unwrap_err();
            assert_eq!(refused.param.as_deref(), Some(field), "{}", refused.message);
        }
    }

    #[test]
    fn a_rule_is_misread_in_the_words_of_the_admin_api_and_no_text_is_repeated() {
        for (rule, field, said) in [
            (r#"{"free_offers":"tp-secret"}"#, "rules.0.free_offers", "true or false"),
            (r#"{"allow":["a/*",true]}"#, "rules.0.allow.1", "a string"),
            (r#"{"weights":{"cost":256}}"#, "rules.0.weights.cost", "from 0 to 255"),
            (
                r#"{"cost_ceiling_usd":"tp-secret"}"#,
                "rules.0.cost_ceiling_usd",
                "amount in dollars",
            ),
            (r#"{"name":"tp-secret","name":"b"}"#, "rules.0.name", "twice"),
            (r#"{"free_offer":true}"#, "rules.0.free_offer", "free_offers"),
        ] {
            let body = format!(r#"{{"request":{{}},"rules":[{rule}]}}"#);
            let refused = Asked::read(body.into(), &HeaderMap::new()).unwrap_err();
            assert_eq!(refused.param.as_deref(), Some(field), "{}", refused.message);
            assert!(refused.message.contains(said), "{}", refused.message);
            assert!(!refused.message.contains("secret"), "{}", refused.message);
        }
        let long = format!(r#"{{"request":{{}},"rules":[{{"{}":1}}]}}"#, "n".repeat(5_000));
        let refused = Asked::read(long.into(), &HeaderMap::new()).unwrap_err();
        let shown = refused.param.as_ref().map_or(0, String::len);
        assert!(shown < 60 && refused.message.len() < 600, "{}", refused.message);
    }

    /// The admin API keeps no larger rules, so none are compiled for a look either.
    #[test]
    fn rules_to_try_have_the_bounds_of_those_that_are_kept() {
        let rule = |entries: usize| {
            let entry = format!("\"{}\"", "*a".repeat(75));
            format!("{{\"deny\":[{}]}}", vec![entry; entries].join(","))
        };
        let read = |rules: &str| {
            let body = format!("{{\"request\":{{\"messages\":[]}},\"rules\":{rules}}}");
            Asked::read(body.into(), &HeaderMap::new())
        };
        let many =
            |count: usize, entries: usize| format!("[{}]", vec![rule(entries); count].join(","));
        assert_eq!(read(&many(15, 50)).unwrap().rules.unwrap().len(), 15);
        let refused = read(&many(1, 60)).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.param.as_deref()), (400, Some("rules.0")));
        assert!(refused.message.contains("8192"), "{}", refused.message);
        for rules in [many(17, 50), many(101, 0), format!("[{}{{}}]", " ".repeat(SENT_BYTES_MAX))] {
            let refused = read(&rules).unwrap_err();
            assert_eq!((refused.status.as_u16(), refused.param.as_deref()), (400, Some("rules")));
        }
    }
}
