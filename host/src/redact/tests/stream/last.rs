//! Servers that say with every piece that the answer ends: what is checked must not be cut there,
//! and nothing may come after the end. Never checks what is found, only that cuts hide nothing.

use super::*;

const GEMINI: StreamOptions = StreamOptions { dialect: Dialect::Gemini, ..SCANNED };

/// A piece of Gemini's, with a reason to end.
fn piece(text: &str) -> Vec<u8> {
    let content = json!({"parts": [{"text": text}], "role": "model"});
    event(&json!({"candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6}}))
}

/// What a reader of Gemini's stream has at its end, and the number of events.
fn joined(bytes: &[u8]) -> (String, usize) {
    let mut text = String::new();
    let frames = frames(bytes);
    for frame in &frames {
        let read: Value = serde_json::from_slice(&frame.data).unwrap();
        for part in read["candidates"][0]["content"]["parts"].as_array().into_iter().flatten() {
            text.push_str(part["text"].as_str().unwrap());
        }
    }
    (text, frames.len())
}

fn sent(options: StreamOptions, batches: &[Vec<u8>]) -> Vec<u8> {
    let (mut scan, _) = known();
    let mut redactor = StreamRedactor::new(options, Pseudonyms::new());
    relay(&mut scan, &mut redactor, batches).unwrap()
}

#[test]
fn pitfall_68_an_end_in_every_chunk_hides_no_cut_of_geminis() {
    let pieces = ["to bob", "@cor", "p.com", " now, an", "d TOKEN", "-42 too"].map(piece);
    for per_batch in [1, 2, 3, 6] {
        let batches: Vec<_> = pieces.chunks(per_batch).map(|batch| batch.concat()).collect();
        let out = sent(GEMINI, &batches);
        let (text, _) = joined(&out);
        let whole = joined(&sent(GEMINI, &[piece("to bob@corp.com now, and TOKEN-42 too")])).0;
        assert_eq!(text, whole, "{per_batch}");
        assert!(!text.contains("@corp") && !text.contains("TOKEN-42"), "{per_batch}: {text}");
    }
}

#[test]
fn pitfall_68_an_end_in_every_chunk_hides_no_cut_of_chats() {
    let said = |text: &str| {
        chunk(&json!([{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]))
    };
    let pieces = [said("to bob"), said("@corp.com"), said(" now"), DONE.to_vec()];
    for per_batch in [1, 2, 4] {
        let batches: Vec<_> = pieces.chunks(per_batch).map(|batch| batch.concat()).collect();
        let out = sent(SCANNED, &batches);
        let texts: Vec<String> = read(&out).into_iter().map(|(_, text)| text).collect();
        assert!(!texts.concat().contains("@corp"), "{per_batch}: {texts:?}");
        assert!(texts.concat().ends_with(" now"), "{per_batch}: {texts:?}");
        assert!(out.ends_with(DONE), "{per_batch}");
    }
}

#[test]
fn what_is_held_at_the_end_goes_out_in_front_of_it() {
    let content = json!({"parts": [{"text": "mail bob@corp"}], "role": "model"});
    let open = event(&json!({"candidates": [{"content": content, "index": 0}]}));
    let end = event(&json!({"candidates": [{"finishReason": "STOP", "index": 0}]}));
    let usage = event(&json!({"usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4}}));
    for batches in [vec![[open.clone(), end.clone()].concat()], vec![open, end, usage]] {
        let out = sent(GEMINI, &batches);
        assert_eq!(joined(&out).0, "mail bob@corp");
        let events = frames(&out);
        let last_text = events.iter().rposition(|f| f.data.windows(6).any(|w| w == b"\"text\""));
        let end = events.iter().position(|f| f.data.windows(6).any(|w| w == b"\"STOP\""));
        assert!(last_text < end, "{}", String::from_utf8_lossy(&out));
    }
}

#[test]
fn an_end_behind_which_nothing_is_held_waits_for_nothing() {
    let (mut scan, _) = known();
    let mut redactor = StreamRedactor::new(SCANNED, Pseudonyms::new());
    let text = delta(0, Member::Content, "hello. ");
    assert!(!now(redactor.push(&mut scan, &frames(&text))).unwrap().is_empty());
    let end = finish(0);
    assert_eq!(now(redactor.push(&mut scan, &frames(&end))).unwrap(), end);
}
