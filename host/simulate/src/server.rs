//! Accepts connections and answers requests: finds the provider by path, checks its key, asks its
//! dialect, applies its failures. The order of a simulated request is here and nowhere else.

use std::sync::Arc;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::answer::{Ask, Used, compose};
use crate::delivery::{Delivery, Spares, in_one_piece, plan_body, plan_stream};
use crate::failure::{Facts, Failure};
use crate::http::{After, Content, Gone, Request, Wire, head};
use crate::openai_chat::{self, ErrorBody, Stamp};
use crate::world::{Live, Outcome, Provider, Seen, World};
use crate::{clock, control, dice};

/// Connections at once: a gateway's pool and a load test fit; a leak is noticed.
const CONNECTIONS_MAX: usize = 8192;

/// Accepts until the future is dropped, which ends every connection.
pub(crate) async fn accept(listener: TcpListener, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            drop(connections.join_next().await);
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, Arc::clone(&world)));
            }
            Err(error) => {
                tracing::warn!(%error, "the simulator could not accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, world: Arc<World>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no delay could not be set");
    }
    let mut wire = Wire::new(stream);
    while let Ok(request) = wire.request().await {
        match exchange(&world, &mut wire, &request).await {
            Ok(After::KeepOpen) => {}
            Ok(After::Close) | Err(Gone) => return,
        }
    }
}

async fn exchange(world: &World, wire: &mut Wire, request: &Request) -> Result<After, Gone> {
    let path = request.path();
    if let Some(rest) = path.strip_prefix("/_control") {
        let (status, body) = control::answer(world, request, rest);
        return send_json(wire, request, status, &body, &[]).await;
    }
    let found = world.providers.iter().find_map(|provider| {
        let rest = path.strip_prefix(provider.script.prefix.as_str())?;
        rest.starts_with('/').then_some((provider, rest))
    });
    let Some((provider, rest)) = found else {
        return send_error(wire, request, &openai_chat::unknown_path(&request.method, path)).await;
    };
    if let Some(key) = &provider.script.api_key
        && request.key() != Some(key)
    {
        provider.count(&Outcome::Refused(401));
        return send_error(wire, request, &openai_chat::wrong_key(request.key())).await;
    }
    match (request.method.as_str(), rest) {
        ("POST", "/chat/completions") => {
            Chat { world, provider, request, serial: world.next_serial() }.run(wire).await
        }
        ("GET", "/models") => {
            send_json(wire, request, 200, &openai_chat::models(&provider.script), &[]).await
        }
        ("GET", rest) => {
            let id = rest.strip_prefix("/models/").unwrap_or("");
            match openai_chat::one_model(&provider.script, id) {
                Some(model) => send_json(wire, request, 200, &model, &[]).await,
                None => send_error(wire, request, &openai_chat::unknown_model(id)).await,
            }
        }
        (method, _) => send_error(wire, request, &openai_chat::unknown_path(method, path)).await,
    }
}

async fn send_error(wire: &mut Wire, request: &Request, error: &ErrorBody) -> Result<After, Gone> {
    send_json(wire, request, error.status, &error.body, &[]).await
}

async fn send_json(
    wire: &mut Wire,
    request: &Request,
    status: u16,
    body: &serde_json::Value,
    headers: &[(&str, &str)],
) -> Result<After, Gone> {
    let body = body.to_string();
    let mut out = head(status, Content::Json(body.len()), request.after, headers);
    out.push_str(&body);
    wire.write(out.as_bytes()).await?;
    Ok(request.after)
}

/// One chat completion request.
struct Chat<'a> {
    world: &'a World,
    provider: &'a Provider,
    request: &'a Request,
    serial: u64,
}

// === impl Chat ===

impl Chat<'_> {
    async fn run(&self, wire: &mut Wire) -> Result<After, Gone> {
        let peek = match openai_chat::peek(&self.request.body) {
            Ok(peek) => peek,
            Err(error) => {
                self.record("");
                return self.refuse(wire, &error).await;
            }
        };
        let Some(model) = self.provider.model(&peek.model) else {
            self.record(&peek.model);
            return self.refuse(wire, &openai_chat::unknown_model(&peek.model)).await;
        };
        let live = model.live();
        if live.script.prebuilt && !self.provider.may_fail(&live) {
            return self.repeat(wire, &live, &peek).await;
        }
        self.record(&peek.model);
        let ask = match openai_chat::read(&self.request.body, &live.script) {
            Ok(ask) => ask,
            Err(error) => return self.refuse(wire, &error).await,
        };
        let facts = Facts { prompt: &ask.last_user_text, streaming: ask.stream };
        let failure = self.provider.failure(&live, facts);
        let ended = self.deliver(wire, &live, &ask, failure.as_ref()).await;
        let outcome = match failure.as_ref().filter(|failure| !failure.still_answers()) {
            Some(failure) => Outcome::Failed(failure.label()),
            None if ended.is_err() => Outcome::Cancelled,
            None => Outcome::Answered,
        };
        self.world.ended(self.provider, self.serial, outcome);
        ended
    }

    fn record(&self, model: &str) {
        self.world.record(Seen {
            serial: self.serial,
            provider: self.provider.script.name.clone(),
            model: model.to_owned(),
            path: self.request.target.clone(),
            headers: self.request.headers.clone(),
            body: self.request.body.clone(),
            outcome: Outcome::Pending,
        });
    }

    async fn refuse(&self, wire: &mut Wire, error: &ErrorBody) -> Result<After, Gone> {
        self.world.ended(self.provider, self.serial, Outcome::Refused(error.status));
        send_error(wire, self.request, error).await
    }

    async fn deliver(
        &self,
        wire: &mut Wire,
        live: &Live,
        ask: &Ask,
        failure: Option<&Failure>,
    ) -> Result<After, Gone> {
        match failure {
            Some(Failure::Status { status, retry_after_s, echo }) => {
                let echoed = echo.then_some(ask.last_user_text.as_str());
                let error = openai_chat::for_status(*status, &live.script.id, echoed);
                let wait = retry_after_s.map(|seconds| seconds.to_string());
                let headers: Vec<_> =
                    wait.iter().map(|wait| ("retry-after", wait.as_str())).collect();
                return send_json(wire, self.request, error.status, &error.body, &headers).await;
            }
            Some(Failure::HangBeforeHeaders) => return Err(wire.hang().await),
            Some(Failure::CloseBeforeHeaders) => return Ok(After::Close),
            _ => {}
        }
        let mut reply = compose(ask, &live.script, self.serial);
        if failure == Some(&Failure::ZeroUsage) {
            reply.usage = Used::default();
        }
        let stamp = self.stamp(live);
        let request_id = format!("req_{}", dice::letters(self.world.seed, self.serial, 32));
        let delivery = Delivery {
            model: &live.script,
            failure,
            after: self.request.after,
            headers: &[("x-request-id", &request_id), ("openai-version", "2020-10-01")],
        };
        if ask.stream {
            let frames = openai_chat::frames(&stamp, ask, &reply, live.script.chunk_tokens);
            let spares = Spares {
                error: openai_chat::error_frame(&live.script.id),
                malformed: openai_chat::malformed_frame(&stamp),
            };
            let (frames, ending) = plan_stream(frames, failure, spares);
            return delivery.stream(wire, &frames, ending).await;
        }
        let with_usage = failure != Some(&Failure::MissingUsage);
        let body = openai_chat::whole(&stamp, &reply, ask.logprobs, with_usage).to_string();
        let error = openai_chat::for_status(500, &live.script.id, None).body.to_string();
        let plan = plan_body(Bytes::from(body), failure, &Bytes::from(error));
        delivery.body(wire, plan, reply.usage.completion).await
    }

    fn stamp<'s>(&self, live: &'s Live) -> Stamp<'s> {
        let seed = self.world.seed;
        let model = &live.script;
        Stamp {
            id: format!("chatcmpl-{}", dice::letters(seed, self.serial, 29)),
            created: clock::now_s(),
            model: model.served_as.as_deref().unwrap_or(&model.id),
            service_tier: &model.service_tier,
            fingerprint: format!("fp_{:010x}", dice::roll(seed, 0) >> 24),
        }
    }

    /// Answers with the bytes made for the first such request, in one write.
    async fn repeat(
        &self,
        wire: &mut Wire,
        live: &Live,
        peek: &openai_chat::Peek<'_>,
    ) -> Result<After, Gone> {
        let Some(kept) = live.prebuilt(peek.streams(), peek.wants_usage()) else {
            return Err(Gone);
        };
        let bytes = match kept.get() {
            Some(bytes) => bytes,
            None => match openai_chat::read(&self.request.body, &live.script) {
                Ok(ask) => kept.get_or_init(|| self.prebuild(live, &ask)),
                Err(error) => {
                    self.record(&live.script.id);
                    return self.refuse(wire, &error).await;
                }
            },
        };
        let first = std::time::Duration::from_millis(live.script.first_token_ms);
        let sent = match wire.pause(first).await {
            Ok(()) => wire.write(bytes).await,
            Err(gone) => Err(gone),
        };
        let outcome = if sent.is_ok() { Outcome::Answered } else { Outcome::Cancelled };
        self.provider.count(&outcome);
        sent.map(|()| self.request.after)
    }

    fn prebuild(&self, live: &Live, ask: &Ask) -> Bytes {
        let reply = compose(ask, &live.script, self.serial);
        let stamp = self.stamp(live);
        if ask.stream {
            let head = head(200, Content::Events, After::KeepOpen, &[]);
            let frames = openai_chat::frames(&stamp, ask, &reply, live.script.chunk_tokens);
            return in_one_piece(&frames, &head);
        }
        let body = openai_chat::whole(&stamp, &reply, ask.logprobs, true).to_string();
        let head = head(200, Content::Json(body.len()), After::KeepOpen, &[]);
        Bytes::from(head + &body)
    }
}
