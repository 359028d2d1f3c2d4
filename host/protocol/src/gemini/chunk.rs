//! Placeholder
use bytes::Bytes;
use crate::answer::AnswerError;
use crate::chunk::{Chunk, Slot};
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Field { Text }
pub(crate) fn parse(data: &Bytes) -> Result<Chunk, AnswerError> { Ok(Chunk::empty(crate::Dialect::Gemini, data)) }
pub(crate) fn delta_frame(_head: &crate::ChunkHead, _slot: Slot, _field: Field, _text: &str) -> Bytes { Bytes::new() }
