//! Who keeps to a JSON schema, where the source leaves it open: by the providers' own documents,
//! one entry each. What the source says counts before them; what neither says is no.

/// Models of one seller of which its documents say that an answer can be held to a schema.
struct Documented {
    /// The seller, by the catalogue's name.
    seller: &'static str,
    /// How the names of these models begin there; `""` for all that it serves.
    begin: &'static [&'static str],
    /// Beginnings of those that are none of them all the same.
    but: &'static [&'static str],
}

/// Read in October 2026 in the guides to structured output of `platform.claude.com` (and the note
/// of its release for Opus 4.1), `docs.cloud.google.com` (Claude, and Gemini, on Vertex),
/// `learn.microsoft.com` (Azure OpenAI), `docs.mistral.ai`, `docs.cohere.com`,
/// `docs.fireworks.ai`, `docs.perplexity.ai` and `docs.x.ai`. Amazon's models are in the source:
/// Bedrock refuses a schema for Claude Opus 4.7 and 4.8, which the maker itself takes.
const DOCUMENTED: [Documented; 8] = [
    Documented {
        seller: "anthropic",
        begin: &[
            "claude-opus-4-1",
            "claude-opus-4-5",
            "claude-opus-4-6",
            "claude-opus-4-7",
            "claude-opus-4-8",
            "claude-opus-5",
            "claude-sonnet-4-5",
            "claude-sonnet-4-6",
            "claude-sonnet-5",
            "claude-haiku-4-5",
            "claude-fable-5",
        ],
        but: &[],
    },
    Documented {
        seller: "azure",
        begin: &["codex-mini", "gpt-4.1", "gpt-4o-mini", "gpt-5", "o1", "o3", "o4-mini"],
        but: &["gpt-5-chat", "o1-mini"],
    },
    Documented {
        seller: "cohere",
        begin: &["command-a-03-2025", "command-a-plus", "command-r-08", "command-r-plus-08"],
        but: &[],
    },
    Documented { seller: "fireworks-ai", begin: &[""], but: &[] },
    Documented {
        seller: "google-vertex",
        begin: &[
            "claude-opus-4-6",
            "claude-opus-4-7",
            "claude-sonnet-4-6",
            "gemini-2.5-flash",
            "gemini-2.5-pro",
        ],
        but: &["gemini-2.5-flash-image"],
    },
    Documented { seller: "mistral", begin: &[""], but: &["codestral-mamba"] },
    Documented { seller: "perplexity", begin: &["sonar"], but: &[] },
    Documented { seller: "xai", begin: &["grok-2", "grok-3", "grok-4"], but: &[] },
];

/// Whether the seller's documents say that this model keeps to a schema.
pub(super) fn documented(seller: &str, wire: &str) -> bool {
    let begins = |list: &[&str]| list.iter().any(|begin| wire.starts_with(begin));
    let known = DOCUMENTED.iter().filter(|known| known.seller == seller);
    known.into_iter().any(|known| begins(known.begin) && !begins(known.but))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_documents_say_is_said_of_those_models_alone() {
        for (seller, wire, expected) in [
            ("anthropic", "claude-sonnet-4-5-20250929", true),
            ("anthropic", "claude-opus-4-8", true),
            ("anthropic", "claude-sonnet-4-20250514", false),
            ("anthropic", "claude-3-7-sonnet-20250219", false),
            ("google-vertex", "claude-opus-4-7@default", true),
            ("google-vertex", "claude-opus-4@20250514", false),
            ("amazon-bedrock", "anthropic.claude-opus-4-8", false),
            ("azure", "o1", true),
            ("azure", "o1-mini", false),
            ("mistral", "ministral-3b-latest", true),
            ("groq", "llama-3.3-70b-versatile", false),
        ] {
            assert_eq!(documented(seller, wire), expected, "{seller} {wire}");
        }
    }
}
