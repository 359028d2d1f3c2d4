//! What a model says: the `message` of a whole answer and the `delta` of a chunk have the same
//! members, read here once for both. Never sees what is around them.

use crate::call::Channel;
use crate::scan::{Fault, Kind, Literal, Scanner};

/// The member of a message or delta that holds a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Content,
    /// A text part, where content is an array.
    ContentPart,
    /// A thinking part, where content is an array.
    ThinkingPart,
    Refusal,
    ReasoningContent,
    Reasoning,
    ReasoningDetail,
    ToolArguments,
    CustomInput,
    FunctionArguments,
    AudioTranscript,
}

/// One text found: its member, the index of the tool call or detail, the literal.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub(crate) field: Field,
    pub(crate) tool: u32,
    pub(crate) literal: Literal,
}

/// Everything found in one message or delta.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) texts: Vec<Spoken>,
    /// A tool call begins here: it has an id or a name.
    pub(crate) tool_started: bool,
    /// There is audio, or an image.
    pub(crate) media: bool,
    /// Indexes of details of thinking that have a signature here: their text is complete.
    pub(crate) sealed: Vec<u32>,
    /// There is thinking that only its provider can read.
    pub(crate) encrypted: bool,
}

// === impl Field ===

impl Field {
    pub(crate) fn channel(self) -> Channel {
        match self {
            Self::Content | Self::ContentPart | Self::Refusal | Self::AudioTranscript => {
                Channel::Text
            }
            Self::ThinkingPart
            | Self::ReasoningContent
            | Self::Reasoning
            | Self::ReasoningDetail => Channel::Reasoning,
            Self::ToolArguments | Self::CustomInput | Self::FunctionArguments => {
                Channel::ToolArguments
            }
        }
    }

    /// What comes before and after the text in a delta that carries it alone.
    pub(crate) fn frame(self, tool: u32) -> (String, &'static str) {
        match self {
            Self::Content => ("\"content\":".to_owned(), ""),
            Self::ContentPart => ("\"content\":[{\"type\":\"text\",\"text\":".to_owned(), "}]"),
            Self::ThinkingPart => (
                "\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":"
                    .to_owned(),
                "}]}]",
            ),
            Self::Refusal => ("\"refusal\":".to_owned(), ""),
            Self::ReasoningContent => ("\"reasoning_content\":".to_owned(), ""),
            Self::Reasoning => ("\"reasoning\":".to_owned(), ""),
            Self::ReasoningDetail => (
                format!(
                    "\"reasoning_details\":[{{\"type\":\"reasoning.text\",\"index\":{tool},\
                     \"text\":"
                ),
                "}]",
            ),
            Self::ToolArguments => {
                (format!("\"tool_calls\":[{{\"index\":{tool},\"function\":{{\"arguments\":"), "}}]")
            }
            Self::CustomInput => {
                (format!("\"tool_calls\":[{{\"index\":{tool},\"custom\":{{\"input\":"), "}}]")
            }
            Self::FunctionArguments => ("\"function_call\":{\"arguments\":".to_owned(), "}"),
            Self::AudioTranscript => ("\"audio\":{\"transcript\":".to_owned(), "}"),
        }
    }
}

// === impl Heard ===

impl Heard {
    /// Reads a message or delta; `null` counts as an empty one.
    pub(crate) fn read(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        if scanner.null()? {
            return Ok(());
        }
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            match key.as_ref() {
                "content" => self.content(scanner)?,
                "refusal" => self.text(scanner, Field::Refusal, 0)?,
                "reasoning_content" => self.text(scanner, Field::ReasoningContent, 0)?,
                "reasoning" => self.text(scanner, Field::Reasoning, 0)?,
                "reasoning_details" => self.reasoning_details(scanner)?,
                "tool_calls" => self.tool_calls(scanner)?,
                "function_call" => {
                    self.function(scanner, Field::FunctionArguments, 0)?;
                }
                "audio" => self.audio(scanner)?,
                "images" => {
                    self.media |= scanner.kind()? == Kind::Array;
                    scanner.skip()?;
                }
                _ => {
                    scanner.skip()?;
                }
            }
        }
        Ok(())
    }

    /// A string becomes a text, unless it is empty; anything else is passed over.
    fn text(&mut self, scanner: &mut Scanner<'_>, field: Field, tool: u32) -> Result<(), Fault> {
        if scanner.kind()? != Kind::String {
            return scanner.skip().map(|_| ());
        }
        let literal = scanner.literal()?;
        if !literal.is_empty() {
            self.texts.push(Spoken { field, tool, literal });
        }
        Ok(())
    }

    fn content(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        if scanner.kind()? != Kind::Array {
            return self.text(scanner, Field::Content, 0);
        }
        self.parts(scanner, Field::ContentPart)
    }

    /// An array of parts, each a string or an object with `text` or, nested, `thinking`.
    fn parts(&mut self, scanner: &mut Scanner<'_>, field: Field) -> Result<(), Fault> {
        if scanner.kind()? != Kind::Array {
            return self.text(scanner, field, 0);
        }
        scanner.open_array()?;
        while scanner.next_item()? {
            if scanner.kind()? != Kind::Object {
                self.text(scanner, field, 0)?;
                continue;
            }
            scanner.open_object()?;
            while let Some(key) = scanner.next_key()? {
                match key.as_ref() {
                    "text" => self.text(scanner, field, 0)?,
                    "refusal" => self.text(scanner, Field::Refusal, 0)?,
                    "thinking" => self.parts(scanner, Field::ThinkingPart)?,
                    _ => {
                        scanner.skip()?;
                    }
                }
            }
        }
        Ok(())
    }

    fn reasoning_details(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        if scanner.kind()? != Kind::Array {
            return scanner.skip().map(|_| ());
        }
        self.each(scanner, |heard, scanner, key, position| match key {
            "text" | "summary" => heard.text(scanner, Field::ReasoningDetail, position),
            "signature" if scanner.kind()? == Kind::String => {
                heard.sealed.push(position);
                scanner.skip().map(|_| ())
            }
            "data" => {
                heard.encrypted |= scanner.kind()? == Kind::String;
                scanner.skip().map(|_| ())
            }
            _ => scanner.skip().map(|_| ()),
        })
    }

    fn tool_calls(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        if scanner.kind()? != Kind::Array {
            return scanner.skip().map(|_| ());
        }
        self.each(scanner, |heard, scanner, key, position| match key {
            "id" => {
                heard.tool_started |= scanner.kind()? == Kind::String;
                scanner.skip().map(|_| ())
            }
            "function" => heard.function(scanner, Field::ToolArguments, position),
            "custom" => heard.function(scanner, Field::CustomInput, position),
            _ => scanner.skip().map(|_| ()),
        })
    }

    /// Reads an array of objects. The `index` member of one, wherever it stands, numbers the texts
    /// found in it; without it the position does.
    fn each(
        &mut self,
        scanner: &mut Scanner<'_>,
        mut member: impl FnMut(&mut Self, &mut Scanner<'_>, &str, u32) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut position = 0_u32;
        scanner.open_array()?;
        while scanner.next_item()? {
            if scanner.kind()? != Kind::Object {
                scanner.skip()?;
                continue;
            }
            let (first, seals) = (self.texts.len(), self.sealed.len());
            let mut index = None;
            scanner.open_object()?;
            while let Some(key) = scanner.next_key()? {
                if key == "index" && scanner.kind()? == Kind::Number {
                    index = scanner.whole_number()?.and_then(|index| u32::try_from(index).ok());
                } else {
                    member(self, scanner, &key, position)?;
                }
            }
            if let Some(index) = index {
                self.texts.iter_mut().skip(first).for_each(|text| text.tool = index);
                self.sealed.iter_mut().skip(seals).for_each(|sealed| *sealed = index);
            }
            position = position.saturating_add(1);
        }
        Ok(())
    }

    fn function(
        &mut self,
        scanner: &mut Scanner<'_>,
        field: Field,
        tool: u32,
    ) -> Result<(), Fault> {
        if scanner.kind()? != Kind::Object {
            return scanner.skip().map(|_| ());
        }
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            match key.as_ref() {
                "arguments" | "input" => self.text(scanner, field, tool)?,
                "name" => {
                    self.tool_started |= scanner.kind()? == Kind::String;
                    scanner.skip()?;
                }
                _ => {
                    scanner.skip()?;
                }
            }
        }
        Ok(())
    }

    fn audio(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        if scanner.kind()? != Kind::Object {
            return scanner.skip().map(|_| ());
        }
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            if key == "transcript" {
                self.text(scanner, Field::AudioTranscript, 0)?;
            } else {
                self.media |= key == "data";
                scanner.skip()?;
            }
        }
        Ok(())
    }
}
