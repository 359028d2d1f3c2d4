//! OpenAI embeddings: shapes, encodings, sizes, and what is refused.

use crate::play::{echo, play};
use reqwest::Client;
use serde_json::{Value, json};
use turnpike_simulate::Simulator;

async fn embed(simulator: &Simulator, body: &Value) -> (u16, Value) {
    let url = format!("{}/embeddings", simulator.url("p").expect("p"));
    let response = Client::new().post(url).bearer_auth("sim-key").json(body).send().await;
    let response = response.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

#[tokio::test]
async fn floats_base64_sizes_and_usage() {
    let simulator = play(echo()).await;
    let mut body = json!({ "model": "m", "input": ["the cat", "a dog"], "dimensions": 4 });
    let (status, floats) = embed(&simulator, &body).await;
    assert_eq!((status, &floats["object"]), (200, &json!("list")));
    let vector = floats["data"][1]["embedding"].as_array().expect("a list");
    let length: f64 = vector.iter().map(|x| x.as_f64().expect("a number").powi(2)).sum();
    assert!(vector.len() == 4 && (length - 1.0).abs() < 1e-5);
    assert_eq!(floats["usage"], json!({ "prompt_tokens": 4, "total_tokens": 4 }));
    assert_eq!(embed(&simulator, &body).await.1, floats);
    body["encoding_format"] = json!("base64");
    let (_, coded) = embed(&simulator, &body).await;
    assert_eq!(coded["data"][0]["embedding"].as_str().map(str::len), Some(24));
    let (_, usual) = embed(&simulator, &json!({ "model": "m", "input": "x" })).await;
    assert_eq!(usual["data"][0]["embedding"].as_array().map(Vec::len), Some(1536));
    assert_eq!(simulator.counts("p").expect("p").answered, 4);
}

#[tokio::test]
async fn empty_inputs_and_unknown_members_are_refused() {
    let simulator = play(echo()).await;
    for body in [
        json!({ "model": "m", "input": "" }),
        json!({ "model": "m", "input": [] }),
        json!({ "model": "m" }),
        json!({ "model": "m", "input": "x", "dimensions": 9999 }),
        json!({ "model": "m", "input": "x", "task": "query" }),
    ] {
        assert_eq!(embed(&simulator, &body).await.0, 400, "{body}");
    }
    assert_eq!(embed(&simulator, &json!({ "model": "gone", "input": "x" })).await.0, 404);
}
