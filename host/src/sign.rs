//! How clouds are shown who asks: a signature over each request (Amazon), or a signed statement
//! that is exchanged for a token (Google). Pure: given bytes and a time, it never talks to anyone,
//! never keeps a token, and never prints a key.

mod aws;
mod service_account;

pub use aws::{AwsKeys, AwsRequest};
pub use service_account::{ServiceAccount, SignError};

/// Bytes as lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().map_or('0', char::from);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}
