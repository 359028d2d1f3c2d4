//! Placeholder
use bytes::Bytes;
use crate::answer::{Answer, AnswerError};
pub(crate) fn parse(_body: Bytes) -> Result<Answer, AnswerError> { Err(AnswerError { at: 0, what: "" }) }
