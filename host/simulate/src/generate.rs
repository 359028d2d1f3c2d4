//! One answer of a model: read, decide on a failure, compose, write. Knows a dialect only through
//! its `Speech`.

use std::time::Duration;

use bytes::Bytes;

use crate::answer::{Ask, CacheUse, Reply, Used, compose};
use crate::clock;
use crate::delivery::{Broken, Delivery, Spares, in_one_piece, plan_body, plan_stream};
use crate::dice;
use crate::failure::{Facts, Failure};
use crate::frame::Framing;
use crate::http::{After, Content, Gone, Wire, head};
use crate::limits;
use crate::memory::Memory;
use crate::script::ModelScript;
use crate::seen::Outcome;
use crate::server::Visit;
use crate::speech::{Answered, ErrorBody, Peek, Speech, Stamp, Style};
use crate::world::Live;

/// A request for an answer.
pub(crate) struct Generate<'a> {
    pub(crate) visit: Visit<'a>,
    pub(crate) speech: &'static dyn Speech,
}

// === impl Generate ===

impl Generate<'_> {
    pub(crate) async fn run(&self, wire: &mut Wire) -> Result<After, Gone> {
        let visit = &self.visit;
        let name = match self.speech.model(visit.request) {
            Ok(name) => name,
            Err(error) => {
                visit.record("");
                return self.refuse(wire, error).await;
            }
        };
        let Some(model) = visit.provider.model(&name) else {
            visit.record(&name);
            let error = self.speech.unknown_model(&name);
            return self.refuse(wire, error).await;
        };
        let live = model.live();
        if live.script.prebuilt && !visit.provider.may_fail(&live) {
            return self.repeat(wire, &live, &name).await;
        }
        visit.record(&name);
        if let Some(limit) = live.script.rate_limit {
            let spent = model.spend(0, 0);
            if !limits::allows(limit, spent) {
                return self
                    .hold_back(wire, &name, limits::headers(visit.family, limit, spent, true))
                    .await;
            }
        }
        let mut ask = match self.speech.read(visit.incoming(&live)) {
            Ok(ask) => ask,
            Err(error) => return self.refuse(wire, error).await,
        };
        let facts = Facts { prompt: &ask.last_user_text, streaming: ask.stream };
        let failure = visit.provider.failure(&live, facts);
        ask.cache = cache_use(&visit.provider.memory, &ask, &live.script);
        let ended = self.deliver(wire, &live, &name, &ask, failure.as_ref()).await;
        let outcome = match failure.as_ref().filter(|failure| !failure.still_answers()) {
            Some(failure) => Outcome::Failed(failure.label()),
            None if ended.is_err() => Outcome::Cancelled,
            None => Outcome::Answered,
        };
        visit.world.ended(visit.provider, visit.serial, outcome);
        ended
    }

    /// Refuses what is above the rate limit.
    async fn hold_back(
        &self,
        wire: &mut Wire,
        name: &str,
        headers: Vec<(String, String)>,
    ) -> Result<After, Gone> {
        let visit = &self.visit;
        let error = self.speech.failed(429, name, None);
        visit.world.ended(visit.provider, visit.serial, Outcome::Refused(429));
        visit.send(wire, 429, &visit.sealed(error.body), &headers).await
    }

    async fn refuse(&self, wire: &mut Wire, error: ErrorBody) -> Result<After, Gone> {
        let visit = &self.visit;
        visit.world.ended(visit.provider, visit.serial, Outcome::Refused(error.status));
        visit.refuse(wire, error).await
    }

    async fn deliver(
        &self,
        wire: &mut Wire,
        live: &Live,
        name: &str,
        ask: &Ask,
        failure: Option<&Failure>,
    ) -> Result<After, Gone> {
        let (visit, script) = (&self.visit, &live.script);
        match failure {
            Some(Failure::Status { status, retry_after_s, echo }) => {
                let echoed = echo.then_some(ask.last_user_text.as_str());
                let error = self.speech.failed(*status, name, echoed);
                let mut headers = scripted_headers(script);
                headers.extend(retry_after_s.map(|s| ("retry-after".to_owned(), s.to_string())));
                let body = visit.sealed(error.body);
                return visit.send(wire, error.status, &body, &headers).await;
            }
            Some(Failure::Raw { status, headers, body }) => {
                let headers: Vec<_> = headers.clone().into_iter().collect();
                let after = visit.request.after;
                let mut out = head(*status, Content::Raw(body.len()), after, &headers);
                out.push_str(body);
                return wire.write(out.as_bytes()).await.map(|()| after);
            }
            Some(Failure::HangBeforeHeaders) => return Err(wire.hang().await),
            Some(Failure::CloseBeforeHeaders) => return Ok(After::Close),
            _ => {}
        }
        let mut reply = compose(ask, script, visit.serial);
        if failure == Some(&Failure::ZeroUsage) {
            reply.usage = Used::default();
        }
        let stamp = self.stamp(live, name);
        let style = Style::under(failure);
        let answered = Answered { stamp: &stamp, ask, reply: &reply, style };
        self.speech.remember(&answered, &visit.provider.memory);
        let mut headers = visit.headers();
        headers.extend(scripted_headers(script));
        if let (Some(limit), Some(model)) = (script.rate_limit, visit.provider.model(name)) {
            let tokens = reply.usage.prompt.saturating_add(reply.usage.completion);
            let spent = model.spend(1, tokens);
            headers.extend(limits::headers(visit.family, limit, spent, false));
        }
        let after = visit.request.after;
        let delivery = Delivery { model: script, failure, after, headers: &headers };
        if ask.stream {
            self.stream(wire, &delivery, &answered).await
        } else {
            self.body(wire, &delivery, &answered).await
        }
    }

    async fn stream(
        &self,
        wire: &mut Wire,
        delivery: &Delivery<'_>,
        answered: &Answered<'_>,
    ) -> Result<After, Gone> {
        let stamp = answered.stamp;
        let broken = Broken { failure: delivery.failure, framing: self.framing(delivery.failure) };
        let (kind, message) = self.error_words(delivery.failure);
        let spares = Spares {
            error: self.speech.error_frame(stamp, kind, message),
            malformed: self.speech.malformed(stamp),
        };
        let frames = self.speech.frames(answered);
        let (pieces, ending) = plan_stream(frames, &broken, spares);
        let ping = self.speech.ping();
        let ping = ping.map_or_else(
            || Bytes::from_static(b": keep-alive\n\n"),
            |frame| broken.framing.lone(&frame),
        );
        let content = match broken.framing {
            Framing { array: true, .. } => Content::JsonParts,
            Framing { messages: true, .. } => Content::Messages,
            _ => Content::Events,
        };
        delivery.stream(wire, (&pieces, ending), content, &ping).await
    }

    async fn body(
        &self,
        wire: &mut Wire,
        delivery: &Delivery<'_>,
        answered: &Answered<'_>,
    ) -> Result<After, Gone> {
        let body = self.speech.whole(answered).to_string();
        let error = match delivery.failure {
            Some(Failure::StreamError { .. }) => {
                let (kind, message) = self.error_words(delivery.failure);
                self.speech.error_frame(answered.stamp, kind, message).data
            }
            _ => {
                let error = self.speech.failed(500, answered.stamp.model, None);
                self.visit.sealed(error.body).to_string()
            }
        };
        let plan = plan_body(Bytes::from(body), delivery.failure, &Bytes::from(error));
        delivery.body(wire, plan, answered.reply.usage.completion).await
    }

    fn error_words<'f>(&self, failure: Option<&'f Failure>) -> (&'f str, &'f str) {
        let usual = self.speech.server_error();
        match failure {
            Some(Failure::StreamError { error, message, .. }) => {
                (error, message.as_deref().unwrap_or(usual.1))
            }
            _ => usual,
        }
    }

    fn framing(&self, failure: Option<&Failure>) -> Framing {
        let usual = self.speech.framing();
        match *failure.unwrap_or(&Failure::MissingUsage) {
            Failure::Framing { crlf, multi_line, tight, comments, no_last_blank } => Framing {
                crlf: crlf || usual.crlf,
                multi_line,
                tight,
                comments,
                no_last_blank,
                ..usual
            },
            _ => usual,
        }
    }

    fn stamp<'s>(&'s self, live: &'s Live, name: &'s str) -> Stamp<'s> {
        let visit = &self.visit;
        let script = &live.script;
        Stamp {
            seed: visit.world.seed,
            serial: visit.serial,
            created: clock::now_s(),
            model: script.served_as.as_deref().unwrap_or(name),
            script,
            fingerprint: format!("fp_{:010x}", dice::roll(visit.world.seed, 0) >> 24),
            issuer: visit.issuer(live),
        }
    }

    /// Answers with the bytes made for the first such request, in one write.
    async fn repeat(&self, wire: &mut Wire, live: &Live, name: &str) -> Result<After, Gone> {
        let visit = &self.visit;
        let peek = Peek::at(&visit.request.body).ok();
        let streams = peek.as_ref().is_some_and(Peek::streams);
        let wants_usage = peek.as_ref().is_some_and(Peek::wants_usage);
        let Some(kept) = live.prebuilt(streams, wants_usage) else { return Err(Gone) };
        let bytes = match kept.get() {
            Some(bytes) => bytes,
            None => match self.speech.read(visit.incoming(live)) {
                Ok(ask) => kept.get_or_init(|| self.prebuild(live, name, &ask)),
                Err(error) => {
                    visit.record(&live.script.id);
                    return self.refuse(wire, error).await;
                }
            },
        };
        let first = Duration::from_millis(live.script.first_token_ms);
        let sent = match wire.pause(first).await {
            Ok(()) => wire.write(bytes).await,
            Err(gone) => Err(gone),
        };
        let outcome = if sent.is_ok() { Outcome::Answered } else { Outcome::Cancelled };
        visit.provider.count(&outcome);
        sent.map(|()| visit.request.after)
    }

    fn prebuild(&self, live: &Live, name: &str, ask: &Ask) -> Bytes {
        let reply: Reply = compose(ask, &live.script, self.visit.serial);
        let stamp = self.stamp(live, name);
        let answered = Answered { stamp: &stamp, ask, reply: &reply, style: Style::USUAL };
        if ask.stream {
            let head = head(200, Content::Events, After::KeepOpen, &[]);
            let pieces = self.speech.framing().pieces(&self.speech.frames(&answered));
            return in_one_piece(&pieces, &head);
        }
        let body = self.speech.whole(&answered).to_string();
        let head = head(200, Content::Json(body.len()), After::KeepOpen, &[]);
        Bytes::from(head + &body)
    }
}

fn scripted_headers(script: &ModelScript) -> Vec<(String, String)> {
    script.headers.clone().into_iter().collect()
}

/// What the cache gives and takes for this prompt; what it takes is there for the next one.
fn cache_use(memory: &Memory, ask: &Ask, script: &ModelScript) -> CacheUse {
    let long = |tokens: u64| tokens >= script.cache_tokens_min;
    let marked = ask.marks.iter().filter_map(|mark| Some((ask.prefixes.get(mark.at)?, mark.hour)));
    let marked: Vec<_> = marked.filter(|(prefix, _)| long(prefix.tokens)).collect();
    let Some((last, _)) = marked.last() else {
        return if script.prompt_cache {
            repeated(memory, ask, script)
        } else {
            CacheUse::default()
        };
    };
    let within = ask.prefixes.iter().filter(|prefix| prefix.tokens <= last.tokens);
    let read = memory.cached(&within.cloned().collect::<Vec<_>>());
    marked.iter().for_each(|(prefix, _)| memory.cache(prefix));
    let hours = marked.iter().filter(|(_, hour)| *hour).map(|(prefix, _)| prefix.tokens);
    let hours = hours.max().unwrap_or(0);
    let write_1h = hours.saturating_sub(read);
    CacheUse { read, write_1h, write: last.tokens.saturating_sub(read.max(hours)) }
}

/// The beginning that an earlier prompt had too, in the steps that OpenAI counts in.
fn repeated(memory: &Memory, ask: &Ask, script: &ModelScript) -> CacheUse {
    const STEP: u64 = 128;
    let read = memory.cached(&ask.prefixes);
    ask.prefixes.iter().for_each(|prefix| memory.cache(prefix));
    let read = match script.cache_tokens_min {
        least if read < least => 0,
        least if least < STEP => read,
        _ => read / STEP * STEP,
    };
    CacheUse { read, ..CacheUse::default() }
}
