//! Requests of chat completions through the neutral model: what comes out again, what each quirk of
//! a provider changes, and what is told as lost.

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::quirks::{ReasoningField, SignatureField, Structured};
use turnpike_protocol::{
    Call, Dialect, LimitField, Losses, Outgoing, Quirks, RequestError, Severity, translate,
};

use crate::support;

const REQUEST: &str = include_str!("../golden/openai_chat/request.json");

fn written(body: &str, out: &Outgoing<'_>) -> Result<(Value, Losses), RequestError> {
    let call = Call::parse(Dialect::OpenAiChat, Bytes::copy_from_slice(body.as_bytes())).unwrap();
    let done = translate::request(&call, Dialect::OpenAiChat, out)?;
    Ok((serde_json::from_slice(&done.body).unwrap(), done.losses))
}

fn body(members: &Value) -> String {
    let mut tree = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let members = members.as_object().unwrap().clone();
    tree.as_object_mut().unwrap().extend(members);
    tree.to_string()
}

fn with(quirks: &Quirks, members: &Value) -> (Value, Losses) {
    written(&body(members), &Outgoing { quirks, ..support::outgoing("served") }).unwrap()
}

fn plain(members: &Value) -> (Value, Losses) {
    with(&Quirks::default(), members)
}

fn messages(quirks: &Quirks, messages: &Value) -> Vec<Value> {
    let (tree, _) = with(quirks, &json!({ "messages": messages }));
    tree["messages"].as_array().unwrap().clone()
}

fn worst(losses: &Losses, at: &str) -> Option<Severity> {
    losses.iter().find(|loss| loss.at == at).map(|loss| loss.severity)
}

fn tools() -> Value {
    json!([
        {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}},
        {"type": "custom", "custom": {"name": "shell", "format": {"type": "grammar",
            "grammar": {"syntax": "lark", "definition": "start: /.+/"}}}},
    ])
}

#[test]
fn a_request_of_this_dialect_comes_out_as_it_went_in() {
    let (tree, losses) = written(REQUEST, &support::outgoing("served")).unwrap();
    let expected: Value = serde_json::from_str(REQUEST).unwrap();
    assert_eq!(tree, expected);
    assert!(losses.is_empty(), "{losses:?}");
    // Order matters in schemas: models write the properties in it.
    let raw = tree["response_format"].to_string();
    assert!(raw.find("\"z\"").unwrap() < raw.find("\"a\"").unwrap(), "{raw}");
}

#[test]
fn a_request_passes_its_own_dialect_byte_for_byte() {
    let call = Call::parse(Dialect::OpenAiChat, Bytes::from_static(REQUEST.as_bytes())).unwrap();
    assert_eq!(call.encode(&support::outgoing("served")), REQUEST.as_bytes());
}

#[test]
fn the_older_forms_are_read_as_the_newer_ones() {
    let (tree, losses) = plain(&json!({
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "Rules.",
                "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "More."}]},
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": null,
                "function_call": {"name": "find", "arguments": ""}},
            {"role": "function", "name": "find", "content": "found"},
        ],
        "functions": [{"name": "find", "parameters": {"type": "object"}}],
        "function_call": {"name": "find"},
        "stop": "END", "safety_identifier": "s", "store": true, "metadata": {"a": "b"},
        "modalities": ["text"],
    }));
    let call = json!({"id": "call_2", "type": "function",
        "function": {"name": "find", "arguments": "{}"}});
    assert_eq!(
        tree["messages"],
        json!([
            {"role": "system", "content": "Rules.\n\nMore."},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_2", "content": "found"},
        ])
    );
    assert_eq!(tree["tools"][0]["function"]["name"], "find");
    assert_eq!(tree["tool_choice"], json!({"type": "function", "function": {"name": "find"}}));
    assert_eq!((&tree["stop"], &tree["user"]), (&json!(["END"]), &json!("s")));
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let cases = [
        (json!({"messages": [{"role": "narrator", "content": "x"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "tool", "content": "x"}]}), "messages[0].tool_call_id"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
            "messages[0].content[0].text",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}),
            "messages[0].content[0].file",
        ),
        (
            json!({"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]}),
            "messages[0].tool_calls[0].id",
        ),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"stop": [1]}), "stop"),
        (json!({"tool_choice": 1}), "tool_choice"),
        (json!({"tools": [{"type": "function", "function": {}}]}), "tools[0].name"),
        (json!({"response_format": {"type": "xml"}}), "response_format.type"),
    ];
    for (members, param) in cases {
        let error = written(&body(&members), &support::outgoing("m")).unwrap_err();
        assert_eq!((error.param.as_deref(), error.status), (Some(param), 400), "{members}");
    }
}

#[test]
fn pitfall_10_empty_texts_are_not_sent() {
    let sent = messages(
        &Quirks::default(),
        &json!([
            {"role": "system", "content": ""},
            {"role": "user", "content": [
                {"type": "text", "text": ""}, {"type": "text", "text": "x"}]},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": ""},
            {"role": "user", "content": "y"},
        ]),
    );
    let said = json!([{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]);
    assert_eq!(Value::Array(sent), said);
}

#[test]
fn pitfall_22_empty_arguments_are_an_object() {
    let call = |arguments: Value| {
        let call = json!({"id": "c", "function": {"name": "f", "arguments": arguments}});
        let sent = json!([{"role": "user", "content": "x"}, {"role": "assistant",
            "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "r"}]);
        let sent = messages(&Quirks::default(), &sent);
        sent[1]["tool_calls"][0]["function"]["arguments"].clone()
    };
    assert_eq!(call(json!("")), "{}");
    assert_eq!(call(json!(" ")), "{}");
    assert_eq!(call(Value::Null), "{}");
    assert_eq!(call(json!({"a": 1})), "{\"a\":1}");
}

#[test]
fn pitfall_20_the_bound_is_written_under_the_name_the_provider_knows() {
    let new = Outgoing { limit_field: LimitField::MaxCompletionTokens, ..support::outgoing("m") };
    let (tree, _) = written(&body(&json!({"max_tokens": 5})), &new).unwrap();
    assert_eq!((&tree["max_completion_tokens"], &tree["max_tokens"]), (&json!(5), &Value::Null));
    let held = Outgoing { output_limit: Some(3), ..support::outgoing("m") };
    let (tree, _) = written(&body(&json!({"max_completion_tokens": 5})), &held).unwrap();
    assert_eq!(tree["max_tokens"], 3);
}

#[test]
fn quirk_reasoning_writes_the_wish_in_the_providers_member() {
    use ReasoningField::{ChatTemplate, Effort, EnableThinking, Object, ThinkingType, Unknown};
    let wish = |reasoning, wish: Value| {
        let (tree, losses) = with(&Quirks { reasoning, ..Quirks::default() }, &wish);
        let mut tree = tree.as_object().unwrap().clone();
        tree.retain(|key, _| key != "model" && key != "messages");
        (Value::Object(tree), losses.worst())
    };
    let close = Some(Severity::Approximated);
    let low = json!({"reasoning_effort": "low"});
    assert_eq!(wish(Effort, low.clone()), (low.clone(), None));
    assert_eq!(wish(Object, low.clone()), (json!({"reasoning": {"effort": "low"}}), None));
    let on = json!({"thinking": {"type": "enabled"}});
    assert_eq!(wish(ThinkingType, low.clone()), (on.clone(), close));
    let measured = json!({"enable_thinking": true, "thinking_budget": 1024});
    assert_eq!(wish(EnableThinking, low.clone()), (measured, None));
    let template = json!({"chat_template_kwargs": {"enable_thinking": true}});
    assert_eq!(wish(ChatTemplate, low.clone()), (template, close));
    assert_eq!(wish(Unknown, low), (json!({}), Some(Severity::Dropped)));

    let budget = json!({"thinking": {"type": "enabled", "budget_tokens": 9000}});
    assert_eq!(wish(Effort, budget.clone()), (json!({"reasoning_effort": "medium"}), close));
    assert_eq!(wish(Object, budget), (json!({"reasoning": {"max_tokens": 9000}}), None));
    let off = json!({"enable_thinking": false});
    assert_eq!(wish(Effort, off.clone()), (json!({}), close));
    assert_eq!(wish(ThinkingType, off.clone()).0, json!({"thinking": {"type": "disabled"}}));
    assert_eq!(wish(Unknown, off), (json!({}), None));
    let none = json!({"reasoning_effort": "none"});
    assert_eq!(wish(Effort, none.clone()), (none.clone(), None));
    assert_eq!(wish(Object, none).0, json!({"reasoning": {"enabled": false}}));
    assert_eq!(wish(Effort, on.clone()), (json!({}), None));
    assert_eq!(wish(ThinkingType, on.clone()), (on, None));
    let max = json!({"reasoning_effort": "xhigh"});
    assert_eq!(wish(Effort, max), (json!({"reasoning_effort": "high"}), close));
}

#[test]
fn quirk_structured_puts_the_schema_into_words() {
    let format = json!({"response_format": {"type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "object", "title": "Canary"}}}});
    let quirks = |structured| Quirks { structured, ..Quirks::default() };
    let (tree, losses) = with(&quirks(Structured::Object), &format);
    assert_eq!(tree["response_format"], json!({"type": "json_object"}));
    assert!(tree["messages"][0]["content"].as_str().unwrap().contains("Canary"));
    assert_eq!(worst(&losses, "response_format"), Some(Severity::Approximated));
    let (tree, _) = with(&quirks(Structured::Nothing), &format);
    assert!(tree.get("response_format").is_none());
    assert!(tree["messages"][0]["content"].as_str().unwrap().contains("Canary"));
    // OpenAI refuses this format unless the conversation says JSON.
    let (tree, losses) = plain(&json!({"response_format": {"type": "json_object"}}));
    assert!(tree["messages"][0]["content"].as_str().unwrap().contains("JSON"));
    assert!(losses.is_empty());
}

#[test]
fn quirk_no_stream_options_asks_for_no_usage() {
    let quirks = Quirks { no_stream_options: true, ..Quirks::default() };
    let (tree, _) = with(&quirks, &json!({"stream": true}));
    assert_eq!((&tree["stream"], tree.get("stream_options")), (&json!(true), None));
    let (tree, _) = plain(&json!({"stream": true}));
    assert_eq!(tree["stream_options"], json!({"include_usage": true}));
}

#[test]
fn quirk_developer_role_names_the_instructions() {
    let quirks = Quirks { developer_role: true, ..Quirks::default() };
    let said = json!([{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]);
    assert_eq!(messages(&quirks, &said)[0]["role"], "developer");
    assert_eq!(messages(&Quirks::default(), &said)[0]["role"], "system");
}

#[test]
fn quirk_any_tool_choice_is_another_word() {
    let members = json!({"tools": tools(), "tool_choice": "required"});
    let quirks = Quirks { any_tool_choice: true, ..Quirks::default() };
    assert_eq!(with(&quirks, &members).0["tool_choice"], "any");
    assert_eq!(plain(&members).0["tool_choice"], "required");
}

#[test]
fn quirk_functions_only_wraps_custom_tools() {
    let quirks = Quirks { functions_only: true, ..Quirks::default() };
    let among = json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto",
        "tools": [{"type": "custom", "custom": {"name": "shell"}}]}});
    let (tree, losses) = with(
        &quirks,
        &json!({"tools": tools(), "tool_choice": among,
        "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [
            {"id": "c", "type": "custom", "custom": {"name": "shell", "input": "ls \"a\""}}]},
            {"role": "tool", "tool_call_id": "c", "content": "r"}]}),
    );
    assert_eq!(tree["tools"].as_array().unwrap().len(), 1);
    let function = &tree["tools"][0]["function"];
    assert_eq!(function["name"], "shell");
    assert_eq!(function["parameters"]["required"], json!(["input"]));
    assert!(function.to_string().contains("start: /.+/"));
    assert_eq!(tree["tool_choice"], "auto");
    let call = &tree["messages"][1]["tool_calls"][0];
    assert_eq!(call["function"]["arguments"], r#"{"input":"ls \"a\""}"#);
    assert_eq!(worst(&losses, "tools[1]"), Some(Severity::Approximated));
}

#[test]
fn quirk_replays_reasoning_sends_earlier_thinking_back() {
    let said = json!([{"role": "user", "content": "x"},
        {"role": "assistant", "content": "y", "reasoning_content": "hm"},
        {"role": "user", "content": "z"}]);
    let quirks = Quirks { replays_reasoning: true, ..Quirks::default() };
    assert_eq!(messages(&quirks, &said)[1]["reasoning_content"], "hm");
    let (tree, losses) = plain(&json!({ "messages": said }));
    assert!(tree["messages"][1].get("reasoning_content").is_none());
    assert_eq!(losses.worst(), Some(Severity::Dropped));
}

#[test]
fn pitfall_15_signatures_go_back_to_their_issuer_only() {
    let said = json!([{"role": "user", "content": "x"},
        {"role": "assistant", "content": "y", "reasoning_content": "hm", "reasoning_details": [
            {"type": "reasoning.text", "text": "hm", "signature": "tp1.anthropic.SIG",
             "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.encrypted", "data": "BLOB", "format": "openai-responses-v1"}]},
        {"role": "user", "content": "z"}]);
    for replays_reasoning in [false, true] {
        let sent = messages(&Quirks { replays_reasoning, ..Quirks::default() }, &said);
        assert_eq!(sent[1], json!({"role": "assistant", "content": "y"}));
    }
    let quirks = Quirks { signatures: SignatureField::Details, ..Quirks::default() };
    let details = messages(&quirks, &said)[1]["reasoning_details"].clone();
    assert_eq!((&details[0]["signature"], &details[0]["text"]), (&json!("SIG"), &json!("hm")));
    assert_eq!(details[1]["data"], "BLOB");
}

#[test]
fn pitfall_16_a_gemini_signature_returns_with_its_tool_call() {
    let extra = json!({"google": {"thought_signature": "GEM"}});
    let said = json!([{"role": "user", "content": "x"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function",
            "function": {"name": "f", "arguments": "{}"}, "extra_content": extra}]},
        {"role": "tool", "tool_call_id": "c", "content": "r"}]);
    let quirks = Quirks { signatures: SignatureField::Google, ..Quirks::default() };
    assert_eq!(messages(&quirks, &said)[1]["tool_calls"][0]["extra_content"], extra);
    let sent = messages(&Quirks::default(), &said);
    assert!(sent[1]["tool_calls"][0].get("extra_content").is_none());
}

#[test]
fn quirk_refused_members_are_left_out_and_told() {
    let refused = ["n", "logprobs", "user", "seed", "tool_choice"].map(str::to_owned).to_vec();
    let quirks = Quirks { refused, ..Quirks::default() };
    let (tree, losses) = with(
        &quirks,
        &json!({"n": 2, "logprobs": true, "top_logprobs": 2,
        "user": "u", "seed": 1, "tools": tools(), "tool_choice": "auto"}),
    );
    for name in ["n", "logprobs", "top_logprobs", "user", "seed", "tool_choice"] {
        assert!(tree.get(name).is_none(), "{name}");
    }
    let told = |name| worst(&losses, name);
    assert_eq!(
        (told("n"), told("logprobs")),
        (Some(Severity::Unsupported), Some(Severity::Unsupported))
    );
    assert_eq!((told("seed"), told("user")), (Some(Severity::Dropped), None));
    assert_eq!(told("tool_choice"), None);
}

#[test]
fn what_has_no_place_is_told() {
    let (tree, losses) = plain(&json!({"top_k": 5, "stop": ["1", "2", "3", "4", "5"],
        "min_p": 0.1, "tools": [{"type": "web_search"}], "tool_choice": "auto"}));
    assert_eq!(worst(&losses, "top_k"), Some(Severity::Dropped));
    assert_eq!(worst(&losses, "stop"), Some(Severity::Dropped));
    assert_eq!(worst(&losses, "min_p"), Some(Severity::Dropped));
    assert_eq!(worst(&losses, "tools[0]"), Some(Severity::Dropped));
    let forced = json!({"tools": [{"type": "web_search"}], "tool_choice": "required"});
    assert_eq!(worst(&plain(&forced).1, "tools[0]"), Some(Severity::Unsupported));
    assert!(tree.get("tools").is_none() && tree.get("tool_choice").is_none());
    assert_eq!(tree["stop"].as_array().unwrap().len(), 4);
}

#[test]
fn a_picture_in_a_tools_result_follows_in_a_users_message() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
    let call = |id: &str| {
        json!({"id": id, "type": "function",
        "function": {"name": "f", "arguments": "{}"}})
    };
    let sent = messages(
        &Quirks::default(),
        &json!([
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": null, "tool_calls": [call("a"), call("b")]},
            {"role": "tool", "tool_call_id": "a", "content": [image]},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "t"}]},
            {"role": "assistant", "content": "ok"},
            {"role": "user", "content": "y"},
        ]),
    );
    let roles: Vec<_> = sent.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "user", "assistant", "user"]);
    assert_eq!(sent[4]["content"], json!([image]));
}
