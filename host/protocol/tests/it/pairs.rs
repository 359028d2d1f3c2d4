//! Every pair of caller's and provider's dialect, case by case: the request as it goes upstream,
//! the answer and the stream as the caller receives them, and what was lost, beside golden files
//! (`tests/golden/pairs/CALLER/PROVIDER.txt`). What callers ask and providers answer stands in
//! `asked/` and `answered/`. `TURNPIKE_UPDATE=1` writes the goldens anew: read the difference.
//!
//! Never talks to a provider, and says nothing of a dialect's own view: see the tests beside it.

mod passing;
mod shown;
mod wire;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use turnpike_protocol::error_body::{self, ErrorFacts};
use turnpike_protocol::translate::{self, Naming};
use turnpike_protocol::{
    Addressed, Call, Dialect, LimitField, Losses, Outgoing, Quirks, Severity, Usage,
};

use wire::Streamed;

/// A model's own bound on answer tokens, as the catalogue would know it.
const MODEL_LIMIT: u32 = 32_000;

/// Where the files are.
fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", "pairs"].iter().collect()
}

/// The cases of one file: `### NAME`, and everything up to the next.
fn cases(kind: &str, dialect: Dialect) -> Vec<(String, String)> {
    let path = folder().join(kind).join(format!("{}.txt", dialect.label()));
    let text = std::fs::read_to_string(&path).unwrap();
    let mut cases: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        match (line.strip_prefix("### "), cases.last_mut()) {
            (Some(name), _) => cases.push((name.trim_end().to_owned(), String::new())),
            (None, Some((_, body))) => body.push_str(line),
            (None, None) => panic!("{}: text before the first case", path.display()),
        }
    }
    assert!(cases.len() > 10, "{}: hardly any cases", path.display());
    cases
}

fn callers() -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(|dialect| dialect.callers_speak())
}

fn naming(include_usage: bool) -> Naming {
    Naming {
        id: "req-1".to_owned(),
        created_s: 7,
        model: "m".to_owned(),
        include_usage,
        input_tokens: 11,
        custom_tools: vec!["patch".to_owned()],
    }
}

fn parsed(caller: Dialect, case: &str, body: &str) -> Call {
    let gemini = Addressed { model: Some("m"), stream: Some(case == "stream") };
    let addressed = if caller == Dialect::Gemini { gemini } else { Addressed::default() };
    Call::parse_addressed(caller, Bytes::from(body.trim_end().to_owned()), &addressed)
        .unwrap_or_else(|error| panic!("{case}: {error}"))
}

fn outgoing(quirks: &Quirks) -> Outgoing<'_> {
    Outgoing {
        model: "served",
        output_limit: None,
        model_limit: Some(MODEL_LIMIT),
        limit_field: LimitField::MaxCompletionTokens,
        quirks,
    }
}

/// One request on its way from `caller` to `provider`.
fn asked(caller: Dialect, provider: Dialect, case: &str, body: &str) -> String {
    let call = parsed(caller, case, body);
    let quirks = Quirks::default();
    let written = translate::request(&call, provider, &outgoing(&quirks)).unwrap();
    let mut shown = shown::json(&written.body);
    losses(&mut shown, &written.losses);
    shown
}

/// One answer on its way back: whole, streamed, or an error with a status.
fn answered(provider: Dialect, caller: Dialect, case: &str, body: &str) -> String {
    if let Ok(status) = case.parse::<u16>() {
        return refused(provider, caller, status, body);
    }
    if case.ends_with(" stream") {
        let bytes = wire::bytes(provider, body);
        let streamed = wire::translated(provider, caller, &bytes, usize::MAX);
        assert_eq!(streamed, wire::translated(provider, caller, &bytes, 1), "{case}: cut up");
        return stream(&streamed);
    }
    let body = Bytes::from(body.trim_end().to_owned());
    let written = translate::answer(provider, caller, &body, &naming(false)).unwrap();
    let mut shown = match &written.error {
        None => shown::json(&written.body),
        Some(error) => format!("! error kind={:?} code={:?}\n", error.kind, error.code),
    };
    facts(&mut shown, written.usage, written.service_tier.as_deref(), &written.losses);
    shown
}

/// A provider's error as the gateway passes it on.
fn refused(provider: Dialect, caller: Dialect, status: u16, body: &str) -> String {
    let error = error_body::parse(provider, &Bytes::from(body.trim_end().to_owned())).unwrap();
    let facts = ErrorFacts {
        message: error.message.expose(),
        kind: error.kind.as_deref().unwrap_or("invalid_request_error"),
        param: None,
        code: error.code.as_deref(),
        status,
        request_id: Some("req-1"),
    };
    shown::json(&error_body::encode(caller, &facts))
}

fn stream(streamed: &Streamed) -> String {
    let mut shown = String::new();
    for raw in &streamed.frames {
        shown.push_str(&shown::frame(raw));
    }
    facts(&mut shown, streamed.usage, streamed.service_tier.as_deref(), &streamed.losses);
    shown
}

fn facts(shown: &mut String, usage: Option<Usage>, tier: Option<&str>, lost: &Losses) {
    if let Some(usage) = usage {
        let counts = usage.iter().filter(|(_, count)| **count > 0);
        let counts: Vec<String> = counts.map(|(name, count)| format!("{name} {count}")).collect();
        let tier = tier.map(|tier| format!(" tier {tier}")).unwrap_or_default();
        writeln!(shown, "= {}{tier}", counts.join(" ")).unwrap();
    }
    losses(shown, lost);
}

fn losses(shown: &mut String, losses: &Losses) {
    for loss in losses.iter() {
        let mark = if loss.severity == Severity::Unsupported { "-!" } else { "-" };
        writeln!(shown, "{mark} {loss}").unwrap();
    }
}

/// Everything of one pair, in the order of the cases.
fn pair(caller: Dialect, provider: Dialect) -> String {
    let mut all = String::new();
    for (case, body) in cases("asked", caller) {
        let shown = asked(caller, provider, &case, &body);
        write!(all, "### asked: {case}\n{shown}\n").unwrap();
    }
    for (case, body) in cases("answered", provider) {
        let shown = answered(provider, caller, &case, &body);
        write!(all, "### answered: {case}\n{shown}\n").unwrap();
    }
    all
}

fn golden(caller: Dialect) {
    let update = std::env::var_os("TURNPIKE_UPDATE").is_some();
    let mut changed = Vec::new();
    for provider in Dialect::ALL.into_iter().filter(|provider| *provider != caller) {
        let came = pair(caller, provider);
        let path = folder().join(caller.label()).join(format!("{}.txt", provider.label()));
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        if kept == came {
            continue;
        }
        if update {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &came).unwrap();
        }
        changed.push(format!("{}: {}", path.display(), difference(&kept, &came)));
    }
    assert!(
        update || changed.is_empty(),
        "not what the goldens say; read why, then run with TURNPIKE_UPDATE=1:\n{}",
        changed.join("\n")
    );
}

/// The first case that differs, both ways.
fn difference(kept: &str, came: &str) -> String {
    let split = |text: &str| -> BTreeMap<String, String> {
        let cases = text.split("### ").filter_map(|case| case.split_once('\n'));
        cases.map(|(name, body)| (name.to_owned(), body.to_owned())).collect()
    };
    let (kept, came) = (split(kept), split(came));
    let names = kept.keys().chain(came.keys());
    let Some(name) = names.into_iter().find(|name| kept.get(*name) != came.get(*name)) else {
        return "only the order of the cases".to_owned();
    };
    let show = |of: &BTreeMap<String, String>| of.get(name).cloned().unwrap_or_default();
    format!("{name}\nkept:\n{}\ncame:\n{}", show(&kept), show(&came))
}

#[test]
fn goldens_of_callers_who_speak_openai_chat() {
    golden(Dialect::OpenAiChat);
}

#[test]
fn goldens_of_callers_who_speak_openai_responses() {
    golden(Dialect::OpenAiResponses);
}

#[test]
fn goldens_of_callers_who_speak_anthropic_messages() {
    golden(Dialect::AnthropicMessages);
}

#[test]
fn goldens_of_callers_who_speak_gemini() {
    golden(Dialect::Gemini);
}
