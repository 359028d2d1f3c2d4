//! The public face of the protocol crate, dialect by dialect: what is read, what is written, and
//! that no bytes whatever make a parser panic.

#[cfg(test)]
mod across;
#[cfg(test)]
mod anthropic_events;
#[cfg(test)]
mod anthropic_kit;
#[cfg(test)]
mod anthropic_request;
#[cfg(test)]
mod anthropic_stream;
#[cfg(test)]
mod anthropic_translate;
#[cfg(test)]
mod canary;
#[cfg(test)]
mod eventstream;
#[cfg(test)]
mod first_steps;
#[cfg(test)]
mod gemini_answer;
#[cfg(test)]
mod gemini_codec;
#[cfg(test)]
mod gemini_request;
#[cfg(test)]
mod guarded;
#[cfg(test)]
mod hosted;
#[cfg(test)]
mod logprobs;
#[cfg(test)]
mod openai_answer;
#[cfg(test)]
mod openai_chat_answer;
#[cfg(test)]
mod openai_chat_request;
#[cfg(test)]
mod openai_request;
#[cfg(test)]
mod openai_stream;
#[cfg(test)]
mod openai_texts;
#[cfg(test)]
mod pairs;
#[cfg(test)]
#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, dead_code, reason = "public for the fuzz targets, which use all of it")]
mod properties;
#[cfg(test)]
mod provided;
#[cfg(test)]
mod random_bytes;
#[cfg(test)]
mod responses_codec;
#[cfg(test)]
mod responses_request;
#[cfg(test)]
mod responses_stream;
#[cfg(test)]
mod support;
