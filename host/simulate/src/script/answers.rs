//! What a model says: the answers of a script, its tool calls, its steps as an agent.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a model says. `{prompt}` is the last user text,
/// `{beginning}` how it begins, `{model}` its own name, `{result}` what
/// the last tool answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AnswerScript {
    /// The last user text, unchanged.
    Echo {},
    /// So many tokens of filler.
    Lorem {
        /// Exact number of tokens.
        tokens: u64,
    },
    /// This text.
    Text {
        /// May have the names in braces above.
        text: String,
    },
    /// The first case whose text is in the prompt.
    Cases {
        /// Tried in order.
        cases: Vec<Case>,
        /// When none fits.
        otherwise: String,
    },
    /// Declines to answer, in the way of its provider.
    Refusal {
        /// What it says; may be empty.
        text: String,
    },
    /// These tool calls, whatever tools were offered; once they were answered, the text.
    Calls {
        /// In parallel.
        calls: Vec<ScriptedCall>,
        /// After the results.
        #[serde(default)]
        text: String,
    },
    /// Works in steps: one tool call each, the next when the result of the last is there.
    Agent {
        /// In order; one whose tool was not offered is left out.
        steps: Vec<Step>,
        /// After the last step.
        text: String,
    },
}

/// See [`AnswerScript::Calls`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedCall {
    /// The tool's name.
    pub name: String,
    /// An object; a text is sent as it is, valid JSON or not. Absent: no arguments.
    #[serde(default)]
    pub arguments: Option<Value>,
}

/// One step of an agent. In texts of the arguments the names in braces are filled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Names of tools that fit, separated by `|`, each with `*` for anything, in any case:
    /// `"Write|create_file|*edit*"`. Absent: any tool that can do what `write` asks.
    #[serde(default)]
    pub tool: Option<String>,
    /// The arguments: an object, of which the tool gets the members that it knows, or a text for
    /// a tool that takes text.
    #[serde(default)]
    pub arguments: Option<Value>,
    /// Instead of arguments: a file to be written. The arguments are made for the tool, be it one
    /// that writes files, one that takes patches, or a shell.
    #[serde(default)]
    pub write: Option<WriteFile>,
    /// Said before the call.
    #[serde(default)]
    pub say: Option<String>,
    /// Called together with the next step.
    #[serde(default)]
    pub with_next: bool,
}

/// See [`Step::write`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteFile {
    /// Where.
    pub path: String,
    /// All of its text.
    pub text: String,
}

impl Default for AnswerScript {
    fn default() -> Self {
        Self::Text { text: "You said: {prompt}".to_owned() }
    }
}

/// See [`AnswerScript::Cases`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Looked for in the last user text.
    pub contains: String,
    /// May have names in braces.
    pub text: String,
}

/// What a model does with tools that it may choose itself. Forced ones are always called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolCalls {
    /// Calls the first.
    #[default]
    First,
    /// Calls each once, in parallel.
    All,
    /// Answers in text.
    Never,
}
