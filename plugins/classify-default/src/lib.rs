//! The built-in classification: task, difficulty, confidence and needs of a request, from the last
//! user turn, the tools, the attachments and the shape of the conversation. It reads windows of
//! the text, never all of it, keeps nothing, and takes no notice of what a system prompt is about.

mod difficulty;
mod features;
mod model;
mod needles;
mod turn;

use turnpike_policy_sdk::json::Json;
use turnpike_policy_sdk::{Classification, Classify, Manifest, Plugin, Refusal, Request, Value};

use features::Features;
use turn::Turn;

/// Said for code by a code fence in the turn, in the model's logits.
const FENCE: f64 = 1.5;
/// Said for a task that the turn asks for by its verb.
const ASKED: f64 = 3.0;
/// Said for chat by a short turn that begins with a greeting.
const GREETED: f64 = 2.0;
/// Fewer words tell hardly anything.
const FEW_WORDS: u32 = 3;
/// Said for chat by each word that lacks to [`FEW_WORDS`], and how sure such an answer may be.
const PER_LACKING_WORD: f64 = 2.0;
const UNSURE: f64 = 0.4;
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
        let tools = request.tools() > 0;
        let needs = needs(request, tools);
        let turn = Turn::read(request);
        let features = Features::of(&turn.text, turn.own);
        let (task, confidence) = task(&needs, tools, &turn, &features);
        Ok(Classification {
            difficulty: difficulty::of(task, &turn, &features, request.input_tokens()),
            task: task.to_owned(),
            confidence,
            needs: needs.into_iter().map(str::to_owned).collect(),
            context_tokens: 0,
            attrs: Vec::new(),
        })
    }
}

fn needs(request: &dyn Request, tools: bool) -> Vec<&'static str> {
    let flag = |name: &str| {
        request.attr(name).is_some_and(|value| match value {
            Value::Flag(flag) => flag,
            Value::Number(number) => number > 0.0,
            Value::Text(_) => false,
        })
    };
    let mut needs = Vec::new();
    if tools {
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
fn task(needs: &[&str], tools: bool, turn: &Turn, features: &Features) -> (&'static str, f64) {
    if needs.contains(&"image-input") {
        return ("vision", BY_FACT);
    }
    if needs.contains(&"audio-input") {
        return ("audio", BY_FACT);
    }
    let greets = turn.greets();
    if greets && features.asked.is_none() && turn.is_brief() {
        return ("chat", BY_FACT);
    }
    if tools {
        return ("agent", BY_FACT);
    }
    if features.words == 0 {
        return ("chat", 0.3);
    }
    let mut scores = features.sums.scores();
    if features.fence {
        model::favour(&mut scores, "code", FENCE);
    }
    if let Some(asked) = features.asked {
        model::favour(&mut scores, asked, ASKED);
        return model::likeliest(&scores);
    }
    if greets {
        model::favour(&mut scores, "chat", GREETED);
    }
    let lacking = FEW_WORDS.saturating_sub(features.words);
    model::favour(&mut scores, "chat", f64::from(lacking) * PER_LACKING_WORD);
    let (task, confidence) = model::likeliest(&scores);
    (task, if lacking > 0 { confidence.min(UNSURE) } else { confidence })
}

#[cfg(test)]
mod tests;
