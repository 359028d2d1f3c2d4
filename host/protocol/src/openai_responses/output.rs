//! What a model says: the items of a whole answer and of a stream's events have the same members,
//! read here once for both. Never sees what is around them.

use std::ops::Range;

use super::search::is_hosted;
use crate::call::Channel;
use crate::scan::{Fault, Kind, Literal, Scanner};

/// The member of an item or an event that holds a text, with the number of the part it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Text(u32),
    Refusal(u32),
    Summary(u32),
    /// Thinking as it was, where a provider shows it.
    Thought(u32),
    Arguments,
    CustomInput,
    McpArguments,
    Code,
    Transcript,
    /// A string of an item that only the provider understands, by its position there.
    Other(u32),
}

/// One text found.
#[derive(Debug)]
pub(super) struct Spoken {
    pub(super) field: Field,
    pub(super) literal: Literal,
}

/// Everything found in one item or part.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) texts: Vec<Spoken>,
    /// It is a call of some tool.
    pub(super) called: bool,
    /// There is an image.
    pub(super) media: bool,
    /// It is a search of the web. What is done with a page that was found is none.
    pub(super) searched: bool,
    /// It is a call of another tool of the provider's own that it charges for.
    pub(super) hosted: bool,
    /// What the call of a tool of the provider's own did: `search`, `open_page`.
    action: Option<String>,
    /// Where the probabilities of tokens stand.
    pub(super) logprobs: Vec<Range<usize>>,
    /// Texts of a member that means different things in different items, until the type is known.
    loose: Vec<(&'static str, Literal)>,
    others: u32,
}

/// Members that are no text.
const STRUCTURE: &[&str] = &[
    "type",
    "id",
    "status",
    "call_id",
    "name",
    "namespace",
    "role",
    "phase",
    "encrypted_content",
    "container_id",
    "file_id",
    "server_label",
    "approval_request_id",
    "background",
    "output_format",
    "quality",
    "size",
    "execution",
];

// === impl Field ===

impl Field {
    pub(crate) fn channel(self) -> Channel {
        match self {
            Self::Text(_) | Self::Refusal(_) | Self::Transcript => Channel::Text,
            Self::Summary(_) | Self::Thought(_) => Channel::Reasoning,
            Self::Arguments | Self::CustomInput | Self::McpArguments | Self::Code => {
                Channel::ToolArguments
            }
            Self::Other(_) => Channel::Document,
        }
    }

    /// The event whose `delta` is this text, by the event's name; `part` numbers its part.
    pub(super) fn of_delta(event: &str, part: u32) -> Option<Self> {
        Some(match event {
            "response.output_text.delta" => Self::Text(part),
            "response.refusal.delta" => Self::Refusal(part),
            "response.reasoning_summary_text.delta" => Self::Summary(part),
            "response.reasoning_text.delta" => Self::Thought(part),
            "response.function_call_arguments.delta" => Self::Arguments,
            "response.custom_tool_call_input.delta" => Self::CustomInput,
            "response.mcp_call_arguments.delta" => Self::McpArguments,
            "response.code_interpreter_call_code.delta" => Self::Code,
            "response.audio.transcript.delta" => Self::Transcript,
            _ => return None,
        })
    }

    /// The name of that event, and the member that numbers the part; `None` where no event adds to
    /// such a text.
    pub(super) fn delta_event(self) -> Option<(&'static str, Option<(&'static str, u32)>)> {
        const CONTENT: &str = "content_index";
        Some(match self {
            Self::Text(part) => ("response.output_text.delta", Some((CONTENT, part))),
            Self::Refusal(part) => ("response.refusal.delta", Some((CONTENT, part))),
            Self::Thought(part) => ("response.reasoning_text.delta", Some((CONTENT, part))),
            Self::Summary(part) => {
                ("response.reasoning_summary_text.delta", Some(("summary_index", part)))
            }
            Self::Arguments => ("response.function_call_arguments.delta", None),
            Self::CustomInput => ("response.custom_tool_call_input.delta", None),
            Self::McpArguments => ("response.mcp_call_arguments.delta", None),
            Self::Code => ("response.code_interpreter_call_code.delta", None),
            Self::Transcript => ("response.audio.transcript.delta", None),
            Self::Other(_) => return None,
        })
    }

    /// The member of a closing event that repeats the whole text, and what it is then.
    pub(super) fn of_done(event: &str, part: u32) -> Option<(&'static str, Self)> {
        Some(match event {
            "response.output_text.done" => ("text", Self::Text(part)),
            "response.refusal.done" => ("refusal", Self::Refusal(part)),
            "response.reasoning_summary_text.done" => ("text", Self::Summary(part)),
            "response.reasoning_text.done" => ("text", Self::Thought(part)),
            "response.function_call_arguments.done" => ("arguments", Self::Arguments),
            "response.custom_tool_call_input.done" => ("input", Self::CustomInput),
            "response.mcp_call_arguments.done" => ("arguments", Self::McpArguments),
            "response.code_interpreter_call_code.done" => ("code", Self::Code),
            _ => return None,
        })
    }
}

// === impl Heard ===

impl Heard {
    /// Reads one item of `output`.
    pub(super) fn item(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        if scanner.kind()? != Kind::Object {
            return scanner.skip().map(|_| ());
        }
        let mut kind = String::new();
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            match (key.as_ref(), scanner.kind()?) {
                ("type", Kind::String) => kind = scanner.string()?.into_owned(),
                ("action", Kind::Object) => self.action(scanner)?,
                ("content", Kind::Array) => self.parts(scanner)?,
                ("summary", Kind::Array) => self.parts(scanner)?,
                ("arguments", Kind::String) => self.loosely("arguments", scanner)?,
                ("input", Kind::String) => self.loosely("input", scanner)?,
                ("code", Kind::String) => self.loosely("code", scanner)?,
                ("result", Kind::String) => self.loosely("result", scanner)?,
                (key, value) if STRUCTURE.contains(&key) && value != Kind::Object => {
                    scanner.skip().map(|_| ())?;
                }
                _ => self.other(scanner)?,
            }
        }
        self.settle(&kind);
        Ok(())
    }

    /// Files what waited for the item's type.
    fn settle(&mut self, kind: &str) {
        self.called = kind.ends_with("_call") || kind == "mcp_approval_request";
        let action = self.action.as_deref();
        self.hosted = is_hosted(kind);
        self.searched = kind == "web_search_call" && action.is_none_or(|what| what == "search");
        for (name, literal) in std::mem::take(&mut self.loose) {
            let field = match (kind, name) {
                ("image_generation_call", "result") => {
                    self.media |= !literal.is_empty();
                    continue;
                }
                ("function_call", "arguments") => Field::Arguments,
                (_, "arguments") => Field::McpArguments,
                ("custom_tool_call", "input") => Field::CustomInput,
                (_, "code") => Field::Code,
                _ => self.next_other(),
            };
            if !literal.is_empty() {
                self.texts.push(Spoken { field, literal });
            }
        }
    }

    /// Reads the parts of a message or of thinking; each is numbered by its position.
    fn parts(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        let mut position = 0_u32;
        scanner.open_array()?;
        while scanner.next_item()? {
            self.part(scanner, position)?;
            position = position.saturating_add(1);
        }
        Ok(())
    }

    /// Reads one part.
    pub(super) fn part(&mut self, scanner: &mut Scanner<'_>, position: u32) -> Result<(), Fault> {
        if scanner.kind()? != Kind::Object {
            return scanner.skip().map(|_| ());
        }
        let (mut kind, mut text, mut refusal) = (String::new(), None, None);
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            match (key.as_ref(), scanner.kind()?) {
                ("type", Kind::String) => kind = scanner.string()?.into_owned(),
                ("text", Kind::String) => text = Some(scanner.literal()?),
                ("refusal", Kind::String) => refusal = Some(scanner.literal()?),
                ("logprobs", Kind::Array) => self.logprobs.push(scanner.skip()?),
                // Citations repeat what is said or name what was read.
                _ => scanner.skip().map(|_| ())?,
            }
        }
        let field = match kind.as_str() {
            "summary_text" => Field::Summary(position),
            "reasoning_text" => Field::Thought(position),
            _ => Field::Text(position),
        };
        let said = [(field, text), (Field::Refusal(position), refusal)];
        self.texts.extend(said.into_iter().filter_map(|(field, literal)| {
            let literal = literal.filter(|literal| !literal.is_empty())?;
            Some(Spoken { field, literal })
        }));
        Ok(())
    }

    /// Reads what a tool of the provider's own did: every string but its type is a text.
    fn action(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            match (key.as_ref(), scanner.kind()?) {
                ("type", Kind::String) => self.action = Some(scanner.string()?.into_owned()),
                (key, value) if STRUCTURE.contains(&key) && value != Kind::Object => {
                    scanner.skip()?;
                }
                _ => self.other(scanner)?,
            }
        }
        Ok(())
    }

    fn loosely(&mut self, name: &'static str, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        let literal = scanner.literal()?;
        self.loose.push((name, literal));
        Ok(())
    }

    /// Every string of a member that only the provider understands.
    fn other(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        match scanner.kind()? {
            Kind::String => {
                let literal = scanner.literal()?;
                if !literal.is_empty() {
                    let field = self.next_other();
                    self.texts.push(Spoken { field, literal });
                }
                Ok(())
            }
            Kind::Array => {
                scanner.open_array()?;
                while scanner.next_item()? {
                    self.other(scanner)?;
                }
                Ok(())
            }
            Kind::Object => {
                scanner.open_object()?;
                while let Some(key) = scanner.next_key()? {
                    let structure = STRUCTURE.contains(&key.as_ref());
                    if structure && scanner.kind()? != Kind::Object {
                        scanner.skip()?;
                    } else {
                        self.other(scanner)?;
                    }
                }
                Ok(())
            }
            Kind::Null | Kind::Bool | Kind::Number => scanner.skip().map(|_| ()),
        }
    }

    fn next_other(&mut self) -> Field {
        let field = Field::Other(self.others);
        self.others = self.others.saturating_add(1);
        field
    }
}
