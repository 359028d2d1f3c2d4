//! Placeholder
use crate::answer::AnswerError;
use crate::neutral::{Event, Reply, Request};
use crate::sse::Frame;
use crate::request_error::RequestError;
pub(crate) fn request(_body: &[u8]) -> Result<Request, RequestError> { Ok(Request::default()) }
pub(crate) fn reply(_body: &[u8]) -> Result<Reply, AnswerError> { Ok(Reply::default()) }
#[derive(Default)]
pub(crate) struct Stream {}
impl Stream {
    pub(crate) fn push(&mut self, _frame: &Frame, _out: &mut Vec<Event>) -> Result<(), AnswerError> { Ok(()) }
    pub(crate) fn finish(&mut self, _out: &mut Vec<Event>) {}
}
