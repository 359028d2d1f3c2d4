//! The host's request, candidates and log behind the plain traits; only inside a component.

use crate::request::{Candidates, Request};
use crate::types::{Level, Value};
use turnpike_policy_world::turnpike::policy as host;

/// The request and the candidates that the host has in hand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ambient;

/// Writes a line to the host's log, which is bounded in lines and bytes.
pub fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => host::log::Level::Debug,
        Level::Info => host::log::Level::Info,
        Level::Warn => host::log::Level::Warn,
        Level::Error => host::log::Level::Error,
    };
    host::log::write(level, message);
}

pub(crate) fn value(value: host::types::Value) -> Value {
    match value {
        host::types::Value::Text(text) => Value::Text(text),
        host::types::Value::Number(number) => Value::Number(number),
        host::types::Value::Flag(flag) => Value::Flag(flag),
    }
}

impl Request for Ambient {
    fn id(&self) -> String {
        host::request::id()
    }

    fn protocol(&self) -> String {
        host::request::protocol()
    }

    fn model(&self) -> String {
        host::request::model()
    }

    fn streaming(&self) -> bool {
        host::request::streaming()
    }

    fn input_tokens(&self) -> u32 {
        host::request::input_tokens()
    }

    fn output_tokens_limit(&self) -> Option<u32> {
        host::request::output_tokens_limit()
    }

    fn messages(&self) -> u32 {
        host::request::messages()
    }

    fn message_role(&self, index: u32) -> Option<String> {
        host::request::message_role(index)
    }

    fn message_length(&self, index: u32) -> u32 {
        host::request::message_length(index)
    }

    fn message_text(&self, index: u32, offset: u32, length: u32) -> String {
        host::request::message_text(index, offset, length)
    }

    fn tools(&self) -> u32 {
        host::request::tools()
    }

    fn tool_name(&self, index: u32) -> Option<String> {
        host::request::tool_name(index)
    }

    fn tool_description(&self, index: u32) -> Option<String> {
        host::request::tool_description(index)
    }

    fn attr(&self, name: &str) -> Option<Value> {
        host::request::attr(name).map(value)
    }
}

impl Candidates for Ambient {
    fn count(&self) -> u32 {
        host::candidates::count()
    }

    fn offer(&self, index: u32) -> String {
        host::candidates::offer(index)
    }

    fn attr(&self, index: u32, name: &str) -> Option<Value> {
        host::candidates::attr(index, name).map(value)
    }
}
