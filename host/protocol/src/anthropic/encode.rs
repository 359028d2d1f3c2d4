//! Placeholder
use crate::call::Outgoing;
use crate::neutral::{Event, Losses, Reply, Request};
use crate::sse::Frame;
use crate::translate::Naming;
pub(crate) fn request(_request: &Request, _out: &Outgoing<'_>, _losses: &mut Losses) -> Vec<u8> { Vec::new() }
pub(crate) fn reply(_reply: &Reply, _naming: &Naming, _losses: &mut Losses) -> Vec<u8> { Vec::new() }
pub(crate) struct Stream {}
impl Stream {
    pub(crate) fn new(_naming: Naming) -> Self { Self {} }
    pub(crate) fn push(&mut self, _event: Event, _losses: &mut Losses, _out: &mut Vec<Frame>) {}
}
