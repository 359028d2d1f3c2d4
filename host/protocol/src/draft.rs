//! What a request adds up to while it is read: texts, messages, tools, media. Never looks at keys
//! of its own; the readers beside it say what a value means.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::call::{
    BLOCKS_MAX, Channel, MESSAGES_MAX, Media, Message, Needs, Role, TEXTS_MAX, TOOL_CALLS_MAX,
    Text, Tool,
};
use crate::content::Content;
use crate::request_error::RequestError;
use crate::scan::{Kind, Literal, Scanner};

use crate::inline;
use crate::labels::{is_function, is_long_number, is_name};

/// How a text is to be filed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) channel: Channel,
    pub(crate) role: Role,
    pub(crate) message: Option<u32>,
}

/// Which members of a value that is walked are not text as they stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Names, types and ids: a text only where they are more than that.
    pub(crate) labels: &'static [&'static str],
    pub(crate) plain: fn(&str) -> bool,
    /// What only its provider can read: passed over where it is base64.
    pub(crate) sealed: &'static [&'static str],
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
    blocks: usize,
    tool_calls: usize,
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
            blocks: 0,
            tool_calls: 0,
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
        let content = match decoded {
            Some(text) => Content::from_string(text),
            None => Content::part(&self.source, literal.inner()),
        };
        self.file(content, literal.span, mark)
    }

    fn file(
        &mut self,
        content: Content,
        span: Range<usize>,
        mark: Mark,
    ) -> Result<(), RequestError> {
        if self.texts.len() >= TEXTS_MAX {
            return Err(RequestError::too_many("the request", TEXTS_MAX));
        }
        let Mark { channel, role, message } = mark;
        self.texts.push(Text { channel, role, message, content, span, edited: false, json: false });
        Ok(())
    }

    /// Files the key of a member, unless it is plainly a name. Two keys that are masked alike
    /// become one name twice, which is what masking is.
    pub(crate) fn key(
        &mut self,
        scanner: &Scanner<'_>,
        literal: Literal,
        mark: Mark,
    ) -> Result<(), RequestError> {
        let key = scanner.decode(&literal);
        if is_name(&key) {
            return Ok(());
        }
        let decoded = literal.escaped.then(|| key.into_owned());
        self.push((literal, decoded), mark.on(Channel::Document))
    }

    /// Takes a number and files it if it may mean somebody. What replaces it is a string: JSON has
    /// no other way to say that something was taken out.
    fn number(&mut self, scanner: &mut Scanner<'_>, mark: Mark) -> Result<(), RequestError> {
        let span = scanner.skip()?;
        if !is_long_number(scanner.raw(span.clone())) {
            return Ok(());
        }
        let content = Content::part(&self.source, span.clone());
        self.file(content, span, mark.on(Channel::Document))
    }

    /// Takes a value that is structure: files what in it is not plain.
    pub(crate) fn labels(
        &mut self,
        scanner: &mut Scanner<'_>,
        mark: Mark,
        plain: fn(&str) -> bool,
    ) -> Result<(), RequestError> {
        if scanner.kind()? == Kind::Array {
            scanner.open_array()?;
            while scanner.next_item()? {
                self.labels(scanner, mark, plain)?;
            }
            return Ok(());
        }
        if scanner.kind()? != Kind::String {
            return self.walk(scanner, mark, &[]);
        }
        let (literal, decoded) = scanner.text()?;
        let text = decoded.as_deref().unwrap_or_else(|| scanner.raw(literal.inner()));
        if plain(text) {
            return Ok(());
        }
        self.push((literal, decoded), mark.on(Channel::Document))
    }

    /// Takes a string that is structure and acted on: files it unless it is plain, and returns it.
    pub(crate) fn label<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        mark: Mark,
        plain: fn(&str) -> bool,
    ) -> Result<Cow<'a, str>, RequestError> {
        let (literal, decoded) = scanner.text()?;
        let text = match &decoded {
            Some(text) => Cow::Owned(text.clone()),
            None => Cow::Borrowed(scanner.raw(literal.inner())),
        };
        if !plain(&text) {
            self.push((literal, decoded), mark.on(Channel::Document))?;
        }
        Ok(text)
    }

    /// The same for an object and what is below it; under the keys in `skip` are functions' names.
    pub(crate) fn structure(
        &mut self,
        scanner: &mut Scanner<'_>,
        mark: Mark,
        skip: &[&str],
    ) -> Result<(), RequestError> {
        scanner.open_object()?;
        while let Some(literal) = scanner.next_literal_key()? {
            let skipped = skip.contains(&scanner.decode(&literal).as_ref());
            self.key(scanner, literal, mark)?;
            match scanner.kind()? {
                Kind::Object => self.structure(scanner, mark, skip)?,
                Kind::String if skipped => self.labels(scanner, mark, is_function)?,
                Kind::Array => self.structures(scanner, mark, skip)?,
                _ => self.labels(scanner, mark, is_name)?,
            }
        }
        Ok(())
    }

    /// The same for the items of an array.
    fn structures(
        &mut self,
        scanner: &mut Scanner<'_>,
        mark: Mark,
        skip: &[&str],
    ) -> Result<(), RequestError> {
        scanner.open_array()?;
        while scanner.next_item()? {
            match scanner.kind()? {
                Kind::Object => self.structure(scanner, mark, skip)?,
                _ => self.labels(scanner, mark, is_name)?,
            }
        }
        Ok(())
    }

    /// Files every string below the next value as [`Draft::walk`] does, but under the keys in
    /// `known` only what is not what such a member holds. Nothing readable is passed over.
    pub(crate) fn sift(
        &mut self,
        scanner: &mut Scanner<'_>,
        mark: Mark,
        known: &Known,
    ) -> Result<(), RequestError> {
        match scanner.kind()? {
            Kind::Array => {
                scanner.open_array()?;
                while scanner.next_item()? {
                    self.sift(scanner, mark, known)?;
                }
            }
            Kind::Object => {
                scanner.open_object()?;
                while let Some(literal) = scanner.next_literal_key()? {
                    let key = scanner.decode(&literal);
                    let [label, sealed] =
                        [known.labels, known.sealed].map(|keys| keys.contains(&key.as_ref()));
                    self.key(scanner, literal, mark)?;
                    match scanner.kind()? {
                        Kind::String if sealed => {
                            inline::sealed(self, scanner, mark).map(|_| ())?
                        }
                        Kind::String if label => self.labels(scanner, mark, known.plain)?,
                        _ => self.sift(scanner, mark, known)?,
                    }
                }
            }
            _ => self.walk(scanner, mark, &[])?,
        }
        Ok(())
    }

    /// Files every string below the next value, every key that is not plainly a name and every long
    /// number, except under the keys in `skip`. An object under
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
                while let Some(literal) = scanner.next_literal_key()? {
                    let skipped = skip.contains(&scanner.decode(&literal).as_ref());
                    self.key(scanner, literal, mark)?;
                    if skipped && scanner.kind()? != Kind::Object {
                        scanner.skip()?;
                    } else {
                        self.walk(scanner, mark, skip)?;
                    }
                }
                Ok(())
            }
            Kind::Number => self.number(scanner, mark),
            Kind::Null | Kind::Bool => Ok(scanner.skip().map(|_| ())?),
        }
    }

    /// Files what a tool is called with or answers: an object or array as one text, so that a value
    /// is read beside its key; anything else as [`Draft::walk`] does.
    pub(crate) fn json(
        &mut self,
        scanner: &mut Scanner<'_>,
        mark: Mark,
    ) -> Result<(), RequestError> {
        if !matches!(scanner.kind()?, Kind::Object | Kind::Array) {
            return self.walk(scanner, mark, &[]);
        }
        let span = scanner.skip()?;
        let empty = scanner
            .raw(span.clone())
            .bytes()
            .all(|byte| !byte.is_ascii_graphic() || matches!(byte, b'{' | b'}' | b'[' | b']'));
        if empty {
            return Ok(());
        }
        self.file(Content::part(&self.source, span.clone()), span, mark)?;
        if let Some(text) = self.texts.last_mut() {
            text.json = true;
        }
        Ok(())
    }

    /// Counts a block of content that is about to be read.
    pub(crate) fn block(&mut self) -> Result<(), RequestError> {
        self.blocks = self.blocks.saturating_add(1);
        if self.blocks > BLOCKS_MAX {
            return Err(RequestError::too_many("the content of the messages", BLOCKS_MAX));
        }
        Ok(())
    }

    /// Counts a call of a tool.
    pub(crate) fn tool_call(&mut self) -> Result<(), RequestError> {
        self.tool_calls = self.tool_calls.saturating_add(1);
        if self.tool_calls > TOOL_CALLS_MAX {
            return Err(RequestError::too_many("the tool calls of the messages", TOOL_CALLS_MAX));
        }
        Ok(())
    }

    /// Index of the message that is about to be read.
    pub(crate) fn next_message(&self) -> Result<u32, RequestError> {
        if self.messages.len() >= MESSAGES_MAX {
            return Err(RequestError::too_many("messages", MESSAGES_MAX));
        }
        Ok(u32::try_from(self.messages.len()).unwrap_or(u32::MAX))
    }
}
