//! The built-in classification: task, difficulty, confidence and needs of a request, from the last
//! user turn, the tools, the attachments and the shape of the conversation. It reads windows of
//! the text, never all of it, keeps nothing, and takes no notice of what a system prompt is about.

mod difficulty;
mod features;
mod model;
mod turn;

use turnpike_policy_sdk::json::Json;
use turnpike_policy_sdk::{Classification, Classify, Manifest, Plugin, Refusal, Request, Value};

use features::Features;
use turn::Turn;

/// Said for code by a code fence in the turn, in the model's logits.
const FENCE: f64 = 1.5;
/// Said for a task that the turn asks for by its verb.
const ASKED: f64 = 3.0;
/// Certain enough to act on, but an attachment or a tool may still be beside the point.
const BY_FACT: f64 = 0.9;

/// The built-in classifier; takes no configuration.
#[derive(Debug, Default)]
pub struct ClassifyDefault;

impl ClassifyDefault {
    /// Takes a configuration that is parsed already.
    ///
    /// # Errors
    /// When there is anything in it.
    pub fn apply(&mut self, config: &Json) -> Result<(), String> {
        if config.members().is_empty() {
            Ok(())
        } else {
            Err("the built-in classifier has nothing to configure".to_owned())
        }
    }
}

impl Plugin for ClassifyDefault {
    fn manifest() -> Manifest {
        Manifest {
            name: "classify-default".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "names task, difficulty and needs with a small linear model".to_owned(),
            config_schema: String::new(),
        }
    }

    fn configure(&mut self, config: &str) -> Result<(), String> {
        self.apply(&Json::parse(config)?)
    }
}

impl Classify for ClassifyDefault {
    fn classify(&self, request: &dyn Request) -> Result<Classification, Refusal> {
        let needs = needs(request);
        let turn = Turn::read(request);
        let (task, confidence) = task(request, &needs, &turn);
        Ok(Classification {
            difficulty: difficulty::of(task, &turn, request.input_tokens()),
            task: task.to_owned(),
            confidence,
            needs: needs.into_iter().map(str::to_owned).collect(),
            context_tokens: 0,
            attrs: Vec::new(),
        })
    }
}

fn needs(request: &dyn Request) -> Vec<&'static str> {
    let flag = |name: &str| {
        request.attr(name).is_some_and(|value| match value {
            Value::Flag(flag) => flag,
            Value::Number(number) => number > 0.0,
            Value::Text(_) => false,
        })
    };
    let mut needs = Vec::new();
    if request.tools() > 0 {
        needs.push("tools");
    }
    for (attr, need) in [
        ("needs.structured-output", "structured-output"),
        ("needs.reasoning", "reasoning"),
        ("input.image", "image-input"),
        ("input.audio", "audio-input"),
        ("input.file", "file-input"),
    ] {
        if flag(attr) {
            needs.push(need);
        }
    }
    needs
}

/// The task and how sure that is. Facts come before words.
fn task(request: &dyn Request, needs: &[&str], turn: &Turn) -> (&'static str, f64) {
    if needs.contains(&"image-input") {
        return ("vision", BY_FACT);
    }
    if needs.contains(&"audio-input") {
        return ("audio", BY_FACT);
    }
    if turn.is_small_talk() {
        return ("chat", BY_FACT);
    }
    if request.tools() > 0 {
        return ("agent", BY_FACT);
    }
    if turn.text.is_empty() {
        return ("chat", 0.3);
    }
    let mut scores = model::scores(&Features::of(&turn.text));
    if turn.has(b"```") {
        model::favour(&mut scores, "code", FENCE);
    }
    if let Some(asked) = turn.asked_for() {
        model::favour(&mut scores, asked, ASKED);
    }
    model::likeliest(&scores)
}

#[cfg(test)]
mod tests;
