//! A request that is accepted is still accepted after its texts were replaced.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use turnpike_protocol::{Call, Dialect, LimitField, Outgoing, Quirks, translate};

fuzz_target!(|body: &[u8]| {
    let Ok(mut call) = Call::parse(Dialect::OpenAiChat, Bytes::copy_from_slice(body)) else {
        return;
    };
    for index in 0..call.texts.len() {
        call.replace_text(index, "\"<NAME_1>\"\n".to_owned());
    }
    let limit_field = LimitField::MaxCompletionTokens;
    let quirks = Quirks::default();
    let out = Outgoing {
        model: "m",
        output_limit: Some(1),
        model_limit: None,
        limit_field,
        quirks: &quirks,
    };
    assert!(Call::parse(Dialect::OpenAiChat, call.encode(&out)).is_ok());
    // Some bodies hold what only their own dialect's servers could judge; none may panic.
    drop(translate::request(&call, Dialect::OpenAiChat, &out));
});
