//! `[alerts]`: where webhooks may go. Values only.

use serde::Deserialize;

/// `[alerts]`: to which addresses the webhooks of organizations may be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// Hosts that may be sent to wherever they are, also without TLS: names, addresses, or
    /// `*.example.com`. Default: none, and webhooks go to public addresses over `https` only.
    pub webhook_hosts: Vec<String>,
    /// Whether they may be sent to this machine itself, also without TLS. Default false.
    pub webhook_loopback: bool,
}
