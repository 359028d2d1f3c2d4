//! How a stream ends: each row of the settlement rulebook that a stream can come to, and what the
//! caller is sent last. Never reads the provider but to its end for a caller that has gone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use turnpike_ledger::PicoUsd;

use crate::route::{Sample, Streamed};

use super::super::attempt::{Blame, blame_of, book_limit, note};
use super::super::conversation;
use super::super::flight::{Bill, Ending};
use super::super::settle::{self, Part, Reached};
use super::words::event;
use super::{Broken, Relay, Step};

impl Relay {
    /// A complete answer is charged; with `left`, the caller is no longer there to see it.
    pub(super) async fn complete(&mut self, left: Option<Ending>) {
        self.over = true;
        let reported = self.stream.reported();
        let ending = left.unwrap_or_else(|| reported.ending());
        let sample = self.sample(&reported);
        self.asking.answered(&reported, sample);
        note(&mut self.flight, &self.asking, "answered", "");
        self.summarise();
        let offer = Arc::clone(&self.asking.offer);
        conversation::answered(&self.flight, self.asking.index, &offer, &reported);
        if reported.is_empty() {
            let bill = settle::forgive(&mut self.flight, &offer, &reported);
            return self.flight.end(Ending::Empty, 200, &bill);
        }
        let bill = settle::charge(&mut self.flight, &offer, &reported, ending).await;
        self.flight.end(ending, 200, &bill);
    }

    /// The stream broke after content: a legal error event, and the rulebook's row for it. What the
    /// caller can bring about has been delivered up to there, or else it could have any answer for
    /// nothing by asking for something blocked at its end.
    pub(super) async fn fail(&mut self, broken: Broken) -> Bytes {
        self.over = true;
        let broken = broken.after(self.left_waiting);
        let callers = broken.is_callers();
        self.book(&broken);
        let (event, outcome, provider_failed) =
            event(broken, self.flight.manner.dialect, self.stream.redactor.next_event());
        note(&mut self.flight, &self.asking, outcome, "after the first content");
        self.summarise();
        let reported = self.stream.reported();
        let offer = Arc::clone(&self.asking.offer);
        let had = reported.text_bytes > 0 || self.stream.sent_media;
        let payable =
            (provider_failed && self.flight.gateway.settings.bill_partial) || (callers && had);
        let bill = if payable {
            if provider_failed && !callers {
                self.flight.reached = Reached::NoResult;
            }
            settle::charge(&mut self.flight, &offer, &reported, Ending::FailedPartial).await
        } else {
            let absorbed = settle::absorbed(&self.flight, &offer, &reported, Ending::FailedPartial);
            self.flight.release(absorbed);
            Bill { absorbed, ..Bill::default() }
        };
        self.flight.end(Ending::FailedPartial, 200, &bill);
        event
    }

    /// The money that could be held for it has run out: the stream ends as if it had reached its
    /// length, and what was delivered is charged (pitfall 50).
    pub(super) async fn run_out(&mut self) -> Bytes {
        let reported = self.stream.reported();
        let usage = settle::so_far(&self.flight, &self.asking.offer, &reported);
        self.stream.cut(&self.flight, &usage);
        let end = match self.stream.last(&mut self.flight).await {
            Ok(end) => end,
            Err(broken) => return self.fail(broken).await,
        };
        self.over = true;
        self.asking.ended(Sample::Neutral);
        let detail = "ended early: no more money could be held for it";
        note(&mut self.flight, &self.asking, "answered", detail);
        self.summarise();
        let reported = settle::Reported { text_bytes: self.stream.sent_bytes, ..reported };
        let offer = Arc::clone(&self.asking.offer);
        let bill = settle::charge(&mut self.flight, &offer, &reported, Ending::RanOut).await;
        self.flight.end(Ending::RanOut, 200, &bill);
        end
    }

    /// What a step brought while the caller left. Nothing is settled here but an answer that has
    /// come to its end; `abandoned` has the rest.
    pub(super) async fn note_left(&mut self, step: Result<Step, Broken>) {
        match step {
            Ok(Step::More(_) | Step::Silent) => {}
            Ok(Step::Complete(_)) => {
                self.flight.reached = Reached::Part(self.part());
                self.complete(Some(Ending::Partial)).await;
            }
            Err(broken) => self.broken = Some(broken),
        }
    }

    /// What had gone out when the caller left, of what has come by now.
    fn part(&self) -> Part {
        Part {
            text_bytes: self.given_bytes,
            media: self.given_media,
            media_came: self.stream.sent_media,
            beyond_bytes: 0,
        }
    }

    /// The caller has gone after content: what was generated is charged. The provider is read to
    /// its usage within bounds, of which one is the number of permits in `drains`; unless the
    /// caller has left the same request before.
    pub(super) async fn abandoned(mut self, drains: &Semaphore) {
        let at_once = self.leaves_at_once();
        let ended = match self.broken.take() {
            Some(broken) => Some(Err(broken)),
            None if at_once => None,
            None => self.read_on(drains).await,
        };
        let mut part = self.part();
        if matches!(ended, Some(Err(_))) {
            // What came for nobody is not charged by its length.
            part.beyond_bytes = self.stream.sent_bytes.saturating_sub(part.text_bytes);
            self.stream.sent_bytes = part.text_bytes;
        }
        self.flight.reached = Reached::Part(part);
        match ended {
            Some(Ok(())) => self.complete(Some(Ending::Partial)).await,
            // The provider's failure, or the policy's refusal; but the caller owes what it had been
            // given by then.
            Some(Err(broken)) => {
                let broken = broken.after(self.left_waiting);
                self.book(&broken);
                let next = self.stream.redactor.next_event();
                let (_, outcome, _) = event(broken, self.flight.manner.dialect, next);
                let detail = "after the first content; the caller had left";
                self.settle_partial(outcome, detail).await;
            }
            // Past the bound the gateway's own count of what was received is charged.
            None => {
                let detail = match at_once {
                    true => "the caller had left, and had left the same request before",
                    false => "the caller had left, and its end was not in reach",
                };
                self.asking.ended(Sample::Neutral);
                self.settle_partial("cancelled", detail).await;
            }
        }
    }

    /// Whether nothing is read of the provider any more now that the caller has left. What text
    /// does not tell has to be asked for.
    fn leaves_at_once(&self) -> bool {
        let told = self.stream.reported().usage.map_or(0, |usage| usage.input_tokens());
        !self.stream.sent_media && settle::leaves_at_once(&self.flight, &self.asking.offer, told)
    }

    /// Reads the provider to its end for nobody; `None` where that is beyond the bounds.
    async fn read_on(&mut self, drains: &Semaphore) -> Option<Result<(), Broken>> {
        let _permit = drains.try_acquire().ok()?;
        let settings = &self.flight.gateway.settings;
        let time = Duration::from_millis(settings.read_on_ms);
        let read_max = self.stream.read_bytes.saturating_add(settings.read_on_bytes);
        let last_call = self.last_call.clone();
        let drained = async {
            while self.stream.read_bytes < read_max {
                self.keep_hold();
                let step = self.stream.step(&mut self.flight).await;
                self.note_speaking();
                match step {
                    Ok(Step::More(_) | Step::Silent) => {}
                    Ok(Step::Complete(_)) => return Some(Ok(())),
                    Err(broken) => return Some(Err(broken)),
                }
            }
            None
        };
        tokio::select! {
            drained = tokio::time::timeout(time, drained) => drained.ok().flatten(),
            () = last_call.over() => None,
        }
    }

    /// Charges a caller that left and whose answer did not come to its end.
    async fn settle_partial(&mut self, outcome: &'static str, detail: &str) {
        self.over = true;
        note(&mut self.flight, &self.asking, outcome, detail);
        self.summarise();
        let reported = self.stream.reported();
        let offer = Arc::clone(&self.asking.offer);
        let bill = settle::charge(&mut self.flight, &offer, &reported, Ending::Partial).await;
        self.flight.end(Ending::Partial, 200, &bill);
    }

    /// The caller has gone and never saw any content: nothing is charged, the provider is
    /// cancelled by closing its connection.
    pub(super) fn cancelled(mut self) {
        self.asking.ended(Sample::Neutral);
        note(&mut self.flight, &self.asking, "cancelled", "the caller left before any content");
        let (offer, reported) = (&self.asking.offer, self.stream.reported());
        let absorbed = settle::absorbed(&self.flight, offer, &reported, Ending::FailedPartial);
        self.flight.release(absorbed);
        let bill = Bill { absorbed: PicoUsd(absorbed.0), ..Bill::default() };
        self.flight.end(Ending::Abandoned, 499, &bill);
    }

    /// What a stream that broke says of its offer.
    fn book(&self, broken: &Broken) {
        match broken {
            Broken::Reported { error, .. } if blame_of(error) == Blame::Limit => {
                book_limit(&self.flight, &self.asking, error);
            }
            _ if broken.counts() => self.asking.ended(self.asking.failed()),
            _ => self.asking.ended(Sample::Neutral),
        }
    }

    fn summarise(&mut self) {
        let summary = self.stream.redactor.summary().clone();
        self.flight.redacted.push(("output", summary));
    }

    fn sample(&self, reported: &settle::Reported) -> Sample {
        let ended_ms = self.asking.watch.millis();
        let usage = reported.usage.unwrap_or_default();
        let streamed = Streamed {
            first_ms: self.asking.first_content_ms.unwrap_or(ended_ms),
            // It was at its end when it had thought.
            spoke_ms: self.asking.spoke_ms.unwrap_or(ended_ms),
            ended_ms,
            tokens: usage.output_tokens(),
            thinking_tokens: usage.output_reasoning,
        };
        Sample::streamed(streamed, self.flight.input_tokens)
    }
}
