//! `[usage]`: what is kept of a request with its record. Values only.

use serde::Deserialize;

/// `[usage]`: the records of requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// Whether `user`, `safety_identifier` and `metadata` of bodies become tags of the record.
    /// Default false: applications may put personal data there.
    pub body_tags: bool,
}
