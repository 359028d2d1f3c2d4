//! Vectors: asked of the models that give them and of no others, passed byte for byte or carried
//! over from Google's shapes, redacted, held, paid for by their input, and explained.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::{
    AnswerScript, Dialect, Failure, ModelScript, ProviderScript, Rule, Script, Simulator,
};
use turnpike_tests::{Answered, ORG, Setup, Stage, pico};

const PATH: &str = "/v1/embeddings";
/// Numbers of a simulated vector.
const DIMENSIONS: u32 = 8;

/// Two providers with one embedding model, of two dialects, and one that only talks.
pub(crate) fn script() -> Script {
    let provider = |(name, dialect, model): (&str, Dialect, &str)| {
        let mut model = ModelScript::instant(model, AnswerScript::Echo {});
        model.dimensions = Some(DIMENSIONS);
        ProviderScript {
            name: name.to_owned(),
            prefix: format!("/{name}/v1"),
            api_key: Some("sim-key".to_owned()),
            dialect,
            models: vec![model],
            failures: Vec::new(),
        }
    };
    let all = [
        ("alike", Dialect::OpenAiChat, "vec"),
        ("second", Dialect::Gemini, "vec"),
        ("talker", Dialect::OpenAiChat, "talk"),
    ];
    Script { seed: 3, providers: all.into_iter().map(provider).collect() }
}

pub(crate) fn configuration(script: &Script, simulator: &Simulator) -> Result<String> {
    let mut out = String::new();
    for provider in &script.providers {
        let (name, url) = (&provider.name, simulator.url(&provider.name)?);
        let (dialect, model) = (serde_json::to_value(provider.dialect)?, &provider.models[0].id);
        // The one that passes bytes is the cheaper, and so the first choice.
        let price = if name == "alike" { "0.02" } else { "0.2" };
        let (embedding, output) = match model.as_str() {
            "vec" | "vec2" => (true, ""),
            _ => (false, ", output = \"1\""),
        };
        write!(
            out,
            "[providers.{name}]\nbase_url = \"{url}\"\napi_key = \"sim-key\"\n\
             dialect = {dialect}\n[[providers.{name}.offers]]\nid = \"acme/{model}\"\n\
             embedding = {embedding}\nusd_per_million = {{ input = \"{price}\"{output} }}\n\n"
        )?;
    }
    Ok(out)
}

async fn open() -> Result<Stage> {
    Stage::open_with(Setup { script: script(), providers: configuration, ..Setup::default() }).await
}

async fn embed(stage: &Stage, body: &Value) -> Result<Answered> {
    stage.caller.call(Method::POST, PATH, Some(body)).await
}

/// The numbers of each vector.
fn vectors(answer: &Answered) -> Result<Vec<Vec<f64>>> {
    let data = answer.body["data"].as_array().context("data")?;
    let numbers = |one: &Value| {
        let list = one["embedding"].as_array()?;
        Some(list.iter().filter_map(Value::as_f64).collect())
    };
    data.iter().map(|one| numbers(one).context("a list of numbers")).collect()
}

#[tokio::test]
async fn they_pass_byte_for_byte_and_only_the_input_is_paid() -> Result<()> {
    let stage = open().await?;
    let body = "{ \"input\" : [\"the cat\", \"a d\\u00f6g\"],\"model\":\"acme/vec\", \
                \"user\":\"u-1\",  \"dimensions\":4 }";
    let sent = body.as_bytes().to_vec();
    let answer = stage.caller.send_bytes(Method::POST, PATH, "application/json", sent).await?;
    let answer = answer.expect_status(200)?;
    let [seen] = &stage.simulator.all_requests()[..] else { panic!("one request") };
    assert_eq!(seen.text(), body.replace("acme/vec", "vec"));
    assert_eq!((seen.provider.as_str(), seen.path.as_str()), ("alike", "/alike/v1/embeddings"));
    assert_eq!(vectors(&answer)?.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4]);
    assert_eq!(answer.header("x-turnpike-model"), "acme/vec");
    assert_eq!(answer.header("x-turnpike-task"), "embedding");
    let tokens = answer.body["usage"]["prompt_tokens"].as_u64().context("a count")?;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(explanation["usage"]["input_uncached"], tokens);
    assert_eq!(explanation["usage_source"], "provider");
    let cost = pico(explanation["cost_usd"].as_str().context("a cost")?)?;
    assert_eq!(cost, u128::from(tokens) * 20_000);
    let held = pico(explanation["hold_usd"].as_str().context("a hold")?)?;
    assert!((cost..cost * 200).contains(&held), "{held} was held for {cost}");
    assert_eq!(stage.settled_balance(ORG).await?.spent, cost);
    Ok(())
}

#[tokio::test]
async fn a_failing_provider_is_replaced_by_one_of_another_dialect() -> Result<()> {
    let stage = open().await?;
    let mut body = json!({ "model": "acme/vec", "input": ["the cat sat", "blue moon"] });
    let alike = embed(&stage, &body).await?.expect_status(200)?;
    stage.simulator.fail("alike", &[Rule::always(Failure::status(500))])?;
    let other = embed(&stage, &body).await?.expect_status(200)?;
    assert_eq!(other.header("x-turnpike-provider"), "second");
    assert_eq!(vectors(&alike)?, vectors(&other)?);
    assert_eq!(other.body["object"], "list");
    let explanation = stage.explanation(ORG, other.request_id()).await?;
    assert_eq!(explanation["usage_source"], "estimated", "Gemini tells no count");
    assert_eq!(explanation["attempts"].as_array().map(Vec::len), Some(2));
    body["encoding_format"] = json!("base64");
    let coded = embed(&stage, &body).await?.expect_status(200)?;
    let length = |index: usize| coded.body["data"][index]["embedding"].as_str().map(str::len);
    // Four bytes a number, four letters for three bytes.
    assert_eq!([length(0), length(1)], [Some(44), Some(44)]);
    Ok(())
}

/// Tokens of one model's tokenizer mean something else to another's.
#[tokio::test]
async fn tokens_go_to_who_can_read_them_alone() -> Result<()> {
    let stage = open().await?;
    for input in [json!([1, 2, 3]), json!([[1, 2], [3]])] {
        let body = json!({ "model": "acme/vec", "input": input });
        let answer = embed(&stage, &body).await?.expect_status(200)?;
        assert_eq!(answer.header("x-turnpike-provider"), "alike");
        assert_eq!(answer.body["usage"]["prompt_tokens"], 3);
    }
    stage.simulator.fail("alike", &[Rule::always(Failure::status(500))])?;
    let body = json!({ "model": "acme/vec", "input": [1, 2, 3] });
    embed(&stage, &body).await?.expect_status(500)?;
    assert!(stage.simulator.requests("second").is_empty());
    Ok(())
}

#[tokio::test]
async fn auto_chooses_among_those_that_embed_and_chat_among_those_that_talk() -> Result<()> {
    let stage = open().await?;
    for model in ["auto", "auto:cheap", "auto:fast", "auto:best"] {
        let answer = embed(&stage, &json!({ "model": model, "input": "x" })).await?;
        let answer = answer.expect_status(200)?;
        assert_eq!(answer.header("x-turnpike-model"), "acme/vec");
        let chat = turnpike_tests::chat(model, "hello");
        let answer = stage.caller.chat(&chat).await?.expect_status(200)?;
        assert_eq!(answer.header("x-turnpike-model"), "acme/talk");
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        let candidates = explanation["candidates"].as_array().context("candidates")?;
        let vec = candidates.iter().find(|one| one["offer"] == "acme/vec@alike");
        assert_eq!(vec.context("the embedding model")?["reason_code"], "not_chat");
    }
    let answer = embed(&stage, &json!({ "model": "acme/talk", "input": "x" })).await?;
    let answer = answer.expect_status(422)?;
    let message = answer.body["error"]["message"].as_str().context("a message")?;
    assert!(message.contains("acme/talk@talker: it gives no embeddings"), "{message}");
    assert!(message.ends_with("ask for an embedding model, such as acme/vec"), "{message}");
    let chat = turnpike_tests::chat("acme/vec", "hello");
    let answer = stage.caller.chat(&chat).await?.expect_status(422)?;
    let message = answer.body["error"]["message"].as_str().context("a message")?;
    assert!(message.contains("all 2: it does not answer in text"), "{message}");
    assert!(message.contains("ask it at POST /v1/embeddings"), "{message}");
    Ok(())
}

/// A second embedding model, at a provider of its own.
fn with_another() -> Script {
    let mut all = script();
    let mut another = all.providers[0].clone();
    (another.name, another.prefix) = ("another".to_owned(), "/another/v1".to_owned());
    another.models[0].id = "vec2".to_owned();
    all.providers.push(another);
    all
}

#[tokio::test]
async fn auto_is_no_choice_among_several_models() -> Result<()> {
    let setup = Setup { script: with_another(), providers: configuration, ..Setup::default() };
    let stage = Stage::open_with(setup).await?;
    let alias = json!({ "model": "auto" });
    let path = format!("/orgs/{ORG}/aliases/house-vectors");
    stage.operate(Method::PUT, &path, Some(&alias)).await?.expect_status(201)?;
    let ask = |model: &str| json!({ "model": model, "input": "x" });
    for model in ["auto", "auto:cheap", "house-vectors"] {
        let refused = embed(&stage, &ask(model)).await?.expect_status(400)?;
        let error = &refused.body["error"];
        assert_eq!((&error["code"], &error["param"]), (&json!("ambiguous_model"), &json!("model")));
        let message = error["message"].as_str().context("a message")?;
        assert!(message.contains("acme/vec, acme/vec2"), "{message}");
        let explanation = stage.explanation(ORG, refused.request_id()).await?;
        assert!(!explanation["candidates"].as_array().context("candidates")?.is_empty());
    }
    // Who rests now is asked again later.
    stage.simulator.fail("another", &[Rule::always(Failure::status(500))])?;
    for _ in 0..6 {
        assert!(embed(&stage, &ask("acme/vec2")).await?.status >= 500);
    }
    embed(&stage, &ask("auto")).await?.expect_status(400)?;
    // What the key allows, or a rule, leaves one.
    let narrow = json!({ "name": "narrow", "models": ["acme/vec"] });
    let narrow = stage.add_key(ORG, &narrow).await?;
    let answer = narrow.call(Method::POST, PATH, Some(&ask("house-vectors"))).await?;
    assert_eq!(answer.expect_status(200)?.header("x-turnpike-model"), "acme/vec");
    let rule = json!({ "when": { "task": ["embedding"] }, "allow": ["acme/vec"] });
    let path = format!("/orgs/{ORG}/rules");
    stage.operate(Method::POST, &path, Some(&rule)).await?.expect_status(201)?;
    let answer = embed(&stage, &ask("auto")).await?.expect_status(200)?;
    assert_eq!(answer.header("x-turnpike-model"), "acme/vec");
    Ok(())
}

#[tokio::test]
async fn texts_are_redacted_before_they_leave() -> Result<()> {
    let stage = open().await?;
    let binding = json!({ "plugin": "redact-default", "mode": "active",
        "config": { "input": { "all": "mask" } } });
    stage.bind("redact", &binding).await?;
    let mail = "ada.lovelace@example.org";
    for input in [json!(format!("write to {mail}")), json!(["one", format!("write to {mail}")])] {
        let body = json!({ "model": "acme/vec", "input": input, "user": mail });
        let answer = embed(&stage, &body).await?.expect_status(200)?;
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        assert_eq!(explanation["redactions"][0]["kind"], "email", "{explanation:#}");
    }
    let sent: String = stage.simulator.all_requests().iter().map(|seen| seen.text()).collect();
    assert!(sent.contains("write to") && !sent.contains(mail), "{sent}");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_told_in_openais_shape() -> Result<()> {
    let stage = open().await?;
    for (body, status, code) in [
        (json!({ "model": "acme/vec" }), 400, "missing_field"),
        (json!({ "input": "x" }), 400, "missing_field"),
        (json!({ "model": "acme/vec", "input": {} }), 400, "invalid_value"),
        (json!({ "model": "acme/none", "input": "x" }), 404, "model_not_found"),
    ] {
        let answer = embed(&stage, &body).await?.expect_status(status)?;
        let error = &answer.body["error"];
        assert_eq!(error["code"], code, "{error}");
        let keys = ["message", "type", "param", "code"];
        assert!(keys.iter().all(|key| error.get(key).is_some()), "{error}");
    }
    // The provider's own refusal, in its own words.
    let answer = embed(&stage, &json!({ "model": "acme/vec", "input": "" })).await?;
    let answer = answer.expect_status(400)?;
    assert_eq!(answer.body["error"]["param"], "input");
    assert_eq!(stage.settled_balance(ORG).await?.spent, 0);
    let get = stage.caller.get(PATH).await?;
    assert_eq!(get.status, 405);
    assert_eq!(get.header("allow"), "POST");
    Ok(())
}

#[tokio::test]
async fn nothing_is_asked_without_credit() -> Result<()> {
    let setup = Setup {
        script: script(),
        providers: configuration,
        credit_usd: "0.000001".to_owned(),
        ..Setup::default()
    };
    let stage = Stage::open_with(setup).await?;
    let body = json!({ "model": "acme/vec", "input": "a long text ".repeat(1_000) });
    let answer = embed(&stage, &body).await?.expect_status(402)?;
    assert_eq!(answer.body["error"]["code"], "insufficient_credit");
    assert!(stage.simulator.all_requests().is_empty());
    Ok(())
}

/// Google's clients ask for vectors in a way that is not offered here: they are told where there
/// are some, and the list does not promise them.
#[tokio::test]
async fn googles_clients_are_told_where_vectors_are() -> Result<()> {
    let stage = open().await?;
    let body = json!({ "content": { "parts": [{ "text": "x" }] } });
    for operation in ["embedContent", "batchEmbedContents"] {
        let path = format!("/v1beta/models/acme/vec:{operation}");
        let refused = stage.caller.call(Method::POST, &path, Some(&body)).await?;
        let refused = refused.expect_status(404)?;
        assert_eq!(refused.body["error"]["status"], "NOT_FOUND", "{}", refused.text);
        let message = refused.body["error"]["message"].as_str().context("a message")?;
        assert!(message.contains(operation) && message.contains("/v1/embeddings"), "{message}");
        assert_eq!(refused.header("allow"), "");
    }
    let list = stage.caller.get("/v1beta/models").await?.expect_status(200)?.body;
    let listed = list["models"].as_array().context("models")?;
    let methods = |name: &str| {
        let of = listed.iter().find(|model| model["name"] == name);
        of.map(|model| model["supportedGenerationMethods"].clone())
    };
    assert_eq!(methods("models/acme/vec"), Some(json!([])));
    assert_eq!(methods("models/acme/talk"), Some(json!(["generateContent", "countTokens"])));
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let path = format!("/v1beta/models?pageSize=1&pageToken={token}");
        let page = stage.caller.get(&path).await?.expect_status(200)?.body;
        seen.extend(page["models"].as_array().context("models")?.clone());
        match page["nextPageToken"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => break,
        }
    }
    assert_eq!(&seen, listed);
    Ok(())
}
