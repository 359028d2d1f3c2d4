//! The list of models in the caller's dialect. Never knows where the models come from.

use bytes::Bytes;

use crate::splice::write_literal;

/// Whose list it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `{"object":"list","data":[…]}`.
    OpenAi,
}

/// One model as a caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    /// The name to ask for.
    pub id: String,
    /// Release, in seconds since 1970; 0 when unknown.
    pub created_s: u64,
    /// Who made it.
    pub owned_by: String,
}

/// The body of `GET /v1/models`.
pub fn encode(shape: Shape, models: &[ModelEntry]) -> Bytes {
    match shape {
        Shape::OpenAi => openai(models),
    }
}

/// The body of `GET /v1/models/{id}`.
pub fn encode_one(shape: Shape, model: &ModelEntry) -> Bytes {
    match shape {
        Shape::OpenAi => {
            let mut out = Vec::new();
            openai_entry(&mut out, model);
            Bytes::from(out)
        }
    }
}

fn openai(models: &[ModelEntry]) -> Bytes {
    let mut out = b"{\"object\":\"list\",\"data\":[".to_vec();
    for (index, model) in models.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        openai_entry(&mut out, model);
    }
    out.extend_from_slice(b"]}");
    Bytes::from(out)
}

fn openai_entry(out: &mut Vec<u8>, model: &ModelEntry) {
    out.extend_from_slice(b"{\"id\":");
    write_literal(out, &model.id);
    let created = format!(",\"object\":\"model\",\"created\":{},\"owned_by\":", model.created_s);
    out.extend_from_slice(created.as_bytes());
    write_literal(out, &model.owned_by);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_the_shape_that_clients_read() {
        let entry = |id: &str| ModelEntry { id: id.into(), created_s: 7, owned_by: "a\"b".into() };
        let body = encode(Shape::OpenAi, &[entry("auto"), entry("openai/gpt")]);
        let expected = concat!(
            r#"{"object":"list","data":["#,
            r#"{"id":"auto","object":"model","created":7,"owned_by":"a\"b"},"#,
            r#"{"id":"openai/gpt","object":"model","created":7,"owned_by":"a\"b"}]}"#
        );
        assert_eq!(body, expected.as_bytes());
        assert_eq!(&encode(Shape::OpenAi, &[])[..], br#"{"object":"list","data":[]}"#);
    }
}
