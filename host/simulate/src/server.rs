//! Accepts connections and finds out what each request wants: the provider by its path, its key,
//! the operation. The order of a simulated request is here; answers are made in `generate.rs`.

use std::sync::Arc;

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::failure::{Facts, Failure};
use crate::generate::Generate;
use crate::http::{After, Content, Gone, Request, Wire, head};
use crate::route::{self, Family, Operation};
use crate::script::Dialect;
use crate::seen::{Outcome, Seen};
use crate::speech::{ErrorBody, Incoming, Speech};
use crate::world::{Live, Provider, World};
use crate::{
    anthropic, bedrock, control, dice, gemini, openai_chat, openai_embeddings, openai_responses,
};

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
    if request.method == "HEAD" {
        // Clients probe a base URL so; an answer to HEAD has no body.
        let head = head(200, Content::Json(0), request.after, &[]);
        return wire.write(head.as_bytes()).await.map(|()| request.after);
    }
    let found = world.providers.iter().find_map(|provider| {
        let rest = path.strip_prefix(provider.script.prefix.as_str())?;
        rest.starts_with('/').then_some((provider, rest))
    });
    let Some((provider, rest)) = found else {
        let error = openai_chat::unknown_path(&request.method, path);
        return send_json(wire, request, error.status, &error.body, &[]).await;
    };
    let route = route::find(provider.script.dialect, request, rest);
    let visit =
        Visit { world, provider, request, family: route.family, serial: world.next_serial() };
    if let Err(error) = visit.admit() {
        provider.count(&Outcome::Refused(error.status));
        return visit.refuse(wire, error).await;
    }
    match route.operation {
        Operation::Answer(speech) => Generate { visit, speech }.run(wire).await,
        Operation::Count => visit.count_tokens(wire).await,
        Operation::Embed => visit.embed(wire).await,
        Operation::Stored(id) => match openai_responses::stored(&visit, id) {
            Ok(body) => visit.send(wire, 200, &body, &[]).await,
            Err(error) => visit.refuse(wire, error).await,
        },
        Operation::Models => visit.send(wire, 200, &visit.models(), &[]).await,
        Operation::Model(id) => match visit.one_model(id) {
            Ok(model) => visit.send(wire, 200, &model, &[]).await,
            Err(error) => visit.refuse(wire, error).await,
        },
        Operation::Unknown => {
            let error = visit.unknown_path(path, rest);
            visit.refuse(wire, error).await
        }
    }
}

/// Sends a JSON body.
pub(crate) async fn send_json(
    wire: &mut Wire,
    request: &Request,
    status: u16,
    body: &Value,
    headers: &[(String, String)],
) -> Result<After, Gone> {
    let body = body.to_string();
    let mut out = head(status, Content::Json(body.len()), request.after, headers);
    out.push_str(&body);
    wire.write(out.as_bytes()).await?;
    Ok(request.after)
}

/// One request at one provider.
#[derive(Clone, Copy)]
pub(crate) struct Visit<'a> {
    pub(crate) world: &'a World,
    pub(crate) provider: &'a Provider,
    pub(crate) request: &'a Request,
    pub(crate) family: Family,
    pub(crate) serial: u64,
}

// === impl Visit ===

impl Visit<'_> {
    /// Whether the key is the provider's, given where its API wants it.
    fn admit(&self) -> Result<(), ErrorBody> {
        let wanted = self.provider.script.api_key.as_deref();
        if self.provider.script.dialect == Dialect::Vertex {
            return gemini::admit_bearer(self.request, wanted);
        }
        match self.family {
            Family::Bedrock => bedrock::admit(self.request, wanted),
            Family::OpenAi => openai_chat::admit(self.request, wanted),
            Family::Anthropic => anthropic::admit(self.request, wanted),
            Family::Gemini => gemini::admit(self.request, wanted),
        }
    }

    /// The id that the provider gives this request.
    pub(crate) fn request_id(&self) -> String {
        let seed = self.world.seed;
        match self.family {
            Family::Anthropic => format!("req_011C{}", dice::letters(seed, self.serial, 20)),
            Family::OpenAi | Family::Gemini | Family::Bedrock => {
                format!("req_{}", dice::letters(seed, self.serial, 32))
            }
        }
    }

    /// The provider's own headers of every answer.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let own = |name: &str, value: String| (name.to_owned(), value);
        match self.family {
            Family::OpenAi => vec![
                own("x-request-id", self.request_id()),
                own("openai-version", "2020-10-01".to_owned()),
            ],
            Family::Bedrock => vec![own("x-amzn-requestid", self.request_id())],
            Family::Gemini => vec![own("x-gemini-service-tier", "standard".to_owned())],
            Family::Anthropic => vec![
                own("request-id", self.request_id()),
                own("anthropic-organization-id", anthropic::ORGANIZATION.to_owned()),
            ],
        }
    }

    /// The request with what reading it for a model depends on.
    pub(crate) fn incoming<'s>(&'s self, live: &'s Live) -> Incoming<'s> {
        Incoming {
            request: self.request,
            model: &live.script,
            issuer: self.issuer(live),
            memory: &self.provider.memory,
        }
    }

    /// Who signs a model's reasoning.
    pub(crate) fn issuer<'s>(&'s self, live: &'s Live) -> &'s str {
        live.script.signer.as_deref().unwrap_or(&self.provider.script.name)
    }

    /// Puts the request into the log.
    pub(crate) fn record(&self, model: &str) {
        let key = self.provider.script.api_key.as_deref();
        self.world.record(Seen {
            serial: self.serial,
            provider: self.provider.script.name.clone(),
            model: model.to_owned(),
            ..Seen::of(self.request, key)
        });
    }

    /// Sends a body with the provider's headers and `more`.
    pub(crate) async fn send(
        &self,
        wire: &mut Wire,
        status: u16,
        body: &Value,
        more: &[(String, String)],
    ) -> Result<After, Gone> {
        let headers = [self.headers().as_slice(), more].concat();
        send_json(wire, self.request, status, body, &headers).await
    }

    /// Sends an error with the request's id where the provider's errors have one.
    pub(crate) async fn refuse(&self, wire: &mut Wire, error: ErrorBody) -> Result<After, Gone> {
        let status = error.status;
        let class = ("x-amzn-errortype".to_owned(), bedrock::class_of(status).to_owned());
        let more = if self.family == Family::Bedrock { vec![class] } else { Vec::new() };
        self.send(wire, status, &self.sealed(error.body), &more).await
    }

    /// An error's body with the request's id.
    pub(crate) fn sealed(&self, mut body: Value) -> Value {
        if let (Family::Anthropic, Some(members)) = (self.family, body.as_object_mut()) {
            members.insert("request_id".to_owned(), Value::String(self.request_id()));
        }
        body
    }

    fn models(&self) -> Value {
        match self.family {
            Family::OpenAi | Family::Bedrock => openai_chat::models(&self.provider.script),
            Family::Anthropic => anthropic::models(&self.provider.script, self.request),
            Family::Gemini => gemini::models(&self.provider.script),
        }
    }

    fn one_model(&self, id: &str) -> Result<Value, ErrorBody> {
        let script = &self.provider.script;
        match self.family {
            Family::OpenAi | Family::Bedrock => {
                openai_chat::one_model(script, id).ok_or_else(|| openai_chat::unknown_model(id))
            }
            Family::Anthropic => {
                anthropic::one_model(script, id).ok_or_else(|| anthropic::unknown_model(id))
            }
            Family::Gemini => {
                gemini::one_model(script, id).ok_or_else(|| gemini::unknown_model(id))
            }
        }
    }

    fn unknown_path(&self, path: &str, rest: &str) -> ErrorBody {
        let method = &self.request.method;
        match self.family {
            Family::OpenAi if method == "GET" => openai_chat::unknown_model(""),
            Family::OpenAi => openai_chat::unknown_path(method, rest),
            Family::Anthropic => anthropic::unknown_path(path),
            Family::Gemini => gemini::unknown_path(path),
            Family::Bedrock => bedrock::unknown_path(path),
        }
    }

    async fn count_tokens(&self, wire: &mut Wire) -> Result<After, Gone> {
        let counted = match self.family {
            Family::Anthropic => anthropic::count(self),
            Family::OpenAi => openai_responses::count(self),
            Family::Gemini => gemini::count(self),
            Family::Bedrock => Err(bedrock::unknown_path(self.request.path())),
        };
        match counted {
            Ok(body) => self.send(wire, 200, &body, &[]).await,
            Err(error) => self.refuse(wire, error).await,
        }
    }

    /// The status that the script wants for this request, in the words of `speech`.
    pub(crate) fn scripted(
        &self,
        speech: &dyn Speech,
        live: &Live,
        model: &str,
    ) -> Result<(), ErrorBody> {
        let facts = Facts { prompt: "", streaming: false };
        match self.provider.failure(live, facts) {
            Some(Failure::Status { status, .. }) => Err(speech.failed(status, model, None)),
            _ => Ok(()),
        }
    }

    async fn embed(&self, wire: &mut Wire) -> Result<After, Gone> {
        let answered = match self.family {
            Family::Gemini => gemini::embed(self),
            _ => openai_embeddings::answer(self),
        };
        let model = answered.as_ref().map_or("", |(model, _)| model.as_str());
        self.record(model);
        let takes =
            self.provider.model(model).map_or(0, |model| model.live().script.first_token_ms);
        match answered {
            Ok((_, body)) => {
                let waited = wire.pause(std::time::Duration::from_millis(takes)).await;
                let sent = match waited {
                    Ok(()) => self.send(wire, 200, &body, &[]).await,
                    Err(gone) => Err(gone),
                };
                let outcome = if sent.is_ok() { Outcome::Answered } else { Outcome::Cancelled };
                self.world.ended(self.provider, self.serial, outcome);
                sent
            }
            Err(error) => {
                let outcome = Outcome::Refused(error.status);
                self.world.ended(self.provider, self.serial, outcome);
                self.refuse(wire, error).await
            }
        }
    }
}
