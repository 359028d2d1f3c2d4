//! A whole answer: the events of it as a stream, put together. Never reads a member of its own.

use crate::answer::AnswerError;
use crate::neutral::Reply;
use crate::neutral::fold::fold;

use super::Stream;

/// Reads a whole body.
pub(crate) fn reply(body: &[u8]) -> Result<Reply, AnswerError> {
    let mut events = Vec::new();
    let mut stream = Stream::default();
    stream.payload(body, &mut events)?;
    stream.finish(&mut events);
    Ok(fold(events))
}
