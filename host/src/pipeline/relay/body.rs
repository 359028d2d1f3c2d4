//! The response body of a relayed stream. The connection polls it, so that a stream costs no task;
//! when the connection drops it half-way, what is left to do goes on detached.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

use tokio::sync::Semaphore;

use crate::clock::Stopwatch;
use crate::tasks::{LastCall, Tasks};

use super::Relay;

type Step = Pin<Box<dyn Future<Output = (Box<Relay>, Option<Bytes>)> + Send>>;

enum State {
    /// Waiting to be polled.
    Idle(Box<Relay>),
    /// Reading the provider.
    Busy(Step),
    /// Over and settled.
    Over,
}

pub(super) struct RelayBody {
    state: State,
    first: Bytes,
    /// Some content has been given to the connection.
    delivered: bool,
    /// Since when it has not asked for more.
    handed: Option<Stopwatch>,
    /// Tells a step that is under way that the caller has gone.
    left: Arc<AtomicBool>,
    tasks: Tasks,
    drains: Arc<Semaphore>,
    last_call: LastCall,
}

impl RelayBody {
    pub(super) fn new(relay: Relay, first: Bytes) -> Self {
        let gateway = &relay.flight.gateway;
        let (tasks, drains) = (gateway.tasks.clone(), Arc::clone(&gateway.drains));
        let (left, last_call) = (Arc::clone(&relay.left), relay.last_call.clone());
        let state = State::Idle(Box::new(relay));
        Self { state, first, delivered: false, handed: None, left, tasks, drains, last_call }
    }

    /// The connection takes more, or will never again.
    fn resumed(&mut self) {
        if let (State::Idle(relay), Some(handed)) = (&mut self.state, self.handed.take()) {
            relay.left_waiting = relay.left_waiting.saturating_add(handed.elapsed());
        }
    }
}

fn step(mut relay: Box<Relay>) -> Step {
    Box::pin(async move {
        let bytes = relay.next().await;
        (relay, bytes)
    })
}

impl Body for RelayBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let this = self.get_mut();
        if !this.first.is_empty() {
            this.delivered = true;
            if let State::Idle(relay) = &mut this.state {
                relay.hand_on();
            }
            this.handed = Some(Stopwatch::start());
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.first)))));
        }
        this.resumed();
        let mut future = match std::mem::replace(&mut this.state, State::Over) {
            State::Over => return Poll::Ready(None),
            State::Idle(relay) => step(relay),
            State::Busy(future) => future,
        };
        match future.as_mut().poll(cx) {
            Poll::Pending => {
                this.state = State::Busy(future);
                Poll::Pending
            }
            Poll::Ready((mut relay, Some(bytes))) => {
                this.delivered = true;
                this.handed = Some(Stopwatch::start());
                relay.hand_on();
                if !relay.over {
                    this.state = State::Idle(relay);
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Poll::Ready((_, None)) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over) && self.first.is_empty()
    }
}

impl Drop for RelayBody {
    /// The connection is gone before the stream was over.
    fn drop(&mut self) {
        self.left.store(true, Ordering::Release);
        self.resumed();
        let delivered = self.delivered;
        let (drains, last_call) = (Arc::clone(&self.drains), self.last_call.clone());
        match std::mem::replace(&mut self.state, State::Over) {
            State::Over => {}
            State::Idle(relay) if !delivered => relay.cancelled(),
            State::Idle(relay) => {
                self.tasks.spawn("drain", async move { relay.abandoned(&drains).await });
            }
            // A step is under way; it ends within the provider's idle time-out, and is the last.
            State::Busy(mut future) => self.tasks.spawn("drain", async move {
                let (relay, _) = tokio::select! {
                    ended = future.as_mut() => ended,
                    // Looked at once more it ends.
                    () = last_call.over() => future.await,
                };
                if relay.over {
                } else if delivered {
                    relay.abandoned(&drains).await;
                } else {
                    relay.cancelled();
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests;
