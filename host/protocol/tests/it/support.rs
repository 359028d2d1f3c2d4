//! What tests of several dialects need alike.

use std::sync::LazyLock;

use turnpike_protocol::{LimitField, Outgoing, Quirks};

static PLAIN: LazyLock<Quirks> = LazyLock::new(Quirks::default);

/// A request for `model` at a provider without quirks.
pub(crate) fn outgoing(model: &str) -> Outgoing<'_> {
    Outgoing {
        model,
        output_limit: None,
        model_limit: None,
        limit_field: LimitField::MaxTokens,
        quirks: &PLAIN,
    }
}
