//! With everything set to pseudonymise, what must not leave does not leave, and comes back whole.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_tests::{ORG, Stage, chat};

/// One of each kind that the built-in knows, with valid check digits; none is anybody's.
const SECRETS: [&str; 6] = [
    "ada.lovelace@example.org",
    "4111 1111 1111 1111",
    "+49 30 901820 4711",
    "DE89 3704 0044 0532 0130 00",
    "sk-proj-Zx81mQp04LkD93hTgYw7cRb2NvUe5SaFoJi6",
    "ghp_1A2b3C4d5E6f7G8h9I0jKlMnOpQrStUvWx12",
];

/// Kinds of the explanation that these must be counted as.
const KINDS: [&str; 4] = ["email", "card", "phone", "iban"];

fn prompt() -> String {
    let [mail, card, phone, iban, key, token] = SECRETS;
    format!(
        "Please write to {mail} or call {phone}. Card {card}, account {iban}. \
         Keys: {key} and {token}. Then write to {mail} again."
    )
}

/// The built-in, told to pseudonymise every kind.
async fn pseudonymise_everything(stage: &Stage) -> Result<()> {
    let binding = json!({ "plugin": "redact-default", "mode": "active",
        "config": { "input": { "all": "pseudonymize" }, "output": { "all": "count" } } });
    stage.bind("redact", &binding).await?;
    Ok(())
}

fn reached_upstream(stage: &Stage) -> String {
    stage.simulator.all_requests().iter().map(turnpike_simulate::Seen::text).collect()
}

fn nothing_reached_upstream(stage: &Stage) {
    let text = reached_upstream(stage);
    assert!(!text.is_empty(), "the upstream was asked");
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} reached the upstream: {text}");
        let digits: String = secret.chars().filter(char::is_ascii_digit).collect();
        if digits.len() > 8 {
            assert!(!text.contains(&digits), "{secret} reached the upstream: {text}");
        }
    }
}

#[tokio::test]
async fn nothing_reaches_the_upstream_and_the_answer_has_it_again() -> Result<()> {
    let stage = Stage::open().await?;
    pseudonymise_everything(&stage).await?;
    let answer = stage.caller.chat(&chat("auto", &prompt())).await?.expect_status(200)?;
    nothing_reached_upstream(&stage);
    assert_eq!(answer.content(), prompt(), "the echo comes back as it was");
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    let redactions = explanation["redactions"].as_array().context("redactions")?;
    for kind in KINDS {
        let found = redactions.iter().find(|one| one["kind"] == kind);
        let found = found.with_context(|| format!("{kind} in {redactions:?}"))?;
        assert!(found["count"].as_u64() > Some(0), "{found}");
    }
    let mails = redactions.iter().find(|one| one["kind"] == "email").context("e-mail")?;
    assert_eq!(mails["count"], 2);
    let text = explanation.to_string();
    assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "the explanation has facts only");
    Ok(())
}

/// Pitfall 68: entities that are split over chunks.
#[tokio::test]
async fn pseudonyms_split_across_chunks_are_restored() -> Result<()> {
    for chunk_tokens in [1, 2, 5, 40] {
        let stage = Stage::open().await?;
        pseudonymise_everything(&stage).await?;
        for (provider, models) in turnpike_tests::PROVIDERS {
            for model in models {
                let edit = |script: &mut turnpike_simulate::ModelScript| {
                    script.chunk_tokens = chunk_tokens;
                };
                stage.simulator.change(provider, model, edit)?;
            }
        }
        let mut answer = stage.caller.stream(&chat("auto", &prompt())).await?;
        answer.read().await?;
        assert!(answer.complete(), "{:?}", answer.chunks);
        nothing_reached_upstream(&stage);
        assert_eq!(answer.text(), prompt(), "chunks of {chunk_tokens} tokens");
    }
    Ok(())
}

fn with_tool(text: &str) -> Value {
    let mut body = chat("auto", text);
    body["tools"] = json!([{ "type": "function", "function": { "name": "send_mail",
        "parameters": { "type": "object", "properties": { "text": { "type": "string" } } } } }]);
    body
}

#[tokio::test]
async fn tool_arguments_are_restored_and_stay_valid_json() -> Result<()> {
    let stage = Stage::open().await?;
    pseudonymise_everything(&stage).await?;
    let text = format!("{} says \"quoted\"", prompt());
    let answer = stage.caller.chat(&with_tool(&text)).await?.expect_status(200)?;
    let arguments = answer.body.pointer("/choices/0/message/tool_calls/0/function/arguments");
    let arguments = arguments.and_then(Value::as_str).context("arguments")?;
    let arguments: Value = serde_json::from_str(arguments).context("arguments are JSON")?;
    assert_eq!(arguments["text"], text);
    let mut answer = stage.caller.stream(&with_tool(&text)).await?;
    answer.read().await?;
    let arguments: Value = serde_json::from_str(&answer.arguments()).context("JSON")?;
    assert_eq!(arguments["text"], text);
    nothing_reached_upstream(&stage);
    Ok(())
}

/// Pitfall 69: text beside the messages is text too.
#[tokio::test]
async fn text_in_every_corner_of_a_request_is_scanned() -> Result<()> {
    let stage = Stage::open().await?;
    pseudonymise_everything(&stage).await?;
    let [mail, card, phone, iban, key, token] = SECRETS;
    let call = json!({ "id": "call_1", "type": "function", "function": { "name": "look_up",
        "arguments": json!({ "account": iban }).to_string() } });
    let body = json!({ "model": "auto", "user": mail, "messages": [
        { "role": "system", "content": format!("The customer's card is {card}.") },
        { "role": "developer", "content": [{ "type": "text", "text": format!("Use {key}.") }] },
        { "role": "user", "name": "Ada", "content": [{ "type": "text", "text": phone }] },
        { "role": "assistant", "content": null, "tool_calls": [call] },
        { "role": "tool", "tool_call_id": "call_1", "content": format!("token {token}") },
    ], "tools": [{ "type": "function", "function": { "name": "look_up",
        "description": format!("Looks up; questions to {mail}"), "parameters": {} } }] });
    stage.caller.chat(&body).await?.expect_status(200)?;
    nothing_reached_upstream(&stage);
    Ok(())
}

/// The default without any binding: secrets go, personal data is only counted.
#[tokio::test]
async fn by_default_secrets_are_pseudonymised_and_personal_data_is_counted() -> Result<()> {
    let stage = Stage::open().await?;
    let answer = stage.caller.chat(&chat("auto", &prompt())).await?.expect_status(200)?;
    assert_eq!(answer.content(), prompt());
    let text = reached_upstream(&stage);
    let [mail, _, _, _, key, token] = SECRETS;
    assert!(text.contains(mail), "personal data passes by default");
    assert!(!text.contains(key) && !text.contains(token), "secrets do not: {text}");
    Ok(())
}
