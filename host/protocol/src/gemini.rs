//! Placeholder
pub(crate) mod answer;
pub(crate) mod chunk;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod error;
pub(crate) mod request;
