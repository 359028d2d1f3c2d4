//! Parts of one answer that follow each other: what is held of one leaves before the next begins.
//! Never checks what is found, only when it goes out.

use super::*;

/// Clients append what they read: a held text may not come after what followed it.
#[test]
fn what_is_held_leaves_before_the_part_that_follows() {
    let thought = |entry: Value| {
        let delta = json!({"reasoning_details": [entry]});
        chunk(&json!([{"index": 0, "delta": delta, "finish_reason": null}]))
    };
    let call = json!({"index": 0, "id": "a", "type": "function",
        "function": {"name": "f", "arguments": ""}});
    let stream = [
        delta(0, Member::Reasoning, "ask a@b.org"),
        thought(json!({"type": "reasoning.text", "index": 0, "text": "ask a@b.org",
            "signature": "SIGNED"})),
        delta(0, Member::Content, "I ask c@d.org"),
        chunk(&json!([{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": null}])),
        delta(0, Member::Arguments, "{}"),
        finish(0),
        DONE.to_vec(),
    ];
    for per_batch in [1, 2, 3, 9] {
        let (mut scan, _) = known();
        let mut redactor = StreamRedactor::new(SCANNED, Pseudonyms::new());
        let batches: Vec<_> = stream.chunks(per_batch).map(|batch| batch.concat()).collect();
        let out = relay(&mut scan, &mut redactor, &batches).unwrap();
        let (mut details, mut order) = (Vec::new(), Vec::new());
        for frame in frames(&out).iter().filter(|frame| !Chunk::done_marker(&frame.data)) {
            let read: Value = serde_json::from_slice(&frame.data).unwrap();
            let delta = &read["choices"][0]["delta"];
            details.extend(delta["reasoning_details"].as_array().into_iter().flatten().cloned());
            order.extend(delta.as_object().unwrap().keys().cloned());
        }
        order.dedup();
        let wanted = ["reasoning_content", "reasoning_details", "content", "tool_calls"];
        let first = |name: &&str| order.iter().position(|member| member == name).unwrap();
        let last = |name: &&str| order.iter().rposition(|member| member == name).unwrap();
        assert!(last(&wanted[0]) < first(&wanted[2]), "{per_batch}: {order:?}");
        assert!(last(&wanted[1]) < first(&wanted[2]), "{per_batch}: {order:?}");
        assert!(last(&wanted[2]) < first(&wanted[3]), "{per_batch}: {order:?}");
        assert_eq!(details.len(), 1, "{per_batch}: {details:?}");
        assert_eq!(details[0]["text"], read(&out)[0].1);
        assert!(!String::from_utf8_lossy(&out).contains("@b.org"));
    }
}

/// Pitfall 68: a text that goes on after something else is held as before.
#[test]
fn a_text_that_is_taken_up_again_is_checked_across_reads() {
    let batches = [
        [
            delta(0, Member::Content, "one "),
            delta(0, Member::Reasoning, "hm "),
            delta(0, Member::Content, "mail q@r"),
        ]
        .concat(),
        [delta(0, Member::Content, ".st now "), finish(0)].concat(),
    ];
    let mut scan = Words::default();
    let mut redactor = StreamRedactor::new(SCANNED, Pseudonyms::new());
    let out = relay(&mut scan, &mut redactor, &batches).unwrap();
    assert_eq!(read(&out)[0].1, "one mail [EMAIL] now ");
    assert_eq!(channels(&out, 0), [Channel::Text, Channel::Reasoning, Channel::Text]);
}

/// A signature seals the thinking before it, to which nothing can be added.
#[test]
fn thinking_is_whole_before_its_signature() {
    let event = |payload: Value| {
        let kind = payload["type"].as_str().unwrap();
        format!("event: {kind}\ndata: {payload}\n\n").into_bytes()
    };
    let delta =
        |delta: Value| event(json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    let batches = [
        event(json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""}})),
        delta(json!({"type": "thinking_delta", "thinking": "ask a@b.org"})),
        delta(json!({"type": "signature_delta", "signature": "SIGNED"})),
        event(json!({"type": "content_block_stop", "index": 0})),
    ];
    let options = StreamOptions { dialect: Dialect::AnthropicMessages, ..SCANNED };
    let mut redactor = StreamRedactor::new(options, Pseudonyms::new());
    let out = relay(&mut Words::default(), &mut redactor, &batches).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.find("[EMAIL]").unwrap() < out.find("SIGNED").unwrap(), "{out}");
}
