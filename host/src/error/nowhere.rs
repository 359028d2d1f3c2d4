//! What to tell somebody who asks at an address where nothing is: most often the base URL has a
//! part too much or too little for the client, or the client asks for what is not offered here.
//! Knows addresses of clients only; decides nothing.

/// What clients ask for, without a version, and the address of it here.
const SERVED: [(&str, &str); 6] = [
    ("/chat/completions", "POST /v1/chat/completions"),
    ("/responses", "POST /v1/responses"),
    ("/messages/count_tokens", "POST /v1/messages/count_tokens"),
    ("/messages", "POST /v1/messages"),
    ("/embeddings", "POST /v1/embeddings"),
    ("/models", "GET /v1/models"),
];

/// Beginnings, behind `/v1`, of what providers offer and the gateway does not.
const NOT_OFFERED: [&str; 26] = [
    "/images",
    "/audio",
    "/videos",
    "/files",
    "/uploads",
    "/batches",
    "/messages/batches",
    "/fine_tuning",
    "/moderations",
    "/rerank",
    "/completions",
    "/assistants",
    "/threads",
    "/vector_stores",
    "/realtime",
    "/containers",
    "/conversations",
    "/evals",
    "/organization",
    "/responses/",
    "/engines",
    "/cachedContents",
    "/tunedModels",
    "/corpora",
    "/fileSearchStores",
    "/interactions",
];
/// Bytes of an operation of Google's: the longest has about thirty.
const OPERATION_BYTES_MAX: usize = 40;

/// What Google's dialect has here.
const GOOGLE: &str = "POST /v1beta/models/MODEL:generateContent, :streamGenerateContent and \
                      :countTokens";

/// The operation that a path asks of a model in Google's dialect, behind its last colon. The names
/// of some models have one, too: `:free`.
pub(crate) fn operation(path: &str) -> Option<&str> {
    let prefixes = ["/v1beta/models/", "/v1/models/"];
    let rest = prefixes.iter().find_map(|prefix| path.strip_prefix(prefix))?;
    let (_, word) = rest.rsplit_once(':')?;
    let letters = word.bytes().all(|byte| byte.is_ascii_alphabetic());
    let named = word == "predict" || word.bytes().any(|byte| byte.is_ascii_uppercase());
    (letters && named && word.len() <= OPERATION_BYTES_MAX).then_some(word)
}

/// What the caller does next; ends a sentence.
pub(super) fn advice(path: &str) -> String {
    let path = path.trim_end_matches('/');
    let google = path.strip_prefix("/v1beta");
    let rest = google.or_else(|| path.strip_prefix("/v1")).unwrap_or(path);
    // The base URL's own version in front of the client's.
    let doubled = ["/v1/v1beta", "/v1/v1", "/v1beta/v1beta"];
    if let Some(doubled) = doubled.into_iter().find(|doubled| path.starts_with(doubled)) {
        let client = match doubled {
            "/v1/v1" => "this client adds /v1 itself, as Anthropic's does",
            _ => "this client adds /v1beta itself, as Google's does",
        };
        let version = doubled.rsplit('/').next().unwrap_or_default();
        let (base, end) = (doubled.len() - version.len() - 1, path.len());
        let meant = path.get(base..end).unwrap_or_default();
        let meant: String = meant.chars().take(100).collect();
        return format!("{client}: leave it out of the base URL, and {meant} is asked for");
    }
    if let Some(word) = operation(path) {
        let instead = match word.to_ascii_lowercase().contains("embed") {
            true => "vectors are at POST /v1/embeddings",
            false => "ask the provider itself for it",
        };
        return format!("{word} is not offered here: a model takes {GOOGLE}; {instead}");
    }
    let served = |tail: &str| SERVED.into_iter().find(|(known, _)| *known == tail);
    if let Some((_, here)) = served(path) {
        return format!("use {here}: this client's base URL has to end in /v1");
    }
    let begins = |known: &&str| {
        let behind = rest.strip_prefix(*known);
        behind.is_some_and(|more| more.is_empty() || more.starts_with('/') || known.ends_with('/'))
    };
    if NOT_OFFERED.iter().any(begins) {
        return "it is not offered here: ask the provider itself, or see GET /v1/models for what \
                is"
        .to_owned();
    }
    if google.is_some() {
        return format!(
            "use {GOOGLE}, or GET /v1beta/models; Google's clients add /v1beta themselves"
        );
    }
    "use POST /v1/chat/completions, /v1/responses, /v1/messages, /v1/embeddings or \
     /v1beta/models/MODEL:generateContent, or GET /v1/models; the base URL ends in /v1 for \
     OpenAI's clients, and has no version for Anthropic's and Google's"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::{advice, operation};

    #[test]
    fn each_client_is_told_what_its_base_url_lacks_or_has_too_much() {
        let doubled = advice("/v1/v1/messages");
        assert!(doubled.contains("leave it out of the base URL"), "{doubled}");
        assert!(doubled.contains(", and /v1/messages is asked for"), "{doubled}");
        let google = advice("/v1beta/v1beta/models/x:generateContent");
        assert!(google.contains("and /v1beta/models/x:generateContent is"), "{google}");
        for (path, here) in [
            ("/chat/completions", "POST /v1/chat/completions: this client's base URL has to end"),
            ("/messages", "POST /v1/messages"),
            ("/models/", "GET /v1/models"),
        ] {
            assert!(advice(path).contains(here), "{path}: {}", advice(path));
        }
        for path in [
            "/v1/images/generations",
            "/v1/audio/speech",
            "/v1/files",
            "/v1/files/file-1/content",
            "/v1/messages/batches",
            "/v1/completions",
            "/v1/responses/resp_1",
            "/moderations",
            "/v1beta/files",
            "/v1beta/cachedContents/x",
        ] {
            assert!(advice(path).starts_with("it is not offered here"), "{path}");
        }
        for path in ["/", "", "/v1", "/v1/filesystem", "/v2/chat", "/ü"] {
            assert!(advice(path).starts_with("use POST /v1/chat/completions,"), "{path}");
            assert!(advice(path).contains("/v1beta/models/MODEL:generateContent"), "{path}");
        }
    }

    #[test]
    fn what_google_offers_and_the_gateway_does_not_is_told_by_its_name() {
        for (path, said) in [
            ("/v1beta/models/text-embedding-3-small:embedContent", "POST /v1/embeddings"),
            ("/v1beta/models/x:batchEmbedContents", "batchEmbedContents is not offered here"),
            ("/v1/models/a/b:generateImages", "ask the provider itself"),
            ("/v1beta/models/x:predict", ":generateContent, :streamGenerateContent"),
            ("/v1beta/nothing", "GET /v1beta/models"),
        ] {
            assert!(advice(path).contains(said), "{path}: {}", advice(path));
        }
        for path in ["/v1beta/models/a/b:free", "/v1beta/models/llama3.2:3b", "/v1/models/x", "/x"]
        {
            assert_eq!(operation(path), None, "{path}");
        }
    }
}
