//! `:batchEmbedContents` of Gemini and `:predict` of Vertex: the vectors that the other dialects
//! give too, in Google's two shapes. Reads strictly; knows nothing of sockets.

use serde_json::{Value, json};

use crate::openai_embeddings::vector_of;
use crate::server::Visit;
use crate::speech::ErrorBody;
use crate::tokens;

use super::error::{invalid, unknown_name};
use super::{WHOLE, model_of, unknown_model};

/// Texts of one batch, and of one prediction.
const BATCH_MAX: usize = 100;
const INSTANCES_MAX: usize = 250;

/// The model, and the body of an answer.
pub(crate) fn answer(visit: &Visit<'_>) -> Result<(String, Value), ErrorBody> {
    let path = visit.request.path();
    let name = model_of(path).to_owned();
    let model = visit.provider.model(&name).ok_or_else(|| unknown_model(&name))?.live();
    visit.scripted(&WHOLE, &model, &name)?;
    let body: Value =
        serde_json::from_slice(&visit.request.body).map_err(|error| invalid(&error.to_string()))?;
    let predicts = path.ends_with(":predict");
    let (list, most, known): (_, _, &[&str]) = if predicts {
        ("instances", INSTANCES_MAX, &["instances", "parameters"])
    } else {
        ("requests", BATCH_MAX, &["requests"])
    };
    let mut names = body.as_object().into_iter().flat_map(|members| members.keys());
    if let Some(name) = names.find(|name| !known.contains(&name.as_str())) {
        return Err(unknown_name(name, "", "Cannot find field."));
    }
    let items = body.get(list).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if items.is_empty() || items.len() > most {
        return Err(invalid(&format!(
            "* {list}: at least one and at most {most} can be in one batch"
        )));
    }
    let size = |at: &Value, pointer: &str| {
        at.pointer(pointer).and_then(Value::as_u64).and_then(|size| u32::try_from(size).ok())
    };
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let (text, size) = if predicts {
            (item.get("content"), size(&body, "/parameters/outputDimensionality"))
        } else {
            if item.get("model") != Some(&json!(format!("models/{name}"))) {
                return Err(invalid("* requests[0].model: unexpected model name"));
            }
            (item.pointer("/content/parts/0/text"), size(item, "/outputDimensionality"))
        };
        let text = text.and_then(Value::as_str).ok_or_else(|| invalid("* content is required"))?;
        let values = vector_of(text, &model.script, size);
        let count = tokens::count(text);
        out.push(if predicts {
            let statistics = json!({ "token_count": count, "truncated": false });
            json!({ "embeddings": { "statistics": statistics, "values": values } })
        } else {
            json!({ "values": values })
        });
    }
    let list = if predicts { "predictions" } else { "embeddings" };
    Ok((name, json!({ list: out })))
}
