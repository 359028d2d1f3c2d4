//! What only other dialects say, on its way into this one.

use serde_json::{Value, json};

use super::{Stream, reply, request};
use crate::call::{LimitField, Outgoing};
use crate::neutral::{
    Block, Choice, Event, Finish, Issuer, Losses, Media, MediaKind, MediaSource, Opening, Own,
    Part, Reasoning, Reply, Request, Signature, Speaker, ToolKind, Turn,
};
use crate::quirks::Quirks;
use crate::translate::Naming;
use crate::{Severity, Usage};

fn naming() -> Naming {
    Naming {
        id: "r".to_owned(),
        created_s: 9,
        model: "m".to_owned(),
        include_usage: true,
        input_tokens: 1,
        custom_tools: vec!["shell".to_owned()],
        long_tools: Vec::new(),
    }
}

fn sent(of: &Request) -> (Value, Losses) {
    let quirks = Quirks::default();
    let out = Outgoing {
        model: "m",
        output_limit: None,
        model_limit: None,
        limit_field: LimitField::MaxTokens,
        quirks: &quirks,
    };
    let mut losses = Losses::default();
    let body = request(&of.numbered(), &out, &mut losses);
    (serde_json::from_slice(&body).unwrap(), losses)
}

fn told(losses: &Losses, at: &str) -> Option<Severity> {
    losses.iter().find(|loss| loss.at == at).map(|loss| loss.severity)
}

fn turn(speaker: Speaker, parts: Vec<Part>) -> Turn {
    Turn { at: String::new(), speaker, parts, name: None }
}

fn call(id: &str) -> Part {
    Part::ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        input: "{}".into(),
        kind: ToolKind::Function,
        signature: None,
        cache: None,
    }
}

fn result(id: &str, text: &str, failed: bool) -> Part {
    Part::ToolResult {
        call_id: id.to_owned(),
        name: None,
        kind: ToolKind::Function,
        parts: vec![Part::text(text)],
        failed,
        cache: None,
    }
}

fn document(source: MediaSource) -> Part {
    Part::Media(Media {
        kind: MediaKind::Document,
        source,
        detail: None,
        name: Some("Title".into()),
        context: None,
        citations: true,
        cache: None,
    })
}

#[test]
fn turns_of_the_model_become_one_message_and_results_their_own() {
    let request = Request {
        turns: vec![
            turn(Speaker::User, vec![Part::text("x")]),
            turn(Speaker::Assistant, vec![Part::text("a"), Part::text("b")]),
            turn(Speaker::Assistant, vec![call("1")]),
            turn(Speaker::Assistant, vec![call("2")]),
            turn(
                Speaker::User,
                vec![result("1", "no such file", true), result("2", "r", false), Part::text("go")],
            ),
        ],
        ..Request::default()
    };
    let (tree, losses) = sent(&request);
    let messages = tree["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 5);
    assert_eq!(messages[1]["content"], "ab");
    assert_eq!(messages[1]["tool_calls"].as_array().unwrap().len(), 2);
    assert_eq!(messages[2]["content"], "Error: no such file");
    assert_eq!(messages[3]["content"], "r");
    assert_eq!(messages[4], json!({"role": "user", "content": "go"}));
    let failed = told(&losses, "messages[4].content[0].is_error");
    assert_eq!(failed, Some(Severity::Approximated));
}

#[test]
fn what_the_question_depends_on_is_unsupported_and_the_rest_dropped() {
    let own = |at: &str| Own { at: at.to_owned(), value: json!({}).into() };
    let parts = vec![
        document(MediaSource::Text("body".into())),
        document(MediaSource::Url { url: "https://a.example".into(), media_type: None }),
        Part::Own(own("messages[0].content[2]")),
    ];
    let request = Request {
        turns: vec![turn(Speaker::User, parts), turn(Speaker::Assistant, vec![Part::text("So")])],
        own: vec![own("previous_response_id"), own("context_management")],
        reasoning: Some(Reasoning { adaptive: true, ..Reasoning::default() }),
        metadata: Some(json!({"a": "b"}).into()),
        ..Request::default()
    };
    let (tree, losses) = sent(&request);
    assert_eq!(tree["messages"][0]["content"], "Title\n\nbody");
    assert_eq!(told(&losses, "messages[0].content[0].citations"), Some(Severity::Dropped));
    assert_eq!(told(&losses, "messages[0].content[1]"), Some(Severity::Unsupported));
    assert_eq!(told(&losses, "messages[0].content[2]"), Some(Severity::Dropped));
    assert_eq!(told(&losses, "previous_response_id"), Some(Severity::Unsupported));
    assert_eq!(told(&losses, "context_management"), Some(Severity::Dropped));
    assert_eq!(told(&losses, "messages[1]"), Some(Severity::Approximated));
    assert_eq!(told(&losses, "metadata"), None);
    assert!(tree.get("reasoning_effort").is_none() && tree.get("metadata").is_none());
}

#[test]
fn pitfall_15_foreign_signatures_travel_tagged_and_come_back() {
    let anthropic = || Signature::new(Issuer::Anthropic, "SIG");
    let blocks = vec![
        Block::Thinking { text: "hm".into(), signature: Some(anthropic()) },
        Block::SealedThinking(anthropic()),
        Block::Text { text: "so".into(), citations: Vec::new() },
        Block::ToolCall {
            id: Some("c".to_owned()),
            name: "f".to_owned(),
            input: "{}".into(),
            kind: ToolKind::Function,
            signature: Some(Signature::new(Issuer::OpenAi, "OPQ")),
        },
    ];
    let choice = Choice { blocks, finish: Some(Finish::ToolCalls), ..Choice::default() };
    let whole = Reply { choices: vec![choice], ..Reply::default() };
    let mut losses = Losses::default();
    let body = reply(&whole, &naming(), &mut losses);
    let tree: Value = serde_json::from_slice(&body).unwrap();
    let message = &tree["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "hm");
    assert_eq!(message["reasoning_details"][0]["signature"], "tp1.anthropic.SIG");
    let history = json!({"model": "m", "messages": [{"role": "user", "content": "x"}, message,
        {"role": "tool", "tool_call_id": "c", "content": "r"}]});
    let back = super::super::decode::request(history.to_string().as_bytes()).unwrap();
    let parts = &back.turns[1].parts;
    let first = Part::Thinking { text: "hm".into(), signature: Some(anthropic()) };
    assert_eq!(parts[0], first);
    assert_eq!(parts[1], Part::SealedThinking(anthropic()));
    assert_eq!(parts[2], Part::text("so"));
    let Part::ToolCall { signature, .. } = &parts[3] else { panic!("no call") };
    assert_eq!(signature, &Some(Signature::new(Issuer::OpenAi, "OPQ")));
    assert!(losses.is_empty());
}

#[test]
fn citations_of_other_houses_become_annotations_where_they_have_an_address() {
    let citations = vec![
        json!({"type": "web_search_result_location", "url": "https://a.example", "title": "A"})
            .into(),
        json!({"web": {"uri": "https://b.example"}}).into(),
        json!({"type": "char_location", "document_index": 0}).into(),
    ];
    let blocks = vec![
        Block::Text { text: "é ".into(), citations: Vec::new() },
        Block::Text { text: "so".into(), citations },
    ];
    let whole = Reply { choices: vec![Choice { blocks, ..Choice::default() }], ..Reply::default() };
    let mut losses = Losses::default();
    let tree: Value = serde_json::from_slice(&reply(&whole, &naming(), &mut losses)).unwrap();
    let message = &tree["choices"][0]["message"];
    assert_eq!(message["content"], "é so");
    let annotations = message["annotations"].as_array().unwrap();
    assert_eq!(annotations.len(), 2);
    let first = json!({"url": "https://a.example", "title": "A", "start_index": 2, "end_index": 4});
    assert_eq!(annotations[0]["url_citation"], first);
    assert_eq!(losses.worst(), Some(Severity::Dropped));
}

/// The payloads that these events become.
fn streamed(events: Vec<Event>) -> Vec<String> {
    let (mut stream, mut out) = (Stream::new(naming()), Vec::new());
    let mut losses = Losses::default();
    for event in events {
        stream.push(event, &mut losses, &mut out);
    }
    out.iter().map(|frame| String::from_utf8(frame.data.to_vec()).unwrap()).collect()
}

fn delta(payload: &str) -> Value {
    let tree: Value = serde_json::from_str(payload).unwrap();
    tree["choices"][0]["delta"].clone()
}

#[test]
fn a_stream_of_another_house_is_legal_here() {
    let signature = |data: &str| Signature::new(Issuer::Anthropic, data);
    let tool = |name: &str| {
        let name = name.to_owned();
        Opening::ToolCall { id: None, name, kind: ToolKind::Function }
    };
    let usage = Usage { input_uncached: 3, cache_read: 4, output_text: 2, ..Usage::default() };
    let out = streamed(vec![
        Event::Start { id: None, model: None, created_s: None },
        Event::Ping,
        Event::Usage { usage, service_tier: None },
        Event::Open { block: 0, choice: 0, opening: Opening::Thinking },
        Event::Delta { block: 0, text: "hm".into() },
        Event::Signed { block: 0, signature: signature("SI") },
        Event::Signed { block: 0, signature: signature("G") },
        Event::Close { block: 0 },
        Event::Open { block: 1, choice: 0, opening: tool("f") },
        Event::Open { block: 2, choice: 0, opening: tool("shell") },
        Event::Delta { block: 2, text: "{\"input\":\"ls\"}".into() },
        Event::Close { block: 1 },
        Event::Close { block: 2 },
        Event::Finish { choice: 0, reason: Finish::ToolCalls, stop_sequence: None },
        Event::End,
    ]);
    assert_eq!(delta(&out[0])["role"], "assistant");
    assert_eq!(out[1], "");
    assert_eq!(delta(&out[2]), json!({"reasoning_content": "hm"}));
    let detail = delta(&out[3])["reasoning_details"][0].clone();
    assert_eq!(
        (&detail["text"], &detail["signature"]),
        (&json!("hm"), &json!("tp1.anthropic.SIG"))
    );
    assert_eq!(delta(&out[4])["tool_calls"][0]["id"], "call_r-0");
    assert_eq!(delta(&out[5])["tool_calls"][0]["type"], "custom");
    let empty = json!([{"index": 0, "function": {"arguments": "{}"}}]);
    assert_eq!(delta(&out[6])["tool_calls"], empty);
    assert_eq!(delta(&out[7])["tool_calls"], json!([{"index": 1, "custom": {"input": "ls"}}]));
    assert!(out[8].contains("\"finish_reason\":\"tool_calls\""));
    let last: Value = serde_json::from_str(&out[9]).unwrap();
    assert_eq!((&last["choices"], &last["usage"]["prompt_tokens"]), (&json!([]), &json!(7)));
    assert_eq!((out.len(), out[10].as_str()), (11, "[DONE]"));
}

#[test]
fn a_refusal_without_words_is_a_filter() {
    let choice = Choice { finish: Some(Finish::Refusal), ..Choice::default() };
    let whole = Reply { choices: vec![choice], ..Reply::default() };
    let body = reply(&whole, &naming(), &mut Losses::default());
    let tree: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(tree["choices"][0]["finish_reason"], "content_filter");
}

#[test]
fn names_that_openai_bounds_are_shortened_and_stay_equal() {
    let long = "toolu_".repeat(10);
    let request = Request {
        turns: vec![
            turn(Speaker::Assistant, vec![call(&long)]),
            turn(Speaker::User, vec![result(&long, "r", false)]),
        ],
        user: Some("u".repeat(65)),
        cache_key: Some("k".repeat(64)),
        ..Request::default()
    };
    let (tree, losses) = sent(&request);
    let id = tree["messages"][0]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() <= 40 && tree["messages"][1]["tool_call_id"] == id);
    assert!(tree["user"].as_str().unwrap().len() <= 64);
    assert_eq!(tree["prompt_cache_key"].as_str().unwrap().len(), 64);
    assert!(losses.is_empty());
    let naming = Naming { id: "0190e3c2-6b3c-7d1e-9a55-0123456789ab".to_owned(), ..naming() };
    assert_eq!(super::chosen::call_id(None, &naming, 3), "call_6b3c7d1e9a550123456789ab-3");
}
