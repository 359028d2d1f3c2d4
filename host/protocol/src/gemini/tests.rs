//! Gemini against the neutral model itself: what other dialects' requests and answers become.

use serde_json::{Value, json};

use crate::call::{LimitField, Outgoing};
use crate::neutral::fold::fold;
use crate::neutral::{
    Block, Effort, Event, Finish, Format, Issuer, Media, MediaKind, MediaSource, Opening, Part,
    Reasoning, Reply, Request, Signature, Speaker, Tool, ToolChoice, ToolKind, Turn,
};
use crate::sse::Frame;
use crate::translate::Naming;
use crate::{Addressed, Losses, Quirks};

use super::{decode, encode};

fn read(body: &Value) -> Request {
    let addressed = Addressed { model: Some("m"), stream: Some(true) };
    decode::request(body.to_string().as_bytes(), &addressed).unwrap()
}

fn write(request: &Request, newer: bool) -> (Value, Losses) {
    let quirks = Quirks { thinking_level: newer, ..Quirks::default() };
    let out = Outgoing {
        model: "served",
        output_limit: Some(64),
        model_limit: None,
        limit_field: LimitField::MaxTokens,
        quirks: &quirks,
    };
    let mut losses = Losses::default();
    let body = encode::request(&request.numbered(), &out, &mut losses);
    (serde_json::from_slice(&body).unwrap(), losses)
}

fn naming() -> Naming {
    Naming {
        id: "req-1".to_owned(),
        created_s: 7,
        model: "asked".to_owned(),
        include_usage: true,
        input_tokens: 0,
        custom_tools: Vec::new(),
        long_tools: Vec::new(),
    }
}

fn turn(speaker: Speaker, parts: Vec<Part>) -> Turn {
    Turn { at: String::new(), speaker, parts, name: None }
}

fn call(id: &str, input: &str, kind: ToolKind, signature: Option<Signature>) -> Part {
    let (id, name) = (id.to_owned(), "f".to_owned());
    Part::ToolCall { id, name, input: input.into(), kind, signature, cache: None }
}

fn result(call_id: &str, parts: Vec<Part>, failed: bool) -> Part {
    let call_id = call_id.to_owned();
    let kind = ToolKind::Function;
    Part::ToolResult { call_id, name: None, kind, parts, failed, cache: None }
}

fn media(kind: MediaKind, source: MediaSource) -> Part {
    let (detail, name, context, cache) = (None, None, None, None);
    Part::Media(Media { kind, source, detail, name, context, citations: false, cache })
}

fn shown(losses: &Losses) -> String {
    losses.iter().map(|loss| format!("{loss}\n")).collect()
}

#[test]
fn ids_are_made_stable_and_results_find_their_calls_by_name_and_order() {
    let request = read(&json!({"contents": [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"n": 1}}},
            {"functionCall": {"name": "g"}}, {"functionCall": {"name": "f"}}]},
        {"role": "function", "parts": [
            {"functionResponse": {"name": "g", "response": {"output": "G"}}},
            {"functionResponse": {"name": "f", "response": {"a": 1}}},
            {"functionResponse": {"name": "f", "response": {"error": "late"}}},
            {"functionResponse": {"name": "h", "response": {}}}]}]}));
    let calls = request.turns[1].parts.iter().map(|part| match part {
        Part::ToolCall { id, input, .. } => format!("{id} {}", input.0),
        _ => String::new(),
    });
    assert_eq!(calls.collect::<Vec<_>>(), [r#"call_1_0 {"n":1}"#, "call_1_1 {}", "call_1_2 {}"]);
    let results = request.turns[2].parts.iter().map(|part| match part {
        Part::ToolResult { call_id, parts, failed, .. } => {
            let text = parts.first().map(|part| match part {
                Part::Text { text, .. } => text.0.clone(),
                _ => String::new(),
            });
            format!("{call_id} {} {failed}", text.unwrap_or_default())
        }
        _ => String::new(),
    });
    let expected =
        ["call_1_1 G false", r#"call_1_0 {"a":1} false"#, "call_1_2 late true", "call_2_3  false"];
    assert_eq!(results.collect::<Vec<_>>(), expected);
    assert_eq!(request.turns[2].speaker, Speaker::User);
}

#[test]
fn settings_are_read_into_neutral_words() {
    let request = read(&json!({"contents": [], "generation_config": {"response_mime_type":
        "application/json", "response_schema": {"title": "A B", "type": "STRING"},
        "thinking_config": {"thinking_level": "HIGH"}, "response_modalities": ["TEXT", "IMAGE"]},
        "tool_config": {"function_calling_config": {"mode": "any"}},
        "tools": [{"function_declarations": [{"name": "f"}]}, {"url_context": {}}]}));
    let Some(Format::Schema { name, schema, .. }) = request.format else { panic!() };
    assert_eq!((name.as_str(), &schema.0["type"]), ("AB", &json!("string")));
    assert_eq!(request.reasoning.unwrap().effort, Some(Effort::High));
    assert_eq!(request.tool_choice, Some(ToolChoice::Required));
    assert_eq!(request.own[0].at, "generationConfig.responseModalities");
    assert_eq!(
        (request.tools[1].kind, request.tools[1].name.as_str()),
        (ToolKind::BuiltIn, "urlContext")
    );
}

#[test]
fn pitfall_15_only_googles_own_thinking_is_sent_to_google() {
    let foreign = || Some(Signature::new(Issuer::Anthropic, "EqMB"));
    let own = || Some(Signature::new(Issuer::Gemini, "CgE="));
    let thinking = |signature| Part::Thinking { text: "hm".into(), signature };
    let request = Request {
        turns: vec![
            turn(Speaker::User, vec![Part::text("hi")]),
            turn(
                Speaker::Assistant,
                vec![
                    thinking(foreign()),
                    thinking(own()),
                    Part::SealedThinking(Signature::new(Issuer::OpenAi, "gAAA")),
                    call("a", "{}", ToolKind::Function, foreign()),
                    call("b", "{}", ToolKind::Function, own()),
                ],
            ),
            turn(
                Speaker::User,
                vec![
                    result("a", vec![Part::text("1")], false),
                    result("b", vec![Part::text("2")], false),
                ],
            ),
        ],
        ..Request::default()
    };
    let (body, losses) = write(&request, true);
    let parts = &body["contents"][1]["parts"];
    assert_eq!(parts[0], json!({"text": "hm", "thought": true, "thoughtSignature": "CgE="}));
    assert_eq!(parts[1]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(parts[2]["thoughtSignature"], "CgE=");
    assert_eq!(parts.as_array().unwrap().len(), 3);
    assert!(!body.to_string().contains("EqMB") && !body.to_string().contains("gAAA"));
    assert_eq!(losses.worst(), Some(crate::Severity::Dropped));
}

/// A request full of what Google has not.
fn unlike_google() -> Request {
    let custom = Tool {
        kind: ToolKind::Custom,
        name: "patch".to_owned(),
        description: Some("Edits".into()),
        schema: Some(
            json!({"type": "grammar", "grammar": {"syntax": "lark",
            "definition": "start: x"}})
            .into(),
        ),
        strict: None,
        cache: None,
    };
    let search = Tool {
        kind: ToolKind::BuiltIn,
        name: "web_search".to_owned(),
        schema: Some(json!({"type": "web_search"}).into()),
        description: None,
        ..custom.clone()
    };
    let png = MediaSource::Url { url: "https://x.example/a.PNG?b".into(), media_type: None };
    Request {
        system: vec![Part::text("be brief")],
        turns: vec![
            turn(
                Speaker::User,
                vec![
                    media(MediaKind::Image, png),
                    media(MediaKind::Document, MediaSource::FileId("file-1".to_owned())),
                ],
            ),
            turn(Speaker::System, vec![Part::text("now hurry")]),
            turn(
                Speaker::Assistant,
                vec![Part::text(""), call("p", "*** Begin", ToolKind::Custom, None)],
            ),
            turn(
                Speaker::User,
                vec![
                    result(
                        "p",
                        vec![
                            Part::text("{\"ok\":true}"),
                            media(
                                MediaKind::Image,
                                MediaSource::Inline {
                                    media_type: "image/jpg".to_owned(),
                                    base64: "AAAA".into(),
                                },
                            ),
                        ],
                        true,
                    ),
                    Part::text("go on"),
                ],
            ),
        ],
        tools: vec![custom, search],
        tool_choice: Some(ToolChoice::Among { names: vec!["patch".to_owned()], required: false }),
        parallel_tools: Some(false),
        reasoning: Some(Reasoning { effort: Some(Effort::Medium), ..Reasoning::default() }),
        choices: Some(9),
        ..Request::default()
    }
}

#[test]
fn what_google_has_not_is_said() {
    let request = unlike_google();
    let (body, losses) = write(&request, false);
    let expected = json!([
        {"role": "user", "parts": [
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x.example/a.PNG?b"}},
            {"text": "now hurry"}]},
        {"role": "model", "parts": [
            {"functionCall": {"name": "f", "args": {"input": "*** Begin"}}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "f", "response": {"error": {"ok": true}}}},
            {"inlineData": {"mimeType": "image/jpeg", "data": "AAAA"}},
            {"text": "go on"}]},
    ]);
    assert_eq!(body["contents"], expected);
    assert_eq!(body["toolConfig"]["functionCallingConfig"]["mode"], "VALIDATED");
    let config = &body["generationConfig"];
    assert_eq!((&config["maxOutputTokens"], &config["candidateCount"]), (&json!(64), &json!(8)));
    assert_eq!(config["thinkingConfig"], json!({"thinkingBudget": 512, "includeThoughts": true}));
    let offered = &body["tools"][0]["functionDeclarations"][0];
    assert!(offered["description"].as_str().unwrap().ends_with("lark grammar:\nstart: x"));
    insta::assert_snapshot!(shown(&losses), @r"
    messages[0].url=approximated (its media type is guessed)
    messages[0].file=unsupported (a file of another provider)
    messages[1]=approximated (sent in the words of the user)
    messages[3]=approximated (media of a tool's result sent beside it)
    n=unsupported (at most eight answers)
    reasoning.effort=approximated (a budget in place of an effort)
    tools[0]=approximated (offered as a function of one string)
    tools[1]=dropped (a tool that another provider runs)
    parallel_tool_calls=dropped (several calls may come at once)
    ");
    let (newer, _) = write(&request, true);
    let answered = &newer["contents"][2]["parts"][0]["functionResponse"];
    assert_eq!((&answered["id"], answered["parts"].as_array().unwrap().len()), (&json!("p"), 1));
}

#[test]
fn a_request_of_instructions_alone_gets_a_message() {
    let request = Request { system: vec![Part::text("say hi")], ..Request::default() };
    let (body, _) = write(&request, true);
    assert_eq!(body["contents"], json!([{"role": "user", "parts": [{"text": " "}]}]));
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "say hi"}]}));
}

#[test]
fn pitfall_22_a_call_of_another_dialect_becomes_a_whole_call() {
    let mut stream = encode::Stream::new(naming());
    let (mut losses, mut out) = (Losses::default(), Vec::new());
    let tool = |id: &str| Opening::ToolCall {
        id: Some(id.to_owned()),
        name: "f".to_owned(),
        kind: ToolKind::Function,
    };
    let signature = Signature::new(Issuer::Anthropic, "EqMB");
    let delta = |block, text: &str| Event::Delta { block, text: text.into() };
    for event in [
        Event::Start { id: None, model: None, created_s: None },
        Event::Open { block: 0, choice: 0, opening: Opening::Thinking },
        delta(0, "hm"),
        Event::Signed { block: 0, signature: signature.clone() },
        Event::Close { block: 0 },
        Event::Ping,
        Event::Open { block: 1, choice: 0, opening: tool("a") },
        delta(1, "{\"x\":"),
        Event::Open { block: 2, choice: 0, opening: tool("b") },
        delta(1, "1}"),
        Event::Close { block: 1 },
        Event::Close { block: 2 },
        Event::Finish { choice: 0, reason: Finish::ToolCalls, stop_sequence: None },
        Event::End,
    ] {
        stream.push(event, &mut losses, &mut out);
    }
    let chunk = |frame: &Frame| -> Value { serde_json::from_slice(&frame.data).unwrap() };
    let chunks: Vec<Value> = out.iter().map(chunk).collect();
    let parts = |at: usize| chunks[at]["candidates"][0]["content"]["parts"].clone();
    assert_eq!(chunks.len(), 5);
    assert_eq!(parts(2)[0]["functionCall"], json!({"id": "a", "name": "f", "args": {"x": 1}}));
    assert_eq!(parts(3)[0]["functionCall"], json!({"id": "b", "name": "f", "args": {}}));
    assert_eq!(chunks[4]["candidates"][0]["finishReason"], "STOP");
    assert_eq!(
        (&chunks[0]["responseId"], &chunks[0]["modelVersion"]),
        (&json!("req-1"), &json!("asked"))
    );
    // Sent back as history, the pieces of thinking are one block with its proof again.
    let said: Vec<Value> = (0..4).flat_map(|at| parts(at).as_array().unwrap().clone()).collect();
    let request = read(&json!({"contents": [{"role": "model", "parts": said}]}));
    let expected = Part::Thinking { text: "hm".into(), signature: Some(signature) };
    assert_eq!(request.turns[0].parts[0], expected);
    assert_eq!(request.turns[0].parts.len(), 3);
}

/// What a block says, in one line.
fn line(block: &Block) -> String {
    match block {
        Block::Text { text, citations } => format!("text {} {}", text.0, citations.len()),
        Block::Thinking { text, signature } => format!("think {} {}", text.0, signature.is_some()),
        Block::SealedThinking(signature) => format!("sealed {}", signature.data.0),
        Block::ToolCall { id, name, input, signature, .. } => {
            format!("call {id:?} {name} {} {}", input.0, signature.is_some())
        }
        Block::Refusal(text) => format!("refusal {}", text.0),
        Block::Media { media_type, .. } => format!("media {media_type}"),
        Block::Own(value) => format!("own {}", value.0),
    }
}

fn lines(reply: &Reply) -> Vec<String> {
    reply.choices.iter().flat_map(|choice| &choice.blocks).map(line).collect()
}

#[test]
fn pitfall_06_the_blocks_of_a_stream_are_those_of_the_whole_answer() {
    let whole = include_bytes!("../../tests/golden/gemini/reply.json");
    let whole = decode::reply(whole).unwrap();
    let streamed = include_bytes!("../../tests/golden/gemini/stream.sse");
    let (mut framer, mut frames) = (crate::sse::Framer::new(1 << 20), Vec::new());
    framer.push(bytes::Bytes::from_static(streamed), &mut frames).unwrap();
    let (mut stream, mut events) = (decode::Stream::default(), Vec::new());
    for frame in &frames {
        stream.push(frame, &mut events).unwrap();
    }
    stream.finish(&mut events);
    assert!(matches!(events.last(), Some(Event::End)));
    let folded = fold(events);
    let expected = [
        "think **Looking**\n\nI need two numbers. false",
        "text I will look both up. 0",
        "call Some(\"fc_9\") find {\"q\":\"jane\"} true",
        "call Some(\"fc_10\") now {} false",
    ];
    assert_eq!(lines(&whole), expected);
    assert_eq!(lines(&folded), expected);
    assert_eq!(whole.choices[0].finish, Some(Finish::ToolCalls));
    assert_eq!(folded.choices[0].finish, whole.choices[0].finish);
    assert_eq!((folded.usage, &folded.id, &folded.model), (whole.usage, &whole.id, &whole.model));
}

#[test]
fn parts_that_other_dialects_have_not_are_kept_whole() {
    let body = json!({"candidates": [{"content": {"parts": [
        {"text": "a", "thoughtSignature": "CgE="}, {"text": "b"},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "CgI="},
        {"text": "", "thought": true, "thoughtSignature": "CgM="}]},
        "finishReason": "MALFORMED_FUNCTION_CALL", "citationMetadata": {"citations": []}}]});
    let reply = decode::reply(body.to_string().as_bytes()).unwrap();
    let expected = [
        "text ab 0",
        r#"own {"executableCode":{"language":"PYTHON","code":"1"}}"#,
        "media image/png",
        "sealed CgI=",
        "sealed CgM=",
        r#"own {"citationMetadata":{"citations":[]}}"#,
    ];
    assert_eq!(lines(&reply), expected);
    assert_eq!(reply.choices[0].finish, Some(Finish::Other));
}
