//! What users reported against other gateways, shown here on the real program: the pitfalls whose
//! right behaviour needs a gateway, providers and money to be seen. Each test's name has the
//! number of its pitfall; those of one codec alone stand with the codecs.

mod aborts;
mod affinity;
mod alike;
mod attempts;
mod classify;
mod errors;
mod fallback;
mod holds;
mod idempotency;
mod interleaved;
pub(crate) mod speech;
mod words;
pub(crate) mod world;
