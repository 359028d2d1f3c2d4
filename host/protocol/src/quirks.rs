//! How a provider differs from the dialect it speaks. Data that the host fills in from its table of
//! providers and models; encoders obey it. Never knows a provider by name.

/// One provider's, or one model's, ways. The default is the dialect as its inventor documents it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quirks {
    /// OpenAI chat: how thinking is asked for.
    pub reasoning: ReasoningField,
    /// OpenAI chat: what `response_format` may be. Anthropic: anything but `Schema` is a model
    /// without `output_config.format` and strict tools.
    pub structured: Structured,
    /// OpenAI chat: `stream_options` is refused; usage comes without being asked for.
    pub no_stream_options: bool,
    /// OpenAI chat: instructions have the role `developer`.
    pub developer_role: bool,
    /// OpenAI chat: the word for a tool call that must be made is `any`, not `required`.
    pub any_tool_choice: bool,
    /// OpenAI chat: earlier thinking is sent back as `reasoning_content`.
    pub replays_reasoning: bool,
    /// OpenAI chat: tools are functions only. Custom ones become functions with one string, and a
    /// choice among several tools leaves the others out of the list.
    pub functions_only: bool,
    /// OpenAI chat: where signatures of earlier thinking are sent back.
    pub signatures: SignatureField,
    /// Members of the request that the provider refuses, by their names in its dialect; they are
    /// left out.
    pub refused: Vec<String>,
    /// OpenAI's: members that are refused as well while the model thinks.
    pub refused_thinking: Vec<String>,
    /// OpenAI's: it thinks unless the effort is `none`, which it takes.
    pub thinks_unasked: bool,
    /// Anthropic: the model decides how long it thinks (`thinking.type = "adaptive"`, with
    /// `output_config.effort`); a budget is refused.
    pub adaptive_thinking: bool,
    /// Anthropic: the betas that the provider knows, and no other is sent. `None`: it gets them
    /// all, as they came.
    pub betas: Option<Vec<String>>,
    /// Gemini: `thinkingLevel` in place of `thinkingBudget`.
    pub thinking_level: bool,
    /// Where the body goes beside the provider's own API.
    pub envelope: Envelope,
}

impl Quirks {
    /// Whether a member of that name is refused, by what the request says of thinking.
    pub fn refuses(&self, name: &str, wish: ThinkingWish) -> bool {
        let listed = |list: &[String]| list.iter().any(|refused| refused == name);
        let thinks = match wish {
            ThinkingWish::Unsaid => self.thinks_unasked,
            ThinkingWish::Asked => true,
            ThinkingWish::Declined => false,
        };
        listed(&self.refused) || (thinks && listed(&self.refused_thinking))
    }

    /// Whether every member is taken.
    pub fn takes_all(&self) -> bool {
        self.refused.is_empty() && self.refused_thinking.is_empty()
    }
}

/// What a request says of thinking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ThinkingWish {
    /// Nothing: the model does as it usually does.
    #[default]
    Unsaid,
    /// An effort other than `none`, or a budget.
    Asked,
    /// The effort is `none`.
    Declined,
}

impl ThinkingWish {
    /// Of an effort by its name.
    pub fn of_effort(effort: &str) -> Self {
        if effort == "none" { Self::Declined } else { Self::Asked }
    }
}

/// How an OpenAI-compatible provider is asked to think.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReasoningField {
    /// `reasoning_effort: "low"`.
    #[default]
    Effort,
    /// `reasoning: {"effort"}` or `{"max_tokens"}`, as OpenRouter.
    Object,
    /// `thinking: {"type": "enabled"}`, as DeepSeek, Zhipu and Moonshot.
    ThinkingType,
    /// `enable_thinking` and `thinking_budget`, as Alibaba.
    EnableThinking,
    /// `chat_template_kwargs: {"enable_thinking"}`, as vLLM and SGLang.
    ChatTemplate,
    /// Not at all.
    Unknown,
}

/// Where an OpenAI-compatible provider takes signatures of thinking back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SignatureField {
    /// Nowhere: it may refuse members that it does not know.
    #[default]
    Nowhere,
    /// `reasoning_details`, as OpenRouter.
    Details,
    /// `extra_content.google.thought_signature` of tool calls, as Google's compatible endpoint.
    Google,
}

/// What an OpenAI-compatible provider knows of structured output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Structured {
    /// `json_schema` and `json_object`.
    #[default]
    Schema,
    /// `json_object` only: a schema is put into the instructions.
    Object,
    /// Nothing: both are put into the instructions.
    Nothing,
}

/// Clouds that take a provider's body with another address and version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Envelope {
    /// The provider's own API.
    #[default]
    Plain,
    /// Anthropic on Google Vertex: no `model`, `anthropic_version: "vertex-2023-10-16"`.
    Vertex,
    /// Anthropic on Amazon Bedrock: no `model`, no `stream`, `anthropic_version:
    /// "bedrock-2023-05-31"`, betas in the body.
    Bedrock,
}
