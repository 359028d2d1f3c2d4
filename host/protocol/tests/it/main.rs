//! The public face of the protocol crate, dialect by dialect: what is read, what is written, and
//! that no bytes whatever make a parser panic.

#[cfg(test)]
mod across;
#[cfg(test)]
mod eventstream;
#[cfg(test)]
mod gemini_answer;
#[cfg(test)]
mod gemini_codec;
#[cfg(test)]
mod gemini_random;
#[cfg(test)]
mod gemini_request;
#[cfg(test)]
mod openai_answer;
#[cfg(test)]
mod openai_request;
#[cfg(test)]
mod openai_stream;
#[cfg(test)]
mod openai_texts;
#[cfg(test)]
mod random_bytes;
#[cfg(test)]
mod support;
