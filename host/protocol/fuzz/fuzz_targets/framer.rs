//! Server-sent events, cut into pieces of a size that the first byte says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turnpike_protocol_fuzz::framer;

fuzz_target!(|input: &[u8]| {
    if let Some((size, stream)) = input.split_first() {
        framer(*size, stream);
    }
});
