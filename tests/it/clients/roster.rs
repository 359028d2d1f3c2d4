//! Which clients are driven, and with what. A row of the matrix each.

use turnpike_simulate::Dialect;

/// What runs a client's script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runtime {
    Python,
    /// Python with LlamaIndex, which asks for older packages than the others.
    LlamaIndex,
    Node,
}

/// One client in one mode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    /// Names it in the environment and in messages.
    pub(super) id: &'static str,
    /// What the matrix calls it; versions are added.
    pub(super) label: &'static str,
    pub(super) runtime: Runtime,
    /// Below `tests/clients`.
    pub(super) script: &'static str,
    /// What it speaks.
    pub(super) dialect: Dialect,
}

const fn client(
    id: &'static str,
    label: &'static str,
    runtime: Runtime,
    script: &'static str,
    dialect: Dialect,
) -> Client {
    Client { id, label, runtime, script, dialect }
}

use Dialect::OpenAiResponses as Responses;
use Dialect::{AnthropicMessages as Messages, Gemini, OpenAiChat as Chat};
use Runtime::{LlamaIndex, Node, Python};

/// The slow ones first, so that the last to end is not one that began last.
pub(super) const CLIENTS: [Client; 17] = [
    client("claude", "Claude Code", Python, "python/claude_code.py", Messages),
    client("codex", "Codex", Python, "python/codex.py", Responses),
    client("langgraph", "LangGraph", Python, "python/langgraph_agent.py", Chat),
    client(
        "langchain-openai-chat",
        "LangChain, OpenAI Chat",
        Python,
        "python/langchain_openai_chat.py",
        Chat,
    ),
    client(
        "langchain-openai-responses",
        "LangChain, OpenAI Responses",
        Python,
        "python/langchain_openai_responses.py",
        Responses,
    ),
    client(
        "langchain-anthropic",
        "LangChain, Anthropic",
        Python,
        "python/langchain_anthropic_messages.py",
        Messages,
    ),
    client("llama-index", "LlamaIndex, OpenAI", LlamaIndex, "python/llama_index_openai.py", Chat),
    client("openai-python-chat", "OpenAI Python, Chat", Python, "python/openai_chat.py", Chat),
    client(
        "openai-python-responses",
        "OpenAI Python, Responses",
        Python,
        "python/openai_responses.py",
        Responses,
    ),
    client(
        "anthropic-python",
        "Anthropic Python",
        Python,
        "python/anthropic_messages.py",
        Messages,
    ),
    client("google-genai", "Google Gen AI Python", Python, "python/google_genai.py", Gemini),
    client("openai-node-chat", "OpenAI Node, Chat", Node, "node/openai-chat.js", Chat),
    client(
        "openai-node-responses",
        "OpenAI Node, Responses",
        Node,
        "node/openai-responses.js",
        Responses,
    ),
    client("anthropic-node", "Anthropic Node", Node, "node/anthropic-messages.js", Messages),
    client("ai-openai-chat", "AI SDK, OpenAI Chat", Node, "node/ai-openai-chat.js", Chat),
    client(
        "ai-openai-responses",
        "AI SDK, OpenAI Responses",
        Node,
        "node/ai-openai-responses.js",
        Responses,
    ),
    client("ai-anthropic", "AI SDK, Anthropic", Node, "node/ai-anthropic.js", Messages),
];

/// Vectors, which no other client asks for; no row of the matrix, since they are no conversation.
pub(super) const EMBEDDINGS: Client = client(
    "openai-embeddings",
    "OpenAI Python, Embeddings",
    Python,
    "python/openai_embeddings.py",
    Chat,
);

/// The model that the gateway chooses; no row of the matrix, since it is no protocol's.
pub(super) const AUTO: Client =
    client("openai-auto", "OpenAI Python, auto", Python, "python/openai_auto.py", Chat);
