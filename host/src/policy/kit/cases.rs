//! The cases of a policy's tests: one JSON object a line, each a question and what is expected.
//! Reads them, and says which line is wrong. Asks nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use turnpike_protocol::{Call, Dialect};

use crate::hook::Hook;
use crate::policy::{AttrValue, Beginnings, RequestFacts, WebAnswer};

use super::figures::{Bill, Route};

/// Lines of a file: a test that asks more takes too long to be run on every save.
const CASES_MAX: usize = 10_000;

/// A question and what is expected.
#[derive(Debug)]
pub(crate) struct Case {
    /// Its own, or where it stands.
    pub(crate) name: String,
    pub(crate) question: Question,
    pub(crate) facts: RequestFacts,
    /// What a policy finds that imports the clock or the state.
    pub(crate) begin: Beginnings,
    /// JSON for `configure`, in place of the run's.
    pub(crate) config: Option<String>,
    pub(crate) expect: Value,
    /// How far a number may be off.
    pub(crate) tolerance: f64,
    /// Whether the verdict may have nothing beyond what is expected.
    pub(crate) exact: bool,
}

/// What is asked.
#[derive(Debug)]
pub(crate) enum Question {
    Classify,
    Route(Box<Route>),
    Redact(Text),
    Bill(Bill),
}

impl Question {
    pub(crate) fn hook(&self) -> Hook {
        match self {
            Self::Classify => Hook::Classify,
            Self::Route(_) => Hook::Route,
            Self::Redact(_) => Hook::Redact,
            Self::Bill(_) => Hook::Bill,
        }
    }
}

/// A text and where it stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Text {
    pub(crate) text: String,
    #[serde(default = "input")]
    pub(crate) direction: String,
    #[serde(default = "text")]
    pub(crate) channel: String,
    #[serde(default = "user")]
    pub(crate) role: String,
}

fn input() -> String {
    "input".to_owned()
}

fn text() -> String {
    "text".to_owned()
}

fn user() -> String {
    "user".to_owned()
}

/// A line as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: Option<String>,
    classify: Option<Value>,
    route: Option<Route>,
    redact: Option<Value>,
    bill: Option<Bill>,
    /// The request in hand, for the decisions that are not asked about it.
    request: Option<Value>,
    #[serde(default)]
    attrs: BTreeMap<String, Value>,
    config: Option<Value>,
    /// Milliseconds since 1970, for the clock.
    #[serde(default = "new_year")]
    now_ms: u64,
    /// What the state holds, as text.
    #[serde(default)]
    state: BTreeMap<String, String>,
    /// What the network answers, by address.
    #[serde(default)]
    fetch: BTreeMap<String, Answer>,
    expect: Value,
    #[serde(default = "no_tolerance")]
    tolerance: f64,
    #[serde(default)]
    exact: bool,
}

/// What the network answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    body: String,
}

fn ok() -> u16 {
    200
}

/// The beginning of 2026, where nothing else is said: cases give the same today and tomorrow.
fn new_year() -> u64 {
    1_767_225_600_000
}

/// Floats that are the same but for their last bits are the same.
fn no_tolerance() -> f64 {
    1e-9
}

/// All cases of a text; empty lines and lines that begin with `//` are skipped.
pub(crate) fn read(text: &str, file: &str) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (at, line) in (1_usize..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let place = format!("{file}:{at}");
        cases.push(case(line, &place).with_context(|| place.clone())?);
        if cases.len() > CASES_MAX {
            bail!("{file}: more than {CASES_MAX} cases; split the file");
        }
    }
    if cases.is_empty() {
        bail!("{file} has no case; docs/policies/testing.md shows what one looks like");
    }
    Ok(cases)
}

fn case(line: &str, place: &str) -> anyhow::Result<Case> {
    let line: Line = serde_json::from_str(line)?;
    let asked =
        [line.classify.is_some(), line.route.is_some(), line.redact.is_some(), line.bill.is_some()];
    if asked.iter().filter(|asked| **asked).count() != 1 {
        bail!("a case has one of `classify`, `route`, `redact` and `bill`");
    }
    let mut body = line.request;
    let question = if let Some(request) = line.classify {
        body = Some(request);
        Question::Classify
    } else if let Some(route) = line.route {
        route.check()?;
        Question::Route(Box::new(route))
    } else if let Some(redact) = line.redact {
        let redact = match redact {
            Value::String(text) => json!({ "text": text }),
            other => other,
        };
        Question::Redact(serde_json::from_value(redact).context("redact")?)
    } else {
        let bill = line.bill.context("a case asks something")?;
        bill.check()?;
        Question::Bill(bill)
    };
    let name = line.name.unwrap_or_else(|| place.to_owned());
    Ok(Case {
        facts: facts(body, line.attrs).context("request")?,
        name,
        question,
        begin: Beginnings {
            now_ms: line.now_ms,
            state: line.state.into_iter().map(|(key, text)| (key, text.into_bytes())).collect(),
            answers: line
                .fetch
                .into_iter()
                .map(|(url, it)| (url, WebAnswer { status: it.status, body: it.body.into_bytes() }))
                .collect(),
        },
        config: line.config.map(|config| config.to_string()),
        expect: line.expect,
        tolerance: line.tolerance,
        exact: line.exact,
    })
}

/// The request that the policy sees: an OpenAI chat body, of which everything may be left out.
fn facts(body: Option<Value>, attrs: BTreeMap<String, Value>) -> anyhow::Result<RequestFacts> {
    let mut body = match body {
        None => Map::new(),
        Some(Value::Object(fields)) => fields,
        Some(_) => bail!("expected an OpenAI chat body, an object"),
    };
    body.entry("model").or_insert_with(|| json!("auto"));
    body.entry("messages").or_insert_with(|| json!([{"role": "user", "content": "Hello!"}]));
    let bytes = Value::Object(body).to_string().into_bytes();
    let call = Call::parse(Dialect::OpenAiChat, bytes.into())
        .map_err(|refused| anyhow::anyhow!("{}", refused.message))?;
    let mut facts = RequestFacts {
        id: "case".to_owned(),
        protocol: call.dialect.label(),
        model: call.model.clone(),
        streaming: call.stream,
        input_tokens: call.input_tokens_upper(),
        output_limit: call.output_limit,
        attrs: vec![("caller.organization".to_owned(), AttrValue::Text("test".to_owned()))],
        call: Arc::new(call),
    };
    for (name, value) in attrs {
        facts.attrs.retain(|(key, _)| *key != name);
        facts.attrs.push((name, attr(value)?));
    }
    Ok(facts)
}

/// Text, number or flag.
pub(crate) fn attr(value: Value) -> anyhow::Result<AttrValue> {
    Ok(match value {
        Value::String(text) => AttrValue::Text(text),
        Value::Bool(flag) => AttrValue::Flag(flag),
        Value::Number(number) => AttrValue::Number(number.as_f64().context("a finite number")?),
        other => bail!("an attribute is a text, a number or a flag, not {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_says_where_time_and_state_begin() {
        let text = r#"{"classify":{},"now_ms":5,"state":{"n":"41"},"expect":{}}
{"classify":{},"expect":{}}"#;
        let cases = read(text, "c").unwrap();
        assert_eq!(cases[0].begin.now_ms, 5);
        assert_eq!(cases[0].begin.state, [("n".to_owned(), b"41".to_vec())]);
        assert_eq!((cases[1].begin.now_ms, cases[1].begin.state.len()), (new_year(), 0));
    }

    #[test]
    fn a_case_is_a_question_and_what_is_expected() {
        let text = r#"
// a comment
{"name":"n","classify":{},"attrs":{"turns":2},"expect":{"task":"chat"}}
{"redact":"call me","expect":{"text":"call me"},"exact":true}
{"bill":{"quantities":[["input",2,"0.5"]]},"expect":{"total":"1"}}
{"route":{"candidates":[{"offer":"a/b@c"}]},"expect":{"first":"a/b@c"},"tolerance":0.5}"#;
        let cases = read(text, "c").unwrap();
        let hooks: Vec<_> = cases.iter().map(|case| case.question.hook()).collect();
        assert_eq!(hooks, [Hook::Classify, Hook::Redact, Hook::Bill, Hook::Route]);
        assert_eq!(cases[0].name, "n");
        assert_eq!(cases[1].name, "c:4");
        assert_eq!(cases[0].facts.attr("turns"), Some(&AttrValue::Number(2.0)));
        assert!(cases[1].exact && !cases[0].exact);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told_with_its_number() {
        for (line, words) in [
            (r#"{"expect":{}}"#, "one of"),
            (r#"{"classify":{},"redact":"x","expect":{}}"#, "one of"),
            (r#"{"classify":{},"expected":{}}"#, "unknown field `expected`"),
            (r#"{"route":{"candidates":[]},"expect":{}}"#, "candidate"),
            (r#"{"bill":{"quantities":[["input",2,"free"]]},"expect":{}}"#, "price"),
            (r#"{"classify":{},"attrs":{"a":[]},"expect":{}}"#, "attribute"),
        ] {
            let error = format!("{:#}", read(&format!("\n{line}"), "c").unwrap_err());
            assert!(error.starts_with("c:2") && error.contains(words), "{error}");
        }
        assert!(read("", "c").is_err());
    }
}
