//! Events of streams in every dialect: the first byte says which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turnpike_protocol_fuzz::{chunk, dialect};

fuzz_target!(|input: &[u8]| {
    if let Some((first, body)) = input.split_first() {
        chunk(dialect(*first), body);
    }
});
