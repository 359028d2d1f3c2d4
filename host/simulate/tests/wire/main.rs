//! The simulator over real sockets: what a client of the real API would see, and every way to fail.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod anthropic;
#[cfg(test)]
mod anthropic_rules;
#[cfg(test)]
mod chat_rules;
#[cfg(test)]
mod embeddings;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod framing;
#[cfg(test)]
mod gemini;
#[cfg(test)]
mod play;
#[cfg(test)]
mod responses;
