//! Why an answer ended, in Google's words and the neutral ones.

use crate::neutral::Finish;

/// Reads a `finishReason`; `None` for the word that says nothing.
pub(super) fn read(word: &str) -> Option<Finish> {
    Some(match word {
        "" | "FINISH_REASON_UNSPECIFIED" => return None,
        "STOP" => Finish::Stop,
        "MAX_TOKENS" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Finish::ContentFilter,
        _ => Finish::Other,
    })
}

/// Whether the model has failed rather than ended: it wrote a call that nobody can read.
pub(super) fn is_failure(word: &str) -> bool {
    matches!(word, "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "MALFORMED_RESPONSE")
}

/// The word for a reason. Calls of tools end with `STOP` here.
pub(super) fn write(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Refusal | Finish::ContentFilter => "SAFETY",
        Finish::Pause | Finish::Other => "OTHER",
    }
}
