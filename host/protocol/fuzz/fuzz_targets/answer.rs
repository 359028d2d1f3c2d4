//! Whole answers of every dialect: the first byte says which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turnpike_protocol_fuzz::{answer, dialect};

fuzz_target!(|input: &[u8]| {
    if let Some((first, body)) = input.split_first() {
        answer(dialect(*first), body);
    }
});
