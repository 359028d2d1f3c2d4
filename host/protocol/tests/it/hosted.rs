//! Requests that are about a tool which a provider runs by itself are told from those of agents,
//! which bring such tools along beside their own.

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::{Addressed, Call, Dialect};

/// Whether such tools are all that a request in this dialect offers.
fn only_hosted(dialect: Dialect, tools: &Value) -> bool {
    let said = json!([{ "role": "user", "content": "hi" }]);
    let mut body = match dialect {
        Dialect::OpenAiResponses => json!({ "model": "auto", "input": "hi" }),
        Dialect::Gemini => json!({ "contents": [{ "parts": [{ "text": "hi" }] }] }),
        Dialect::AnthropicMessages => json!({ "model": "m", "max_tokens": 9, "messages": said }),
        _ => json!({ "model": "auto", "messages": said }),
    };
    body["tools"] = tools.clone();
    let addressed = Addressed { model: Some("auto"), stream: None };
    let body = Bytes::from(body.to_string());
    Call::parse_addressed(dialect, body, &addressed).unwrap().needs.only_hosted()
}

#[test]
fn a_request_that_is_about_a_providers_tool_is_told_from_an_agents() {
    let flat = json!({ "type": "function", "name": "f", "parameters": {} });
    let nested = json!({ "type": "function", "function": { "name": "f" } });
    let claude = json!({ "name": "f", "input_schema": { "type": "object" } });
    let functions = json!({ "functionDeclarations": [{ "name": "f" }] });
    for (dialect, hosted, own) in [
        (
            Dialect::OpenAiResponses,
            vec![
                json!({ "type": "web_search" }),
                json!({ "type": "web_search_preview_2025_03_11" }),
                json!({ "type": "file_search", "vector_store_ids": ["vs_1"] }),
                json!({ "type": "code_interpreter", "container": { "type": "auto" } }),
                json!({ "type": "mcp", "server_label": "x", "server_url": "https://x" }),
            ],
            vec![flat, json!({ "type": "custom", "name": "c" }), json!({ "type": "local_shell" })],
        ),
        (
            Dialect::OpenAiChat,
            vec![json!({ "type": "builtin_function", "function": { "name": "$web_search" } })],
            vec![nested],
        ),
        (
            Dialect::AnthropicMessages,
            vec![
                json!({ "type": "web_search_20250305", "name": "web_search" }),
                json!({ "type": "web_fetch_20250910", "name": "web_fetch" }),
                json!({ "type": "code_execution_20250825", "name": "code_execution" }),
            ],
            vec![
                claude,
                json!({ "type": "custom", "name": "f", "input_schema": { "type": "object" } }),
                json!({ "type": "bash_20250124", "name": "bash" }),
                json!({ "type": "computer_20250124", "name": "computer",
                    "display_width_px": 9, "display_height_px": 9 }),
            ],
        ),
        (
            Dialect::Gemini,
            vec![
                json!({ "googleSearch": {} }),
                json!({ "google_search": {} }),
                json!({ "codeExecution": {} }),
                json!({ "urlContext": {} }),
            ],
            vec![functions, json!({ "computerUse": {} })],
        ),
    ] {
        assert!(!only_hosted(dialect, &json!([])), "{dialect:?}: nothing is offered");
        assert!(only_hosted(dialect, &json!(hosted)), "{dialect:?}: all of them at once");
        for tool in &hosted {
            assert!(only_hosted(dialect, &json!([tool])), "{dialect:?}: {tool}");
        }
        for tool in &own {
            assert!(!only_hosted(dialect, &json!([tool])), "{dialect:?}: {tool}");
            assert!(!only_hosted(dialect, &json!([tool, hosted[0]])), "{dialect:?}: beside {tool}");
        }
    }
}
