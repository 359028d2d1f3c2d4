//! What every dialect has to offer: reading a request, writing an answer whole or as frames, and
//! its own words for errors. The rest of the simulator knows a dialect only through this.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::answer::{Ask, Reply};
use crate::dice;
use crate::failure::Failure;
use crate::frame::{Frame, Framing};
use crate::http::Request;
use crate::memory::Memory;
use crate::script::ModelScript;

/// An error response: its status and body.
#[derive(Debug)]
pub(crate) struct ErrorBody {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// A request with all that reading it depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming<'a> {
    pub(crate) request: &'a Request,
    pub(crate) model: &'a ModelScript,
    /// Whose signatures are good.
    pub(crate) issuer: &'a str,
    pub(crate) memory: &'a Memory,
}

/// Facts that every part of one answer repeats.
#[derive(Debug)]
pub(crate) struct Stamp<'a> {
    pub(crate) seed: u64,
    pub(crate) serial: u64,
    /// Seconds since the epoch.
    pub(crate) created: u64,
    /// The model's name in the answer.
    pub(crate) model: &'a str,
    pub(crate) script: &'a ModelScript,
    pub(crate) fingerprint: String,
    /// Who signs reasoning.
    pub(crate) issuer: &'a str,
}

/// How an answer departs from the usual.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) with_usage: bool,
    pub(crate) whole_items: bool,
    pub(crate) interleaved: bool,
}

/// An answer to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) stamp: &'a Stamp<'a>,
    pub(crate) ask: &'a Ask,
    pub(crate) reply: &'a Reply,
    pub(crate) style: Style,
}

/// A dialect's way to answer one kind of request.
pub(crate) trait Speech: Sync {
    /// The model that a request is for, without reading the rest.
    fn model<'r>(&self, request: &'r Request) -> Result<Cow<'r, str>, ErrorBody>;

    /// 404 for a model that the provider does not have.
    fn unknown_model(&self, model: &str) -> ErrorBody;

    /// Reads the whole request, and refuses what the provider refuses.
    fn read(&self, incoming: Incoming<'_>) -> Result<Ask, ErrorBody>;

    /// A whole body.
    fn whole(&self, answered: &Answered<'_>) -> Value;

    /// All frames of an answer, in order.
    fn frames(&self, answered: &Answered<'_>) -> Vec<Frame>;

    /// The error that a script asked for; `echo` is text of the caller that the message repeats.
    fn failed(&self, status: u16, model: &str, echo: Option<&str>) -> ErrorBody;

    /// An error inside a stream that began with status 200: `kind` is the provider's word.
    fn error_frame(&self, stamp: &Stamp<'_>, kind: &str, message: &str) -> Frame;

    /// The provider's word for a server's error, and its text.
    fn server_error(&self) -> (&'static str, &'static str);

    /// A frame whose JSON is cut.
    fn malformed(&self, stamp: &Stamp<'_>) -> Frame;

    /// A sign of life between other frames; `None`: a comment line.
    fn ping(&self) -> Option<Frame> {
        None
    }

    /// How the provider frames its events.
    fn framing(&self) -> Framing {
        Framing::EVENTS
    }

    /// Keeps what later requests may refer to.
    fn remember(&self, _answered: &Answered<'_>, _memory: &Memory) {}
}

// === impl Stamp ===

impl Stamp<'_> {
    /// An id of this answer: the same `nth` gives the same one.
    pub(crate) fn id(&self, prefix: &str, nth: u64, length: usize) -> String {
        let seed = dice::roll(self.seed, nth);
        format!("{prefix}{}", dice::letters(seed, self.serial, length))
    }
}

// === impl Style ===

impl Style {
    /// Everything as the provider usually sends it.
    pub(crate) const USUAL: Self =
        Self { with_usage: true, whole_items: false, interleaved: false };

    /// What a failure asks of the writing.
    pub(crate) fn under(failure: Option<&Failure>) -> Self {
        Self {
            with_usage: failure != Some(&Failure::MissingUsage),
            whole_items: failure == Some(&Failure::WholeItems),
            interleaved: failure == Some(&Failure::InterleavedTools),
        }
    }
}

/// The few fields that decide who answers and how, without reading the rest.
#[derive(Debug, Deserialize)]
pub(crate) struct Peek<'a> {
    #[serde(borrow)]
    pub(crate) model: Cow<'a, str>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
}

#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

impl<'a> Peek<'a> {
    pub(crate) fn at(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    pub(crate) fn streams(&self) -> bool {
        self.stream == Some(true)
    }

    pub(crate) fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage == Some(true))
    }
}
