//! Placeholder
use bytes::Bytes;
use crate::call::{Call, Outgoing};
use crate::request_error::RequestError;
use crate::splice::Edit;
#[derive(Debug, Clone, Default)]
pub(crate) struct Points {}
impl Points { pub(crate) fn edits(&self, _out: &Outgoing<'_>, _edits: &mut Vec<Edit>) {} }
pub(crate) fn parse(_body: Bytes) -> Result<Call, RequestError> { Err(RequestError::missing("model", "a model")) }
