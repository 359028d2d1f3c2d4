//! What a webhook is sent, and how it is signed: HMAC-SHA256 under the organization's secret over
//! the time, a full stop and the body. Never holds more than names and amounts.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::clock;
use crate::secret::Secret;
use crate::store::AlertRecord;

/// The name of the header with the time and the signature.
pub(super) const SIGNATURE: &str = "x-turnpike-signature";

/// The body. The same for every try, so that receivers can tell repeats by its `id`.
pub(super) fn body(alert: &AlertRecord) -> String {
    let body = json!({
        "id": alert.id,
        "type": alert.kind,
        "created_at": clock::rfc3339(alert.at_ms),
        "organization": alert.org,
        "scope": alert.scope,
        "budget": alert.budget,
        "threshold": alert.threshold,
        "limit_usd": alert.limit_usd,
        "spent_usd": alert.spent_usd,
        "needed_usd": alert.needed_usd,
        "window_start": clock::rfc3339(alert.window_start_ms),
        "window_end": alert.window_end_ms.map(clock::rfc3339),
    });
    body.to_string()
}

/// The value of the header: `t=<seconds since the epoch>,v1=<64 hex digits>`.
pub(super) fn signature(secret: &Secret, at_s: u64, body: &str) -> String {
    // HMAC takes keys of any length, so there is no error to handle.
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.reveal().as_bytes()) else {
        return String::new();
    };
    mac.update(at_s.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    let digest: [u8; 32] = mac.finalize().into_bytes().into();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at_s},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_documented_one() {
        // printf '1800000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let secret = Secret::new("0123456789abcdef".to_owned());
        let signed = signature(&secret, 1_800_000_000, r#"{"id":"evt_1"}"#);
        assert_eq!(
            signed,
            "t=1800000000,v1=33168915efa80c5fd36fff04c0608752a353ffda436ab6135ae9648e9bd1e59c"
        );
        let other = signature(&secret, 1_800_000_001, r#"{"id":"evt_1"}"#);
        assert_ne!(signed, other, "the time is signed too");
    }
}
