//! Which requests are one conversation, and what of it is taken as cached.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;

const NOW_OFFER: usize = 7;

struct World {
    affinity: Affinity,
}

impl World {
    fn new() -> Self {
        Self { affinity: Affinity::new(300_000) }
    }

    fn turn(&self, dialect: Dialect, body: &Value, labels: &Labels) -> Turn {
        let call = Call::parse(dialect, body.to_string().into()).unwrap();
        Turn::of(&self.affinity, "acme", &call, Known::of(&call, labels)).unwrap()
    }

    /// As an answer of so many tokens leaves it.
    fn answered(&self, turn: Turn, offer: usize) {
        for conversation in turn.begun.into_iter().chain(turn.named) {
            self.affinity.keep(conversation, Pin { offer, cached_tokens: 5_000 }, clock::now_ms());
        }
    }
}

fn labels(session: Option<&str>, agent: Option<&str>) -> Labels {
    let [session, agent] = [session, agent].map(|label| label.map(Arc::from));
    Labels { session, agent, parent_agent: None }
}

/// A chat of `turns` answers that begins with `first`.
fn chat(model: &str, first: &str, turns: usize, more: &Value) -> Value {
    let mut messages = vec![
        json!({ "role": "system", "content": "You help." }),
        json!({ "role": "user", "content": first }),
    ];
    for turn in 0..turns {
        messages.push(json!({ "role": "assistant", "content": format!("answer {turn}") }));
        messages.push(json!({ "role": "user", "content": format!("question {turn}") }));
    }
    let mut body = json!({ "model": model, "messages": messages });
    let members = more.as_object().into_iter().flatten();
    body.as_object_mut().unwrap().extend(members.map(|(name, it)| (name.clone(), it.clone())));
    body
}

/// Claude Code's second turn on, with its billing block of the moment and its members in its order.
fn claude(billing: &str, turns: usize) -> Value {
    let mut messages = vec![json!({ "role": "user", "content": [
        { "type": "text", "text": "<system-reminder>The files.</system-reminder>" },
        { "type": "text", "text": "Mend the parser." },
    ] })];
    for turn in 0..turns {
        messages.push(json!({ "role": "assistant", "content": [
            { "type": "tool_use", "id": format!("t{turn}"), "name": "Read", "input": {} }] }));
        messages.push(json!({ "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": format!("t{turn}"), "content": "a file" }] }));
    }
    let block = |text: String| json!({ "type": "text", "text": text });
    let billing = format!("x-anthropic-billing-header: cc_version=2.1.207.{billing};");
    json!({
        "model": "claude-opus-4-8", "max_tokens": 10, "messages": messages,
        "system": [block(billing), block("You are Claude Code.".to_owned()),
            block("You help with code.".to_owned())],
        "metadata": { "user_id": "user_1_session_2" },
    })
}

#[test]
fn pitfall_62_models_and_agents_of_one_session_are_conversations_of_their_own() {
    let world = World::new();
    let turn = |model: &str, agent: Option<&str>, turns: usize| {
        let body = chat(model, "Go.", turns, &json!({}));
        world.turn(Dialect::OpenAiChat, &body, &labels(Some("s-1"), agent))
    };
    world.answered(turn("opus", None, 0), 1);
    world.answered(turn("haiku", None, 0), 2);
    world.answered(turn("opus", Some("a-1"), 0), 3);
    let offer = |turn: Turn| turn.pin(&world.affinity).map(|pin| pin.offer);
    assert_eq!(offer(turn("opus", None, 1)), Some(1));
    assert_eq!(offer(turn("haiku", None, 1)), Some(2));
    assert_eq!(offer(turn("opus", Some("a-1"), 1)), Some(3));
    assert_eq!(offer(turn("opus", Some("a-2"), 0)), None, "nobody has answered this agent");
}

#[test]
fn a_new_beginning_in_a_session_goes_on_there_and_nothing_of_it_is_cached() {
    let world = World::new();
    let session = labels(Some("s-1"), None);
    let turn = |first: &str, turns: usize| {
        world.turn(Dialect::OpenAiChat, &chat("opus", first, turns, &json!({})), &session)
    };
    world.answered(turn("Go.", 0), NOW_OFFER);
    let pin = |turn: Turn| turn.pin(&world.affinity).map(|pin| (pin.offer, pin.cached_tokens));
    assert_eq!(pin(turn("Go.", 1)), Some((NOW_OFFER, 5_000)));
    assert_eq!(pin(turn("What was said so far, in short.", 0)), Some((NOW_OFFER, 0)));
    let mut other = chat("opus", "Name this.", 0, &json!({}));
    other["messages"][0]["content"] = json!("You name conversations.");
    let other = world.turn(Dialect::OpenAiChat, &other, &session);
    assert_eq!(pin(other), None, "told something else, it is somebody else");
}

#[test]
fn what_an_application_groups_its_requests_by_names_no_conversation() {
    let world = World::new();
    for member in [json!({ "prompt_cache_key": "app" }), json!({ "metadata": { "user_id": "u" } })]
    {
        let turn = |first: &str, turns: usize| {
            let body = chat("opus", first, turns, &member);
            world.turn(Dialect::OpenAiChat, &body, &labels(None, None))
        };
        world.answered(turn("What is a monad?", 0), 1);
        world.answered(turn("What is a functor?", 0), 2);
        let offer = |turn: Turn| turn.pin(&world.affinity).map(|pin| pin.offer);
        assert_eq!(offer(turn("What is a monad?", 1)), Some(1));
        assert_eq!(offer(turn("What is a functor?", 1)), Some(2));
        assert_eq!(offer(turn("What is a comonad?", 1)), None);
        assert_eq!(offer(turn("What is a monad?", 0)), None, "its first turn is drawn by lot");
    }
}

#[test]
fn two_groups_begin_alike_and_are_two() {
    let world = World::new();
    let turn = |group: &str| {
        let body = chat("opus", "Go.", 1, &json!({ "prompt_cache_key": group }));
        world.turn(Dialect::OpenAiChat, &body, &labels(None, None))
    };
    assert_ne!(turn("one"), turn("two"));
    assert_eq!(turn("one"), turn("one"));
}

#[test]
fn what_is_alike_at_its_beginning_alone_is_told_apart_by_its_end() {
    let world = World::new();
    let turn = |first: &str| {
        let body = chat("opus", first, 1, &json!({}));
        world.turn(Dialect::OpenAiChat, &body, &labels(None, None))
    };
    let context = "Answer by this document alone. ".repeat(100);
    let (one, two) = (format!("{context} Who wrote it?"), format!("{context} When was it?"));
    assert_ne!(turn(&one), turn(&two));
    assert_ne!(turn(&one), turn(&format!("{context}{one}")));
    assert_eq!(turn(&one), turn(&one));
}

#[test]
fn claude_codes_billing_block_is_no_part_of_its_prompt() {
    let world = World::new();
    for session in [None, Some("s-1")] {
        let turn = |billing: &str, turns: usize| {
            let body = claude(billing, turns);
            world.turn(Dialect::AnthropicMessages, &body, &labels(session, None))
        };
        let first = turn("0d9; cc_entrypoint=cli; cch=fa690", 0);
        let late = turn("3a3; cc_entrypoint=cli; cch=0aaa9", 80);
        assert_eq!((first.begun, first.named), (late.begun, late.named));
        let mut other = claude("0d9", 0);
        other["system"][2]["text"] = json!("You search for files.");
        let other = world.turn(Dialect::AnthropicMessages, &other, &labels(session, None));
        assert_ne!(first.begun, other.begun, "it is told something else after the same opening");
    }
}

#[test]
fn the_billing_line_is_left_out_where_all_instructions_are_one_text() {
    let line = |billing: &str| format!("x-anthropic-billing-header: cch={billing};\nYou help.");
    for (sent, meant) in [(line("fa690"), "You help."), (line(""), "You help.")] {
        assert_eq!(without_billing(&sent), meant);
    }
    assert_eq!(without_billing("x-anthropic-billing-header: cch=fa690;"), "");
    assert_eq!(without_billing("You help."), "You help.");
}

#[test]
fn instructions_that_come_later_do_not_make_it_another_conversation() {
    let world = World::new();
    let body = chat("opus", "Go.", 1, &json!({}));
    let mut reminded = body.clone();
    let reminder = json!({ "role": "system", "content": "Ten minutes are left." });
    reminded["messages"].as_array_mut().unwrap().push(reminder);
    let of = |body: &Value| world.turn(Dialect::OpenAiChat, body, &labels(None, None));
    assert_eq!(of(&body), of(&reminded));
}

#[test]
fn what_goes_on_from_a_kept_response_is_found_by_its_name_and_pays_for_what_is_new() {
    let world = World::new();
    let of = |input: &str, more: &Value, session: Option<&str>| {
        let mut body = json!({ "model": "gpt", "input": input, "instructions": "You help." });
        let members = more.as_object().into_iter().flatten();
        body.as_object_mut().unwrap().extend(members.map(|(name, it)| (name.clone(), it.clone())));
        world.turn(Dialect::OpenAiResponses, &body, &labels(session, None))
    };
    for (session, key) in [(Some("s-1"), json!({})), (None, json!({ "prompt_cache_key": "c-1" }))] {
        world.answered(of("Go.", &key, session), NOW_OFFER);
        let mut next = key.clone();
        next["previous_response_id"] = json!("resp_1");
        let pin = of("And now?", &next, session).pin(&world.affinity).unwrap();
        assert_eq!((pin.offer, pin.cached_tokens), (NOW_OFFER, 0));
    }
}

#[test]
fn vectors_are_no_part_of_a_conversation() {
    let affinity = Affinity::new(1);
    let body = json!({ "model": "vec", "input": "x" }).to_string();
    let call = turnpike_protocol::embeddings::parse(body.into()).unwrap();
    let labels = labels(Some("s-1"), None);
    assert_eq!(Turn::of(&affinity, "acme", &call, Known::of(&call, &labels)), None);
}
