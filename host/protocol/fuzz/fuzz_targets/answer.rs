//! An answer passes on untouched, and stays readable after its texts were replaced.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use turnpike_protocol::{Answer, Dialect};

fuzz_target!(|body: &[u8]| {
    let Ok(mut answer) = Answer::parse(Dialect::OpenAiChat, Bytes::copy_from_slice(body)) else {
        return;
    };
    assert_eq!(answer.encode(), body);
    for index in 0..answer.texts.len() {
        answer.replace_text(index, "\"<NAME_1>\"\n".to_owned());
    }
    assert!(Answer::parse(Dialect::OpenAiChat, answer.encode()).is_ok());
});
