//! Requests for vectors and their answers, in all the shapes that they have.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::quirks::Envelope;
use crate::translate::{self, Naming};
use crate::{Call, Dialect, LimitField, Outgoing, Quirks, Severity};

fn parsed(body: &Value) -> Call {
    super::parse(body.to_string().into()).unwrap()
}

fn out(quirks: &Quirks) -> Outgoing<'_> {
    Outgoing {
        model: "there",
        output_limit: None,
        model_limit: None,
        limit_field: LimitField::MaxTokens,
        quirks,
    }
}

fn naming() -> Naming {
    Naming {
        id: "r".to_owned(),
        created_s: 0,
        model: "a/b".to_owned(),
        include_usage: false,
        input_tokens: 9,
        custom_tools: Vec::new(),
    }
}

#[test]
fn nothing_but_the_model_is_written_anew() {
    let body = r#"{ "input":["a\u00e9", "b"],"model" : "auto","x":{"y": 1.50}, "user":"u" }"#;
    let call = super::parse(body.into()).unwrap();
    assert!(call.embeds() && !call.stream);
    let texts: Vec<&str> = call.texts.iter().map(|text| text.content.expose()).collect();
    assert_eq!(texts, ["aé", "b", "u"]);
    let sent = call.encode(&out(&Quirks::default()));
    assert_eq!(sent, body.replace("\"auto\"", "\"there\"").as_bytes());
}

#[test]
fn a_replaced_text_is_written_and_a_refused_member_left_out() {
    let body =
        r#"{"model":"m","dimensions":8,"user":"u","input":"mail a@b.c","encoding_format":"float"}"#;
    let mut call = super::parse(body.into()).unwrap();
    let at = call.texts.iter().position(|text| text.content.expose().contains('@')).unwrap();
    call.replace_text(at, "mail [EMAIL]".to_owned());
    let refused = ["dimensions", "user", "encoding_format"].map(str::to_owned).to_vec();
    let quirks = Quirks { refused, ..Quirks::default() };
    let sent = call.encode(&out(&quirks));
    assert_eq!(sent, r#"{"model":"there","input":"mail [EMAIL]"}"#.as_bytes());
    let losses = call.refused(&quirks);
    let lost: Vec<&str> = losses.iter().map(|loss| loss.at.as_str()).collect();
    assert_eq!(lost, ["dimensions", "user", "encoding_format"]);
}

#[test]
fn tokens_are_counted_and_not_read() {
    let flat = parsed(&json!({"model": "m", "input": [50_256, 50_257, 1]}));
    let lists = parsed(&json!({"model": "m", "input": [[50_256, 50_257], [1]]}));
    assert_eq!((flat.messages.len(), lists.messages.len()), (1, 2));
    for call in [&flat, &lists] {
        assert!(call.texts.is_empty() && call.token_ids() == 3);
        assert!((3..40).contains(&call.input_tokens_upper()), "{}", call.input_tokens_upper());
    }
}

#[test]
fn what_is_no_input_is_refused_with_its_place() {
    for (input, at) in [
        (json!(null), "input"),
        (json!({}), "input"),
        (json!([]), "input"),
        (json!(["a", 1]), "input"),
        (json!([[1, "a"]]), "input"),
        (json!([1.5]), "input"),
    ] {
        let body = json!({"model": "m", "input": input}).to_string();
        let error = super::parse(body.into()).unwrap_err();
        assert_eq!((error.param.as_deref(), error.status), (Some(at), 400), "{input}");
    }
    let many = json!({"model": "m", "input": vec!["x"; super::INPUTS_MAX + 1]});
    assert_eq!(super::parse(many.to_string().into()).unwrap_err().status, 413);
    assert_eq!(super::parse("{\"input\":\"x\"}".into()).unwrap_err().param.unwrap(), "model");
}

#[test]
fn google_is_asked_in_its_two_shapes() {
    let call = parsed(&json!({"model": "m", "input": ["a", "b"], "dimensions": 2, "user": "u"}));
    let plain = translate::request(&call, Dialect::Gemini, &out(&Quirks::default())).unwrap();
    let one = |text: &str| {
        json!({"model": "models/there", "content": {"parts": [{"text": text}]},
               "outputDimensionality": 2})
    };
    let sent: Value = serde_json::from_slice(&plain.body).unwrap();
    assert_eq!(sent, json!({"requests": [one("a"), one("b")]}));
    assert_eq!(plain.losses.iter().next().unwrap().at, "user");
    let quirks = Quirks { envelope: Envelope::Vertex, ..Quirks::default() };
    let vertex = translate::request(&call, Dialect::Gemini, &out(&quirks)).unwrap();
    let sent: Value = serde_json::from_slice(&vertex.body).unwrap();
    let instances = json!([{"content": "a"}, {"content": "b"}]);
    assert_eq!(sent, json!({"instances": instances, "parameters": {"outputDimensionality": 2}}));
}

#[test]
fn what_google_cannot_take_is_unsupported() {
    let worst = |body: &Value| {
        let sent =
            translate::request(&parsed(body), Dialect::Gemini, &out(&Quirks::default())).unwrap();
        sent.losses.worst()
    };
    assert_eq!(worst(&json!({"model": "m", "input": [1, 2]})), Some(Severity::Unsupported));
    let many = json!({"model": "m", "input": vec!["x"; 101]});
    assert_eq!(worst(&many), Some(Severity::Unsupported));
    assert_eq!(worst(&json!({"model": "m", "input": "x"})), None);
}

#[test]
fn googles_vectors_come_back_in_openais_shape() {
    let gemini =
        Bytes::from_static(br#"{"embeddings":[{"values":[1.0,-0.50]},{"values":[0,2e-1]}]}"#);
    let call = parsed(&json!({"model": "m", "input": ["a", "b"]}));
    let said = super::translate_answer(&call, &gemini, &naming()).unwrap();
    assert_eq!(said.usage, None, "no count is no count");
    let expected = concat!(
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0,-0.50]},"#,
        r#"{"object":"embedding","index":1,"embedding":[0,2e-1]}],"model":"a/b","#,
        r#""usage":{"prompt_tokens":9,"total_tokens":9}}"#
    );
    assert_eq!(said.body, expected.as_bytes());
    let coded = parsed(&json!({"model": "m", "input": "a", "encoding_format": "base64"}));
    let vertex = Bytes::from_static(
        br#"{"predictions":[{"embeddings":{"statistics":{"token_count":4.0,"truncated":false},
        "values":[1.0,-0.5]}}]}"#,
    );
    let said = super::translate_answer(&coded, &vertex, &naming()).unwrap();
    assert_eq!(said.usage.unwrap().input_uncached, 4);
    let body: Value = serde_json::from_slice(&said.body).unwrap();
    assert_eq!(body["data"][0]["embedding"], "AACAPwAAAL8=");
    assert!(super::translate_answer(&call, &Bytes::from_static(b"{}"), &naming()).is_err());
}

#[test]
fn an_answer_is_counted_and_passes_as_it_is() {
    let body = concat!(
        r#"{"data":[{"embedding":[1,2]},{"embedding":"AAAA"}],"#,
        r#""usage":{"prompt_tokens":7,"total_tokens":7}}"#
    );
    let answer = super::answer(body.into()).unwrap();
    assert_eq!((answer.choices, answer.usage.unwrap().input_uncached), (2, 7));
    assert_eq!(answer.encode(), body.as_bytes());
    assert!(super::answer(r#"{"error":{"message":"x"}}"#.into()).unwrap().error.is_some());
}
