//! From what was asked to what is answered, with no wire format: text, tool calls, why it ended
//! and what it used. The same request always gets the same answer. Never touches a socket.

use serde_json::Value;

use crate::script::{AnswerScript, ModelScript, ToolCalls};
use crate::{dice, schema, tokens};

/// Characters of the prompt that go into a made-up argument.
const ARGUMENT_CHARACTERS_MAX: usize = 2000;
/// Tokens of filler in one answer: a script's slip must not fill the memory.
const LOREM_TOKENS_MAX: u64 = 1 << 20;
/// Filler; each word begins at a blank, so four letters are one token.
const LOREM: [&str; 16] = [
    " sit", " non", " sed", " est", " qui", " aut", " per", " nec", " vel", " hic", " ubi", " pax",
    " lux", " rex", " vox", " nox",
];

/// What a dialect read from a request, as far as an answer depends on it.
#[derive(Debug, Default)]
pub(crate) struct Ask {
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) last_user_text: String,
    /// The result that the caller sent back last, when nothing was said since.
    pub(crate) tool_result: Option<String>,
    pub(crate) prompt_tokens: u64,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Choice,
    pub(crate) output_limit: Option<u64>,
    pub(crate) stop: Vec<String>,
    pub(crate) choices: u32,
    pub(crate) format: Format,
    pub(crate) logprobs: bool,
}

/// A tool offered to the model.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) parameters: Value,
}

/// Which tool the model may or must call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    #[default]
    Auto,
    None,
    Required,
    Named(String),
}

/// What shape the text must have.
#[derive(Debug, Default)]
pub(crate) enum Format {
    #[default]
    Text,
    JsonObject,
    JsonSchema(Value),
}

/// An answer, before any dialect wrote it down.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) choices: Vec<Said>,
    pub(crate) usage: Used,
}

/// One alternative of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) reasoning: Option<String>,
    pub(crate) text: String,
    pub(crate) calls: Vec<ToolCall>,
    pub(crate) finish: Finish,
}

/// A call of a tool; the arguments are JSON text.
#[derive(Debug, Clone)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    ToolCalls,
}

/// Tokens of all choices together; cached ones are inside the prompt's, reasoning ones inside the
/// completion's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) prompt: u64,
    pub(crate) cached: u64,
    pub(crate) completion: u64,
    pub(crate) reasoning: u64,
}

/// The answer of `model` to `ask`; `serial` tells ids apart.
pub(crate) fn compose(ask: &Ask, model: &ModelScript, serial: u64) -> Reply {
    let mut reasoning = model.reasoning_tokens;
    if let Some(text) = &model.reasoning_text {
        reasoning = reasoning.max(tokens::count(text));
    }
    let reasoning = ask.output_limit.map_or(reasoning, |limit| reasoning.min(limit));
    let room = ask.output_limit.map(|limit| limit.saturating_sub(reasoning));
    let called = called_tools(ask, model);
    let said = if called.is_empty() { speak(ask, model, room) } else { call(ask, &called, serial) };
    let spoken = tokens::count(&said.text)
        + said
            .calls
            .iter()
            .map(|c| tokens::count(&c.name) + tokens::count(&c.arguments))
            .sum::<u64>();
    let count = ask.choices.max(1);
    let usage = Used {
        prompt: ask.prompt_tokens,
        cached: ask.prompt_tokens.saturating_mul(model.cached_percent.into()) / 100,
        completion: (spoken + reasoning).saturating_mul(count.into()),
        reasoning: reasoning.saturating_mul(count.into()),
    };
    Reply { choices: (0..count).map(|_| said.clone()).collect(), usage }
}

/// The tools that this answer calls; none when it is text.
fn called_tools<'a>(ask: &'a Ask, model: &ModelScript) -> Vec<&'a Tool> {
    if ask.tool_result.is_some() {
        return Vec::new();
    }
    match &ask.choice {
        Choice::None => Vec::new(),
        Choice::Named(name) => ask.tools.iter().filter(|tool| tool.name == *name).collect(),
        Choice::Required => ask.tools.iter().take(1).collect(),
        Choice::Auto => match model.tool_calls {
            ToolCalls::Never => Vec::new(),
            ToolCalls::First => ask.tools.iter().take(1).collect(),
            ToolCalls::All => ask.tools.iter().collect(),
        },
    }
}

fn call(ask: &Ask, tools: &[&Tool], serial: u64) -> Said {
    let text: String = ask.last_user_text.chars().take(ARGUMENT_CHARACTERS_MAX).collect();
    let calls = (0u64..).zip(tools).map(|(index, tool)| ToolCall {
        id: format!("call_{}", dice::letters(serial, index, 24)),
        name: tool.name.clone(),
        arguments: match schema::fit(&tool.parameters, &text) {
            Value::Object(object) => Value::Object(object).to_string(),
            _ => "{}".to_owned(),
        },
    });
    Said { reasoning: None, text: String::new(), calls: calls.collect(), finish: Finish::ToolCalls }
}

fn speak(ask: &Ask, model: &ModelScript, room: Option<u64>) -> Said {
    let mut text = match &ask.format {
        Format::Text => script_text(ask, model),
        Format::JsonObject => serde_json::json!({ "answer": script_text(ask, model) }).to_string(),
        Format::JsonSchema(wanted) => schema::fit(wanted, &script_text(ask, model)).to_string(),
    };
    let stops = ask.stop.iter().filter(|stop| !stop.is_empty());
    if let Some(at) = stops.filter_map(|stop| text.find(stop.as_str())).min() {
        text.truncate(at);
    }
    let mut finish = Finish::Stop;
    if let Some(room) = room {
        let (kept, cut) = tokens::truncate(&text, room);
        if cut {
            (text, finish) = (kept.to_owned(), Finish::Length);
        }
    }
    Said { reasoning: model.reasoning_text.clone(), text, calls: Vec::new(), finish }
}

fn script_text(ask: &Ask, model: &ModelScript) -> String {
    if let Some(result) = &ask.tool_result {
        return format!("The tool answered: {result}");
    }
    match &model.answer {
        AnswerScript::Echo {} => ask.last_user_text.clone(),
        AnswerScript::Lorem { tokens } => lorem(*tokens),
        AnswerScript::Text { text } => fill(text, ask, model),
        AnswerScript::Cases { cases, otherwise } => {
            let fits = cases.iter().find(|case| ask.last_user_text.contains(&case.contains));
            fill(fits.map_or(otherwise, |case| &case.text), ask, model)
        }
    }
}

/// Puts facts where their names stand in braces; what they bring in is not looked at again.
fn fill(template: &str, ask: &Ask, model: &ModelScript) -> String {
    let facts = [("{prompt}", ask.last_user_text.as_str()), ("{model}", model.id.as_str())];
    let mut out = String::with_capacity(template.len() + ask.last_user_text.len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let known = facts.iter().find_map(|(name, fact)| Some((fact, tail.strip_prefix(name)?)));
        let (text, after) = known.map_or_else(|| tail.split_at(1), |(fact, after)| (fact, after));
        out.push_str(text);
        rest = after;
    }
    out.push_str(rest);
    out
}

fn lorem(count: u64) -> String {
    let words = LOREM.iter().cycle();
    let count = usize::try_from(count.min(LOREM_TOKENS_MAX)).unwrap_or(0);
    words.take(count).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn model(answer: AnswerScript) -> ModelScript {
        ModelScript::instant("m-1", answer)
    }

    fn ask(text: &str) -> Ask {
        Ask { last_user_text: text.to_owned(), prompt_tokens: 100, choices: 1, ..Ask::default() }
    }

    #[test]
    fn names_in_braces_are_filled_once() {
        let text = "{model} heard {prompt} {unknown}".to_owned();
        let reply = compose(&ask("{model}!"), &model(AnswerScript::Text { text }), 0);
        assert_eq!(reply.choices[0].text, "m-1 heard {model}! {unknown}");
    }

    #[test]
    fn lorem_has_exactly_its_tokens_and_usage_says_so() {
        let reply = compose(&ask("hi"), &model(AnswerScript::Lorem { tokens: 97 }), 0);
        assert_eq!(reply.usage.completion, 97);
        assert_eq!(reply.choices[0].finish, Finish::Stop);
    }

    #[test]
    fn a_limit_cuts_with_length_and_reasoning_counts_inside_it() {
        let mut scripted = model(AnswerScript::Lorem { tokens: 50 });
        scripted.reasoning_tokens = 30;
        scripted.cached_percent = 25;
        let limited = Ask { output_limit: Some(40), ..ask("hi") };
        let reply = compose(&limited, &scripted, 0);
        assert_eq!(reply.choices[0].finish, Finish::Length);
        assert_eq!(reply.usage, Used { prompt: 100, cached: 25, completion: 40, reasoning: 30 });
    }

    #[test]
    fn stop_sequences_cut_before_the_earliest() {
        let stopped = Ask { stop: vec!["c".into(), "b".into()], ..ask("a b c") };
        let reply = compose(&stopped, &model(AnswerScript::Echo {}), 0);
        assert_eq!(reply.choices[0].text, "a ");
    }

    #[test]
    fn tools_are_called_by_choice_and_a_result_is_answered_in_text() {
        let tool = |name: &str| Tool {
            name: name.to_owned(),
            parameters: json!({ "properties": { "city": { "type": "string" } } }),
        };
        let mut asked = Ask { tools: vec![tool("a"), tool("b")], ..ask("Paris") };
        let scripted = model(AnswerScript::Echo {});
        let said = compose(&asked, &scripted, 0).choices.remove(0);
        assert_eq!((said.calls[0].name.as_str(), said.finish), ("a", Finish::ToolCalls));
        assert_eq!(said.calls[0].arguments, r#"{"city":"Paris"}"#);
        asked.choice = Choice::Named("b".to_owned());
        assert_eq!(compose(&asked, &scripted, 0).choices[0].calls[0].name, "b");
        asked.choice = Choice::None;
        assert!(compose(&asked, &scripted, 0).choices[0].calls.is_empty());
        asked.choice = Choice::Required;
        asked.tool_result = Some("18 degrees".to_owned());
        let said = compose(&asked, &scripted, 0).choices.remove(0);
        assert_eq!(said.text, "The tool answered: 18 degrees");
    }
}
