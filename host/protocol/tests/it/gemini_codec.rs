//! Gemini by way of the neutral model and back: nothing that matters is lost, and what is written
//! is what Google's clients read.

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::translate::{self, Naming, StreamTranslator};
use turnpike_protocol::{Addressed, Call, Dialect, LimitField, Losses, Outgoing, Quirks, sse};

const AGENT: &str = include_str!("../golden/gemini/agent.json");
const REPLY: &str = include_str!("../golden/gemini/reply.json");
const STREAM: &str = include_str!("../golden/gemini/stream.sse");
const GROUNDED: &str = include_str!("../golden/gemini/grounded.sse");
const BLOCKED: &str = include_str!("../golden/gemini/blocked.json");

fn naming() -> Naming {
    Naming {
        id: "req-1".to_owned(),
        created_s: 7,
        model: "asked".to_owned(),
        custom_tools: Vec::new(),
        long_tools: Vec::new(),
        include_usage: true,
        input_tokens: 0,
    }
}

/// A request in Gemini, read and written anew for a Gemini provider.
fn again(body: &str, newer: bool) -> (Value, Losses) {
    let addressed = Addressed { model: Some("gemini-3-pro"), stream: Some(false) };
    let body = Bytes::copy_from_slice(body.as_bytes());
    let call = Call::parse_addressed(Dialect::Gemini, body, &addressed).unwrap();
    let quirks = Quirks { thinking_level: newer, ..Quirks::default() };
    let out = Outgoing {
        model: "served",
        output_limit: None,
        model_limit: None,
        limit_field: LimitField::MaxTokens,
        quirks: &quirks,
    };
    let written = translate::request(&call, Dialect::Gemini, &out).unwrap();
    (serde_json::from_slice(&written.body).unwrap(), written.losses)
}

fn listed(losses: &Losses) -> Vec<String> {
    losses.iter().map(ToString::to_string).collect()
}

fn whole(body: &'static str) -> Value {
    let body = Bytes::from_static(body.as_bytes());
    let answer = translate::answer(Dialect::Gemini, Dialect::Gemini, &body, &naming()).unwrap();
    assert!(answer.losses.is_empty(), "{:?}", answer.losses);
    serde_json::from_slice(&answer.body).unwrap()
}

fn stream(body: &'static str, split: usize) -> Vec<Value> {
    let (mut framer, mut read, mut out) = (sse::Framer::new(1 << 20), Vec::new(), Vec::new());
    let bytes = Bytes::from_static(body.as_bytes());
    framer.push(bytes.slice(..split), &mut read).unwrap();
    framer.push(bytes.slice(split..), &mut read).unwrap();
    framer.finish(&mut read);
    let mut translator = StreamTranslator::new(Dialect::Gemini, Dialect::Gemini, naming());
    translator.push(&read, &mut out).unwrap();
    translator.finish(&mut out);
    assert!(translator.losses().is_empty(), "{:?}", translator.losses());
    let tree = |frame: &sse::Frame| serde_json::from_slice(&frame.data).unwrap();
    out.iter().map(tree).collect()
}

/// All parts of a stream's first candidate, neighbours of one kind put together.
fn parts(chunks: &[Value]) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    let all =
        chunks.iter().filter_map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array());
    for part in
        all.flatten().filter(|part| part["text"] != "" || part.get("thoughtSignature").is_some())
    {
        match (out.last_mut(), part["text"].as_str()) {
            (Some(last), Some(text))
                if last.get("text").is_some()
                    && last["thought"] == part["thought"]
                    && part.get("thoughtSignature").is_none() =>
            {
                last["text"] = json!(format!("{}{text}", last["text"].as_str().unwrap()));
            }
            _ => out.push(part.clone()),
        }
    }
    out
}

#[test]
fn a_request_comes_back_with_everything_that_is_asked_for() {
    let (written, losses) = again(AGENT, true);
    let expected: Value =
        serde_json::from_str(include_str!("../golden/gemini/agent.written.json")).unwrap();
    assert_eq!(written, expected);
    insta::assert_debug_snapshot!(listed(&losses), @r##"
    [
        "reasoning.budget=approximated (a level in place of a budget)",
        "contents[3].parts[0].xNote=dropped (unknown to the provider)",
        "newMember=dropped (unknown to the provider)",
    ]
    "##);
}

#[test]
fn a_request_in_todays_spelling_comes_back_equal() {
    let body = json!({
        "contents": [
            {"role": "user", "parts": [{"text": "hi"},
                {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
            {"role": "model", "parts": [
                {"text": "hm", "thought": true, "thoughtSignature": "CgE="},
                {"functionCall": {"id": "a", "name": "f", "args": {"x": [1, null]}},
                    "thoughtSignature": "CgI="},
                {"functionCall": {"id": "b", "name": "f", "args": {}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "a", "name": "f", "response": {"result": "1"}}},
                {"functionResponse": {"id": "b", "name": "f", "response": {"error": "no"},
                    "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}}]},
            {"role": "model", "parts": [{"text": "done", "thoughtSignature": "CgM="}]},
            {"role": "user", "parts": [{"text": "and?"}]},
        ],
        "systemInstruction": {"parts": [{"text": "a"}, {"text": "b"}]},
        "tools": [{"functionDeclarations": [{"name": "f", "description": "d",
            "parametersJsonSchema": {"type": "object", "properties": {"x": {"type": "array"}}}}]},
            {"googleSearch": {"timeRangeFilter": {"startTime": "x"}}}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]},
            "retrievalConfig": {"languageCode": "en"}},
        "generationConfig": {"temperature": 0.5, "seed": 3, "stopSequences": ["X"],
            "maxOutputTokens": 99, "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"}, "mediaResolution": "MEDIA_RESOLUTION_LOW",
            "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": true},
            "speechConfig": {"voiceConfig": {"a": 1}}},
        "safetySettings": [{"category": "C", "threshold": "T"}],
        "cachedContent": "cachedContents/1", "serviceTier": "flex",
    });
    let (written, losses) = again(&body.to_string(), true);
    assert_eq!(written, body);
    assert!(losses.is_empty(), "{:?}", listed(&losses));
}

#[test]
fn pitfall_16_a_call_without_a_proof_gets_the_documented_stand_in() {
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"old"}]},
        {"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},
        {"role":"user","parts":[{"functionResponse":{"name":"f","response":{}}}]},
        {"role":"user","parts":[{"text":"new"}]},
        {"role":"model","parts":[{"functionCall":{"name":"f"}},{"functionCall":{"name":"f"}}]},
        {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"a":1}}},
            {"functionResponse":{"name":"f","response":{"result":"2"}}}]}]}"#;
    let (written, _) = again(body, true);
    let contents = &written["contents"];
    assert_eq!(contents[1]["parts"][0].get("thoughtSignature"), None);
    let step = &contents[3]["parts"];
    assert_eq!(step[0]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(step[1].get("thoughtSignature"), None);
    // Ids were made, and results found theirs by order.
    assert_eq!(step[0]["functionCall"]["id"], contents[4]["parts"][0]["functionResponse"]["id"]);
    assert_eq!(step[1]["functionCall"]["id"], contents[4]["parts"][1]["functionResponse"]["id"]);
    assert_eq!(contents[4]["parts"][0]["functionResponse"]["response"], json!({"a": 1}));
    let (older, _) = again(body, false);
    assert!(!older.to_string().contains("skip_thought"));
    assert!(!older.to_string().contains("\"id\""));
}

#[test]
fn pitfall_21_budgets_stay_where_every_model_takes_them() {
    let with = |config: Value| {
        let body = json!({"contents": {"parts": {"text": "hi"}},
            "generationConfig": {"thinkingConfig": config}});
        let (written, losses) = again(&body.to_string(), false);
        (written["generationConfig"]["thinkingConfig"].clone(), losses.is_empty())
    };
    let (big, lossless) = with(json!({"thinkingBudget": 31999}));
    assert_eq!((big["thinkingBudget"].clone(), lossless), (json!(24576), false));
    assert_eq!(with(json!({"thinkingBudget": 1})).0["thinkingBudget"], 512);
    assert_eq!(with(json!({"thinkingBudget": 0})).0, json!({"thinkingBudget": 0}));
    assert_eq!(with(json!({"thinkingBudget": -1})).0["thinkingBudget"], -1);
    assert_eq!(with(json!({"thinkingLevel": "low"})).0["thinkingBudget"], 1024);
}

#[test]
fn older_models_are_asked_in_words_for_json_beside_tools() {
    let (written, losses) = again(AGENT, false);
    assert_eq!(written["generationConfig"].get("responseMimeType"), None);
    let parts = written["systemInstruction"]["parts"].as_array().unwrap();
    assert!(parts.last().unwrap()["text"].as_str().unwrap().contains("JSON schema"));
    assert!(listed(&losses).iter().any(|loss| loss.starts_with("response_format=approximated")));
}

#[test]
fn a_whole_answer_comes_back_equal() {
    let mut expected: Value = serde_json::from_str(REPLY).unwrap();
    let parts = expected["candidates"][0]["content"]["parts"].as_array_mut().unwrap();
    parts[1] = json!({"text": "I will look both up."});
    parts.remove(2);
    parts[3]["functionCall"]["args"] = json!({});
    let usage = expected["usageMetadata"].as_object_mut().unwrap();
    usage.shift_remove("cacheTokensDetails");
    assert_eq!(whole(REPLY), expected);
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    let whole = whole(REPLY);
    let first = stream(STREAM, 0);
    assert_eq!(json!(parts(&first)), whole["candidates"][0]["content"]["parts"]);
    let last = first.last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(last["usageMetadata"], whole["usageMetadata"]);
    assert!(first.iter().all(|chunk| chunk["responseId"] == "xK8aaY6cC_Gk"));
    let early = &first[..first.len() - 1];
    assert!(early.iter().all(|chunk| chunk["candidates"][0].get("finishReason").is_none()));
}

#[test]
fn pitfall_36_a_stream_split_at_every_byte_is_translated_the_same() {
    for body in [STREAM, GROUNDED] {
        let first = stream(body, 0);
        for split in (1..body.len()).step_by(7) {
            assert_eq!(stream(body, split), first, "split at {split}");
        }
    }
}

#[test]
fn sources_survive_a_stream_and_the_proof_of_a_text_is_no_block_behind_it() {
    let chunks = stream(GROUNDED, 0);
    let last = &chunks.last().unwrap()["candidates"][0];
    assert_eq!(last["groundingMetadata"]["webSearchQueries"], json!(["who won"]));
    let parts = parts(&chunks);
    assert_eq!(parts[0], json!({"text": "Spain won 555-0100."}));
    assert_eq!(parts.len(), 1, "clients take the last block for the answer");
    assert_eq!(chunks.last().unwrap()["usageMetadata"]["serviceTier"], "priority");
}

#[test]
fn a_blocked_prompt_is_a_refusal_with_an_end() {
    let answer = whole(BLOCKED);
    let candidate = &answer["candidates"][0];
    assert_eq!(candidate["finishReason"], "SAFETY");
    assert!(candidate["content"]["parts"][0]["text"].as_str().unwrap().contains("PROHIBITED"));
}

#[test]
fn pitfall_29_a_stream_that_breaks_off_has_no_end() {
    let cut = STREAM.find("\"finishReason\"").unwrap();
    let bytes = STREAM.as_bytes();
    let cut = bytes[..cut].windows(6).rposition(|window| window == b"data: ").unwrap();
    let mut translator = StreamTranslator::new(Dialect::Gemini, Dialect::Gemini, naming());
    let (mut framer, mut read, mut out) = (sse::Framer::new(1 << 20), Vec::new(), Vec::new());
    framer.push(Bytes::from_static(&bytes[..cut]), &mut read).unwrap();
    translator.push(&read, &mut out).unwrap();
    translator.finish(&mut out);
    let shown: String =
        out.iter().map(|frame| String::from_utf8_lossy(&frame.data).into_owned()).collect();
    assert!(!shown.contains("finishReason"));
    // An error ends it at once, and in the words of the dialect.
    let failed = br#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#;
    out.clear();
    translator.push(&[sse::Frame::made(None, failed)], &mut out).unwrap();
    let tree: Value = serde_json::from_slice(&out[0].data).unwrap();
    assert_eq!(tree["error"]["status"], "UNAVAILABLE");
}

#[test]
fn probabilities_keep_their_tokens() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"MAX_TOKENS",
        "logprobsResult":{"topCandidates":[{"candidates":[{"token":"hi","logProbability":-0.5},
        {"token":"yo","logProbability":-1.5}]}],"chosenCandidates":[{"token":"hi","tokenId":4,
        "logProbability":-0.5}]}}]}"#;
    let answer = whole(body);
    assert_eq!(answer["candidates"][0]["finishReason"], "MAX_TOKENS");
    let expected = json!({"topCandidates": [{"candidates": [
        {"token": "hi", "logProbability": -0.5}, {"token": "yo", "logProbability": -1.5}]}],
        "chosenCandidates": [{"token": "hi", "logProbability": -0.5}]});
    assert_eq!(answer["candidates"][0]["logprobsResult"], expected);
}
