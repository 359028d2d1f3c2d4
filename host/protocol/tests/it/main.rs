//! The public face of the protocol crate, dialect by dialect: what is read, what is written, and
//! that no bytes whatever make a parser panic.

#[cfg(test)]
mod anthropic_damage;
mod anthropic_events;
mod anthropic_kit;
mod anthropic_request;
mod anthropic_stream;
mod anthropic_translate;
mod eventstream;
mod gemini_answer;
mod gemini_codec;
mod gemini_random;
mod gemini_request;
mod openai_answer;
mod openai_chat_answer;
mod openai_chat_request;
mod openai_request;
mod openai_stream;
mod openai_texts;
mod random_bytes;
mod responses_codec;
mod responses_request;
mod responses_stream;
mod support;
