//! Requests, answers and streams from every dialect to every other: the first two bytes say which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turnpike_protocol_fuzz::{dialect, translate};

fuzz_target!(|input: &[u8]| {
    if let [from, to, body @ ..] = input {
        translate(dialect(*from), dialect(*to), body);
    }
});
