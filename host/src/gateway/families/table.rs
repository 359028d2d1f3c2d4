//! Each family of OpenAI-compatible providers: what one rich request looks like on its wire,
//! written anew and passed through, and how an answer in its own shape is read.

use serde_json::{Value, json};
use turnpike_protocol::translate::{self, Naming};
use turnpike_protocol::{Call, Dialect, Outgoing};

use super::{Families, Family};

/// The families with one model of each.
const FAMILIES: [(&str, &str); 16] = [
    ("openai", "gpt-5.4"),
    ("llama", "Llama-4-Maverick-17B-128E-Instruct-FP8"),
    ("xai", "grok-4-fast"),
    ("deepseek", "deepseek-v4-pro"),
    ("alibaba", "qwen3-max"),
    ("zai", "glm-5"),
    ("zhipuai", "glm-5"),
    ("mistral", "mistral-large-latest"),
    ("moonshotai", "kimi-k2-thinking"),
    ("minimax", "MiniMax-M2"),
    ("groq", "llama-3.3-70b-versatile"),
    ("togetherai", "deepseek-ai/DeepSeek-V3"),
    ("fireworks-ai", "accounts/fireworks/models/glm-5"),
    ("openrouter", "z-ai/glm-5"),
    ("ollama", "llama3.2:3b"),
    ("vllm", "Qwen/Qwen3-32B"),
];

/// A request of Anthropic's with all that families differ in.
fn rich() -> Call {
    let tool = json!({"name": "weather", "description": "Weather of a city", "input_schema":
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}});
    let body = json!({
        "model": "auto",
        "max_tokens": 4096,
        "stream": true,
        "temperature": 1,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "system": "Be brief.",
        "tools": [tool],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "messages": [
            {"role": "user", "content": "Paris"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Which?", "signature": "tp1.other.c2ln"},
                {"type": "tool_use", "id": "toolu_1", "name": "weather",
                    "input": {"city": "Paris"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "18"}]},
        ],
    });
    Call::parse(Dialect::AnthropicMessages, body.to_string().into()).unwrap()
}

/// A request of OpenAI's with members that one or another refuses.
fn plain() -> Call {
    let body = concat!(
        r#"{"model":"auto","messages":[{"role":"user","content":"hi"}],"stream":true,"#,
        r#""max_completion_tokens":64,"seed":1,"stop":["END"],"n":1,"user":"u","#,
        r#""logit_bias":{"1":2},"presence_penalty":0.5,"frequency_penalty":0.5,"#,
        r#""parallel_tool_calls":false,"reasoning_effort":"low","store":true,"#,
        r#""metadata":{"a":"b"},"service_tier":"auto","top_logprobs":2,"logprobs":true}"#
    );
    Call::parse(Dialect::OpenAiChat, body.into()).unwrap()
}

fn family(name: &str) -> Family {
    Families::embedded().unwrap().of(name)
}

fn outgoing<'a>(
    family: &Family,
    model: &'a str,
    quirks: &'a turnpike_protocol::Quirks,
) -> Outgoing<'a> {
    let limit_field = family.limit_field();
    Outgoing { model, output_limit: None, model_limit: None, limit_field, quirks }
}

/// The bytes for every family, one after the other; a change of the table shows here.
#[test]
fn the_bytes_that_each_family_gets() {
    let mut shown = String::new();
    for (name, model) in FAMILIES {
        let family = family(name);
        let quirks = family.quirks(model);
        let out = outgoing(&family, model, &quirks);
        let written = translate::request(&rich(), Dialect::OpenAiChat, &out).unwrap();
        let passed = plain().encode(&out);
        let lost = |losses: &turnpike_protocol::Losses| {
            losses.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        for (what, body, losses) in [
            ("written", &written.body, lost(&written.losses)),
            ("passed", &passed, lost(&plain().refused(&quirks))),
        ] {
            let body = std::str::from_utf8(body).unwrap();
            let value: Value = serde_json::from_str(body).unwrap();
            assert_eq!(value["model"], model, "{name}");
            for refused in &quirks.refused {
                assert_eq!(value.get(refused), None, "{name} refuses {refused}: {body}");
            }
            shown += &format!("{name} {what}\n  {body}\n  lost: {losses}\n");
        }
    }
    insta::assert_snapshot!("bytes", shown);
}

/// An answer as the family writes it, and what it comes to: thinking, text, and tokens of the
/// prompt read afresh, of the prompt from a cache, of the answer, of thinking.
const ANSWERS: [(&str, &str, &str, &str, [u64; 4]); 14] = [
    (
        "openai",
        r#"{"content":"Hi"}"#,
        r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19,
            "prompt_tokens_details":{"cached_tokens":4},
            "completion_tokens_details":{"reasoning_tokens":7}}"#,
        "",
        [6, 4, 2, 7],
    ),
    (
        "llama",
        r#"{"content":"Hi"}"#,
        r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}"#,
        "",
        [10, 0, 2, 0],
    ),
    (
        // Thinking is beside the completion, and in the total.
        "xai",
        r#"{"content":"Hi","reasoning_content":"Hm"}"#,
        r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":19,
            "prompt_tokens_details":{"text_tokens":10,"cached_tokens":4},
            "completion_tokens_details":{"reasoning_tokens":7},"num_sources_used":0}"#,
        "Hm",
        [6, 4, 2, 7],
    ),
    (
        "deepseek",
        r#"{"content":"Hi","reasoning_content":"Hm"}"#,
        r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19,
            "prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6,
            "completion_tokens_details":{"reasoning_tokens":7}}"#,
        "Hm",
        [6, 4, 2, 7],
    ),
    (
        "alibaba",
        r#"{"content":"Hi","reasoning_content":"Hm"}"#,
        r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19,
            "prompt_tokens_details":{"cached_tokens":4},
            "completion_tokens_details":{"reasoning_tokens":7,"text_tokens":2}}"#,
        "Hm",
        [6, 4, 2, 7],
    ),
    (
        "zai",
        r#"{"content":"\nHi","reasoning_content":"Hm"}"#,
        r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19,
            "prompt_tokens_details":{"cached_tokens":4}}"#,
        "Hm",
        [6, 4, 9, 0],
    ),
    (
        "mistral",
        r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm"}]},
            {"type":"text","text":"Hi"}]}"#,
        r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19}"#,
        "Hm",
        [10, 0, 9, 0],
    ),
    (
        "moonshotai",
        r#"{"content":"Hi","reasoning_content":"Hm"}"#,
        r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19,"cached_tokens":4}"#,
        "Hm",
        [6, 4, 9, 0],
    ),
    (
        "groq",
        r#"{"content":"Hi","reasoning":"Hm"}"#,
        r#"{"queue_time":0.1,"prompt_tokens":10,"prompt_time":0.1,"completion_tokens":9,
            "completion_time":0.1,"total_tokens":19,"total_time":0.2,
            "completion_tokens_details":{"reasoning_tokens":7}}"#,
        "Hm",
        [10, 0, 2, 7],
    ),
    (
        "togetherai",
        r#"{"content":"Hi","reasoning":"Hm"}"#,
        r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19,"cached_tokens":4}"#,
        "Hm",
        [6, 4, 9, 0],
    ),
    (
        "fireworks-ai",
        r#"{"content":"Hi","reasoning_content":"Hm"}"#,
        r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19,
            "prompt_tokens_details":{"cached_tokens":4}}"#,
        "Hm",
        [6, 4, 9, 0],
    ),
    (
        "openrouter",
        r#"{"content":"Hi","reasoning":"Hm",
            "reasoning_details":[{"type":"reasoning.text","text":"Hm","index":0}]}"#,
        r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19,"cost":0.01,
            "prompt_tokens_details":{"cached_tokens":4},
            "completion_tokens_details":{"reasoning_tokens":7}}"#,
        "Hm",
        [6, 4, 2, 7],
    ),
    (
        "ollama",
        r#"{"content":"Hi","reasoning":"Hm"}"#,
        r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19}"#,
        "Hm",
        [10, 0, 9, 0],
    ),
    (
        "vllm",
        r#"{"content":"Hi","reasoning_content":"Hm","tool_calls":[]}"#,
        r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19,
            "prompt_tokens_details":null}"#,
        "Hm",
        [10, 0, 9, 0],
    ),
];

#[test]
fn an_answer_in_each_familys_own_shape_is_read() {
    let naming = Naming {
        id: "r1".to_owned(),
        created_s: 0,
        model: "m".to_owned(),
        include_usage: false,
        input_tokens: 0,
        custom_tools: Vec::new(),
        long_tools: Vec::new(),
    };
    for (name, message, usage, thinking, [fresh, cached, output, reasoning]) in ANSWERS {
        let body = format!(
            "{{\"id\":\"x\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\
             \"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",{}}},\
             \"finish_reason\":\"stop\"}}],\"usage\":{usage}}}",
            message.strip_prefix('{').unwrap().strip_suffix('}').unwrap()
        );
        let to = Dialect::AnthropicMessages;
        let said = translate::answer(Dialect::OpenAiChat, to, &body.into(), &naming).unwrap();
        let used = said.usage.unwrap();
        assert_eq!(
            [used.input_uncached, used.cache_read, used.output_text, used.output_reasoning],
            [fresh, cached, output, reasoning],
            "{name}"
        );
        let body: Value = serde_json::from_slice(&said.body).unwrap();
        let of = |kind: &str, member: &str| -> String {
            let blocks = body["content"].as_array().unwrap().iter();
            let blocks = blocks.filter(|block| block["type"] == kind);
            blocks.filter_map(|block| block[member].as_str()).collect()
        };
        assert_eq!(of("thinking", "thinking"), thinking, "{name}: {body}");
        assert_eq!(of("text", "text").trim(), "Hi", "{name}: {body}");
    }
}

/// A model that thinks unless it is told not to takes no sampling where nobody says anything: in
/// the bytes that pass and in those that are written anew, and it is told.
#[test]
fn who_says_nothing_of_thinking_has_no_sampling_where_a_model_thinks_unasked() {
    let family = family("openai");
    let asked = |dialect, more: &str| {
        let body = match dialect {
            Dialect::OpenAiResponses => format!(r#"{{"model":"m","input":"hi"{more}}}"#),
            _ => {
                let hi = r#""messages":[{"role":"user","content":"hi"}]"#;
                format!(r#"{{"model":"m","max_tokens":9000,{hi}{more}}}"#)
            }
        };
        Call::parse(dialect, body.into()).unwrap()
    };
    let (chat, responses) = (Dialect::OpenAiChat, Dialect::OpenAiResponses);
    let anthropic = Dialect::AnthropicMessages;
    let cold = r#","temperature":0.2"#;
    for (model, from, to, more, kept) in [
        ("gpt-5.5", chat, chat, "", false),
        ("gpt-5.5", chat, chat, r#","reasoning_effort":"low""#, false),
        ("gpt-5.5", chat, chat, r#","reasoning_effort":"none""#, true),
        ("gpt-5.4", chat, chat, "", true),
        ("gpt-5.6-sol", responses, responses, "", false),
        ("gpt-5.6-sol", responses, responses, r#","reasoning":{"summary":"auto"}"#, false),
        ("gpt-5.6-sol", responses, responses, r#","reasoning":{"effort":"none"}"#, true),
        ("gpt-5.4", responses, responses, r#","reasoning":{"summary":"auto"}"#, true),
        ("gpt-5.5", responses, chat, "", false),
        ("gpt-5.5", chat, responses, "", false),
        ("gpt-5.5", anthropic, chat, "", false),
        // Who switches thinking off switches it off.
        ("gpt-5.5", anthropic, chat, r#","thinking":{"type":"disabled"}"#, true),
        ("gpt-5.5", anthropic, responses, r#","thinking":{"type":"disabled"}"#, true),
    ] {
        let quirks = family.quirks(model);
        let out = outgoing(&family, model, &quirks);
        let call = asked(from, &format!("{cold}{more}"));
        let (body, told) = if from == to {
            (call.encode(&out), call.refused(&quirks))
        } else {
            let written = translate::request(&call, to, &out).unwrap();
            (written.body, written.losses)
        };
        let body: Value = serde_json::from_slice(&body).unwrap();
        let case = format!("{model} {from:?} {to:?} {more}: {body}");
        assert_eq!(body.get("temperature").is_some(), kept, "{case}");
        let told = told.iter().any(|loss| loss.to_string().contains("temperature"));
        assert_eq!(told, !kept, "{case}");
    }
}
