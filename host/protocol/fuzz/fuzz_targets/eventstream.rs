//! Amazon's event stream, cut into pieces of a size that the first byte says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turnpike_protocol_fuzz::binary;

fuzz_target!(|input: &[u8]| {
    if let Some((size, stream)) = input.split_first() {
        binary(*size, stream);
    }
});
