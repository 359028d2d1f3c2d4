//! Citations in an answer: the `annotations` of a message or delta. They are kept in this dialect's
//! own shape. Never follows an address.

use crate::neutral::Json;

use super::super::tree::{self, Object};

/// Every annotation of a message or delta.
pub(super) fn read(spoken: &Object) -> Vec<Json> {
    tree::items(spoken, "annotations").iter().cloned().map(Json::from).collect()
}
