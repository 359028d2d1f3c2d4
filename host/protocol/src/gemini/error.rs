//! Placeholder
use bytes::Bytes;
use crate::chunk::StreamError;
use crate::error_body::ErrorFacts;
pub(crate) fn body(_facts: &ErrorFacts<'_>) -> Vec<u8> { Vec::new() }
pub(crate) fn event(_facts: &ErrorFacts<'_>) -> Bytes { Bytes::new() }
pub(crate) fn parse(_body: &Bytes) -> Option<StreamError> { None }
