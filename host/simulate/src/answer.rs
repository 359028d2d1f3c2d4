//! From what was asked to what is answered, with no wire format: text, tool calls, why it ended
//! and what it used. The same request always gets the same answer. Never touches a socket.

use serde_json::Value;

use crate::agent::{self, Planned};
use crate::memory::Prefix;
use crate::script::{AnswerScript, ModelScript, ThinkingScript, ToolCalls, UsageScript};
use crate::{dice, schema, tokens};

mod parts;
mod words;

pub(crate) use parts::{
    CacheUse, Choice, Citation, Document, Finish, Format, Mark, Media, Reply, Said, Tool, ToolCall,
    Used, Wish,
};

/// Characters of the prompt that go into a made-up argument.
const ARGUMENT_CHARACTERS_MAX: usize = 2000;
/// Characters of a document that are cited.
const CITED_CHARACTERS: usize = 60;

/// What a dialect read from a request, as far as an answer depends on it.
#[derive(Debug, Default)]
pub(crate) struct Ask {
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) last_user_text: String,
    /// The result that the caller sent back last, when nothing was said since.
    pub(crate) tool_result: Option<String>,
    /// Tool calls of the whole conversation.
    pub(crate) calls_made: usize,
    pub(crate) prompt_tokens: u64,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Choice,
    /// No two calls in one answer.
    pub(crate) single_call: bool,
    pub(crate) output_limit: Option<u64>,
    pub(crate) stop: Vec<String>,
    pub(crate) choices: u32,
    pub(crate) format: Format,
    pub(crate) logprobs: bool,
    pub(crate) thinking: Wish,
    /// Tokens that thinking may take.
    pub(crate) thinking_budget: Option<u64>,
    /// Images, documents and sounds that came with it.
    pub(crate) media: Vec<Media>,
    /// Documents that want to be cited.
    pub(crate) documents: Vec<Document>,
    /// Beginnings of the prompt, shortest first.
    pub(crate) prefixes: Vec<Prefix>,
    /// Which of them the caller wants cached.
    pub(crate) marks: Vec<Mark>,
    /// What a cache gave and took.
    pub(crate) cache: CacheUse,
    /// How the ids of tool calls begin, and how many letters follow.
    pub(crate) call_ids: Option<(&'static str, usize)>,
    /// Members of the request that the dialect's answer repeats.
    pub(crate) request: Value,
}

/// The answer of `model` to `ask`; `serial` tells ids apart.
pub(crate) fn compose(ask: &Ask, model: &ModelScript, serial: u64) -> Reply {
    let (thought, reasoning) = thought(ask, model);
    let limit = ask.output_limit.filter(|_| !model.ignores_limit);
    let reasoning = limit.map_or(reasoning, |limit| reasoning.min(limit));
    let room = limit.map(|limit| limit.saturating_sub(reasoning));
    let planned = planned_calls(ask, model);
    let mut said = if planned.is_empty() {
        speak(ask, model, room)
    } else {
        call(ask, model, planned, serial)
    };
    // Chat providers that show their reasoning unasked show it with text only.
    let shows = ask.thinking != Wish::Unsaid || said.calls.is_empty();
    said.reasoning = thought.filter(|_| shows);
    let spoken = tokens::count(&said.text)
        + said
            .calls
            .iter()
            .map(|c| tokens::count(&c.name) + tokens::count(&c.arguments))
            .sum::<u64>();
    let count = ask.choices.max(1);
    let share = ask.prompt_tokens.saturating_mul(model.cached_percent.into()) / 100;
    let usage = Used {
        prompt: ask.prompt_tokens,
        cached: if ask.cache.read > 0 { ask.cache.read } else { share },
        cache_write: ask.cache.write,
        cache_write_1h: ask.cache.write_1h,
        completion: (spoken + reasoning).saturating_mul(count.into()),
        reasoning: reasoning.saturating_mul(count.into()),
    };
    let usage = fixed(usage, model.usage.as_ref());
    Reply { choices: (0..count).map(|_| said.clone()).collect(), usage }
}

/// What the model thinks, where it is shown, and the tokens of it.
fn thought(ask: &Ask, model: &ModelScript) -> (Option<String>, u64) {
    let wish = match (model.thinking, ask.thinking) {
        (ThinkingScript::Never, _) => Wish::No,
        (ThinkingScript::Always, Wish::No | Wish::Unsaid) => Wish::Shown,
        (_, wish) => wish,
    };
    let text = match (&model.reasoning_text, wish) {
        (_, Wish::No) => return (None, 0),
        (Some(text), _) => Some(text.clone()),
        (None, Wish::Unsaid) => None,
        (None, Wish::Hidden | Wish::Shown) => Some(words::thought(ask)),
    };
    let count = model.reasoning_tokens.max(text.as_deref().map_or(0, tokens::count));
    let count = ask.thinking_budget.map_or(count, |budget| count.min(budget));
    (text.filter(|_| wish != Wish::Hidden), count)
}

fn fixed(mut used: Used, script: Option<&UsageScript>) -> Used {
    let Some(script) = script else { return used };
    used.prompt = script.prompt.unwrap_or(used.prompt);
    used.cached = script.cached.unwrap_or(used.cached);
    used.cache_write = script.cache_write.unwrap_or(used.cache_write);
    used.cache_write_1h = script.cache_write_1h.unwrap_or(used.cache_write_1h);
    used.completion = script.completion.unwrap_or(used.completion);
    used.reasoning = script.reasoning.unwrap_or(used.reasoning);
    used
}

/// The calls that this answer makes; none when it is text.
fn planned_calls(ask: &Ask, model: &ModelScript) -> Vec<Planned> {
    if ask.choice == Choice::None {
        return Vec::new();
    }
    match &model.answer {
        AnswerScript::Refusal { .. } => return Vec::new(),
        AnswerScript::Agent { steps, .. } => {
            return agent::next(steps, ask, &|text| words::fill(text, ask, model));
        }
        AnswerScript::Calls { calls, .. } if ask.tool_result.is_none() => {
            return calls.iter().map(|call| agent::scripted(call, ask)).collect();
        }
        _ => {}
    }
    if ask.tool_result.is_some() {
        return Vec::new();
    }
    let text: String = ask.last_user_text.chars().take(ARGUMENT_CHARACTERS_MAX).collect();
    called_tools(ask, model).into_iter().map(|tool| made_up(tool, &text)).collect()
}

/// The tools that a model without a plan calls.
fn called_tools<'a>(ask: &'a Ask, model: &ModelScript) -> Vec<&'a Tool> {
    match &ask.choice {
        Choice::None => Vec::new(),
        Choice::Named(name) => ask.tools.iter().filter(|tool| tool.name == *name).collect(),
        Choice::Required => ask.tools.iter().take(1).collect(),
        Choice::Auto => match model.tool_calls {
            ToolCalls::Never => Vec::new(),
            ToolCalls::All if !ask.single_call => ask.tools.iter().collect(),
            ToolCalls::First | ToolCalls::All => ask.tools.iter().take(1).collect(),
        },
    }
}

fn made_up(tool: &Tool, text: &str) -> Planned {
    let arguments = match schema::fit(&tool.parameters, text) {
        _ if tool.custom => text.to_owned(),
        Value::Object(object) => Value::Object(object).to_string(),
        _ => "{}".to_owned(),
    };
    Planned { name: tool.name.clone(), arguments, custom: tool.custom, say: None }
}

fn call(ask: &Ask, model: &ModelScript, mut planned: Vec<Planned>, serial: u64) -> Said {
    if ask.single_call {
        planned.truncate(1);
    }
    let (prefix, length) = ask.call_ids.unwrap_or(("call_", 24));
    let lead = planned.iter().find_map(|plan| plan.say.clone());
    let lead = lead.or_else(|| model.leading_text.clone()).unwrap_or_default();
    let calls = (0u64..).zip(planned).map(|(index, plan)| ToolCall {
        id: format!("{prefix}{}", dice::letters(serial, index, length)),
        name: plan.name,
        arguments: plan.arguments,
        custom: plan.custom,
    });
    Said { text: lead, calls: calls.collect(), ..Said::ending(Finish::ToolCalls) }
}

fn speak(ask: &Ask, model: &ModelScript, room: Option<u64>) -> Said {
    if let AnswerScript::Refusal { text } = &model.answer {
        return Said { text: words::fill(text, ask, model), ..Said::ending(Finish::Refusal) };
    }
    let words = words::of(ask, model);
    let mut said = Said::ending(Finish::Stop);
    said.text = match &ask.format {
        Format::Text => words,
        Format::JsonObject => serde_json::json!({ "answer": words }).to_string(),
        Format::JsonSchema(wanted) => schema::fit(wanted, &words).to_string(),
    };
    let stops = ask.stop.iter().filter(|stop| !stop.is_empty());
    let found = stops.filter_map(|stop| Some((said.text.find(stop.as_str())?, stop)));
    if let Some((at, stop)) = found.min_by_key(|(at, _)| *at) {
        said.text.truncate(at);
        said.stopped_by = Some(stop.clone());
    }
    if let Some(room) = room {
        let (kept, cut) = tokens::truncate(&said.text, room);
        if cut {
            (said.text, said.finish, said.stopped_by) = (kept.to_owned(), Finish::Length, None);
        }
    }
    said.citations = citations(ask, model);
    said
}

/// The first words of each document; a made-up source where the script wants one.
fn citations(ask: &Ask, model: &ModelScript) -> Vec<Citation> {
    let cited = |(index, document): (usize, &Document)| {
        let cited: String = document.text.chars().take(CITED_CHARACTERS).collect();
        let title = document.title.clone();
        Citation { document: Some(index), title, cited, whole_page: document.pages }
    };
    let mut out: Vec<Citation> = ask.documents.iter().enumerate().map(cited).collect();
    if out.is_empty() && model.citations {
        let (title, cited) = (Some("A source".to_owned()), "what the source says".to_owned());
        out.push(Citation { document: None, title, cited, whole_page: false });
    }
    out
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
        let wanted =
            Used { prompt: 100, cached: 25, completion: 40, reasoning: 30, ..Used::default() };
        assert_eq!(reply.usage, wanted);
        scripted.ignores_limit = true;
        let reply = compose(&limited, &scripted, 0);
        assert_eq!((reply.choices[0].finish, reply.usage.completion), (Finish::Stop, 80));
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
            custom: false,
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
