//! What a request adds up to while it is read: texts, messages, tools, media. Never looks at keys
//! of its own; the readers beside it say what a value means.

use std::sync::Arc;

use crate::call::{Channel, MESSAGES_MAX, Media, Message, Needs, Role, TEXTS_MAX, Text, Tool};
use crate::content::Content;
use crate::request_error::RequestError;
use crate::scan::{Kind, Literal, Scanner};

/// How a text is to be filed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) channel: Channel,
    pub(crate) role: Role,
    pub(crate) message: Option<u32>,
}

/// The neutral parts of a call, so far.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) source: Arc<String>,
    pub(crate) texts: Vec<Text>,
    pub(crate) messages: Vec<Message>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) needs: Needs,
    pub(crate) media: Media,
}

// === impl Mark ===

impl Mark {
    /// Text outside the conversation.
    pub(crate) const DOCUMENT: Self =
        Self { channel: Channel::Document, role: Role::Other, message: None };

    /// The same place, another channel.
    pub(crate) fn on(self, channel: Channel) -> Self {
        Self { channel, ..self }
    }
}

// === impl Draft ===

impl Draft {
    pub(crate) fn new(source: Arc<String>) -> Self {
        Self {
            source,
            texts: Vec::with_capacity(8),
            messages: Vec::with_capacity(4),
            tools: Vec::new(),
            needs: Needs::default(),
            media: Media::default(),
        }
    }

    /// Files a string as a text; an empty one is nothing to scan.
    pub(crate) fn push(
        &mut self,
        (literal, decoded): (Literal, Option<String>),
        mark: Mark,
    ) -> Result<(), RequestError> {
        if literal.is_empty() {
            return Ok(());
        }
        if self.texts.len() >= TEXTS_MAX {
            return Err(RequestError::too_many("the request", TEXTS_MAX));
        }
        let content = match decoded {
            Some(text) => Content::from_string(text),
            None => Content::part(&self.source, literal.inner()),
        };
        let Mark { channel, role, message } = mark;
        self.texts.push(Text {
            channel,
            role,
            message,
            content,
            span: literal.span,
            edited: false,
        });
        Ok(())
    }

    /// Files every string below the next value, except under the keys in `skip`. An object under
    /// such a key is walked all the same: then the key is a name, not a member that we know.
    pub(crate) fn walk(
        &mut self,
        scanner: &mut Scanner<'_>,
        mark: Mark,
        skip: &[&str],
    ) -> Result<(), RequestError> {
        match scanner.kind()? {
            Kind::String => {
                let string = scanner.text()?;
                self.push(string, mark)
            }
            Kind::Array => {
                scanner.open_array()?;
                while scanner.next_item()? {
                    self.walk(scanner, mark, skip)?;
                }
                Ok(())
            }
            Kind::Object => {
                scanner.open_object()?;
                while let Some(key) = scanner.next_key()? {
                    let skipped = skip.contains(&key.as_ref());
                    if skipped && scanner.kind()? != Kind::Object {
                        scanner.skip()?;
                    } else {
                        self.walk(scanner, mark, skip)?;
                    }
                }
                Ok(())
            }
            Kind::Null | Kind::Bool | Kind::Number => Ok(scanner.skip().map(|_| ())?),
        }
    }

    /// Index of the message that is about to be read.
    pub(crate) fn next_message(&self) -> Result<u32, RequestError> {
        if self.messages.len() >= MESSAGES_MAX {
            return Err(RequestError::too_many("messages", MESSAGES_MAX));
        }
        Ok(u32::try_from(self.messages.len()).unwrap_or(u32::MAX))
    }
}
