//! Who made a model and what it is called, whoever sells it. Sellers spell the same model in many
//! ways (`us.anthropic.claude-sonnet-5`, `anthropic/claude-sonnet-5`, `claude-sonnet-5@default`);
//! the catalogue id is one.

/// A model's place in the catalogue, worked out from one seller's name for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) vendor: String,
    /// The part of the catalogue id after the vendor.
    pub(super) model: String,
    /// Region prefix that the seller's name carried.
    pub(super) region: Option<String>,
}

/// Names that sellers use for a maker, and ours.
const MAKERS: [(&str, &str); 24] = [
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("google", "google"),
    ("meta", "meta"),
    ("meta-llama", "meta"),
    ("x-ai", "xai"),
    ("xai", "xai"),
    ("deepseek-ai", "deepseek"),
    ("deepseek", "deepseek"),
    ("qwen", "alibaba"),
    ("alibaba", "alibaba"),
    ("z-ai", "zhipuai"),
    ("zai", "zhipuai"),
    ("zai-org", "zhipuai"),
    ("mistralai", "mistral"),
    ("mistral", "mistral"),
    ("moonshot", "moonshotai"),
    ("minimaxai", "minimax"),
    ("stepfun-ai", "stepfun"),
    ("sarvamai", "sarvam"),
    ("bytedance-seed", "bytedance"),
    ("ibm-granite", "ibm"),
    ("cohere", "cohere"),
    ("amazon", "amazon"),
];

/// How a maker's names begin, where the seller doesn't say who made it.
const BEGINNINGS: [(&str, &str); 44] = [
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("codex-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "google"),
    ("gemma", "google"),
    ("llama", "meta"),
    ("meta-llama", "meta"),
    ("cerebras-llama", "meta"),
    ("groq-llama", "meta"),
    ("grok-", "xai"),
    ("deepseek", "deepseek"),
    ("cogito", "deepcogito"),
    ("qwen", "alibaba"),
    ("qwq", "alibaba"),
    ("qvq", "alibaba"),
    ("glm-", "zhipuai"),
    ("zai-glm", "zhipuai"),
    ("mistral", "mistral"),
    ("ministral", "mistral"),
    ("magistral", "mistral"),
    ("codestral", "mistral"),
    ("devstral", "mistral"),
    ("labs-devstral", "mistral"),
    ("pixtral", "mistral"),
    ("mixtral", "mistral"),
    ("open-mixtral", "mistral"),
    ("open-mistral", "mistral"),
    ("voxtral", "mistral"),
    ("kimi-", "moonshotai"),
    ("minimax-", "minimax"),
    ("command-", "cohere"),
    ("cohere-", "cohere"),
    ("c4ai-", "cohere"),
    ("phi-", "microsoft"),
    ("nova-", "amazon"),
    ("nemotron", "nvidia"),
    ("sonar", "perplexity"),
    ("rnj-", "essentialai"),
];

/// Sellers that are makers under another name.
const SELLERS: [(&str, &str); 3] = [("llama", "meta"), ("zai", "zhipuai"), ("azure", "microsoft")];

/// Region prefixes of Amazon Bedrock's inference profiles.
const REGIONS: [&str; 6] = ["us", "eu", "au", "jp", "apac", "global"];

/// Ends of names that say how a seller runs a model, not which it is.
const RUNNING: [&str; 6] = ["-maas", "@default", "-versatile", "-fp8", "-turbo-fp8", "-tput"];

/// Works out the catalogue id of `wire`, a name as the seller `provider` spells it.
pub(super) fn identify(provider: &str, wire: &str) -> Identity {
    let lower = wire.to_ascii_lowercase();
    let (region, name) = match lower.split_once('.') {
        Some((region, rest)) if REGIONS.contains(&region) => (Some(region.to_owned()), rest),
        _ => (None, lower.as_str()),
    };
    let (maker, name) = maker(provider, name);
    let name = unspell(provider, name);
    let vendor = maker.or_else(|| known(&BEGINNINGS, &name, |begin, name| name.starts_with(begin)));
    let vendor = vendor.unwrap_or_else(|| {
        known(&SELLERS, provider, |seller, name| seller == name)
            .unwrap_or_else(|| provider.to_owned())
    });
    let model = respell(&vendor, name);
    Identity { vendor, model, region }
}

/// The maker that the name itself states, and the rest of the name.
fn maker<'a>(provider: &str, name: &'a str) -> (Option<String>, &'a str) {
    let ours = |maker: &str| {
        known(&MAKERS, maker, |theirs, maker| theirs == maker).unwrap_or_else(|| maker.to_owned())
    };
    if let Some((path, last)) = name.rsplit_once('/') {
        // Fireworks' names are paths of its own account.
        let maker = path.rsplit('/').next_back().unwrap_or(path);
        return (if provider == "fireworks-ai" { None } else { Some(ours(maker)) }, last);
    }
    match name.split_once('.') {
        Some((maker, rest)) if provider == "amazon-bedrock" => (Some(ours(maker)), rest),
        _ => (None, name),
    }
}

fn known(table: &[(&str, &str)], name: &str, fits: fn(&str, &str) -> bool) -> Option<String> {
    table.iter().find(|(theirs, _)| fits(theirs, name)).map(|(_, ours)| (*ours).to_owned())
}

/// Undoes what one seller does to every name.
fn unspell(provider: &str, name: &str) -> String {
    let mut name = name.to_owned();
    for end in RUNNING {
        if let Some(rest) = name.strip_suffix(end) {
            name = rest.to_owned();
        }
    }
    if provider == "amazon-bedrock" {
        name = strip_revision(&name);
    }
    if provider == "fireworks-ai" {
        name = digit_dot(&name, 'p');
    }
    if provider == "llama" {
        for seller in ["cerebras-", "groq-"] {
            name =
                name.strip_prefix(seller).map_or(name.clone(), |rest| format!("{rest}-{seller}"));
        }
        name = name.trim_end_matches('-').to_owned();
    }
    name.replace('@', "-")
}

/// Takes off Bedrock's revision: `-v1:0`, `-v1`, `-1:0`.
fn strip_revision(name: &str) -> String {
    let Some((stem, last)) = name.rsplit_once('-') else { return name.to_owned() };
    let (revision, part) = last.split_once(':').unwrap_or((last, "0"));
    let digits = revision.strip_prefix('v').unwrap_or(revision);
    let counted = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let short = digits.len() <= 2 && counted(digits) && counted(part);
    let marked = revision.starts_with('v') || last.contains(':');
    if short && marked { stem.to_owned() } else { name.to_owned() }
}

/// One spelling of a maker's own names.
fn respell(vendor: &str, name: String) -> String {
    match vendor {
        "anthropic" => {
            let name = name.replace('.', "-");
            if name.ends_with("-4") { format!("{name}-0") } else { name }
        }
        "deepseek" if !name.starts_with("deepseek") => format!("deepseek-{name}"),
        "alibaba" => name.replace("qwen2-5", "qwen2.5").replace("qwen-2.5", "qwen2.5"),
        "zhipuai" => name.strip_prefix("zai-").map_or(name.clone(), str::to_owned),
        "cohere" => match name.strip_prefix("cohere-") {
            Some(rest) if rest.starts_with("command") => rest.to_owned(),
            _ => name,
        },
        "meta" => respell_llama(&name),
        _ => name,
    }
}

fn respell_llama(name: &str) -> String {
    let mut name = name.strip_prefix("meta-").unwrap_or(name).replace("-128e", "");
    name = name.replace("-16e", "").replace("llama3-3-", "llama-3.3-");
    name = name.replace("llama3-1-", "llama-3.1-").replace("llama4-", "llama-4-");
    if let Some(stem) = name.strip_suffix("-instruct-turbo") {
        name = format!("{stem}-instruct");
    }
    if let Some(stem) = name.strip_suffix("-instant") {
        name = format!("{stem}-instruct");
    }
    let sized = name.ends_with("-70b") || name.ends_with("-8b");
    if sized { format!("{name}-instruct") } else { name }
}

/// `glm-5p1` is `glm-5.1`: a letter between two digits stands for the point.
fn digit_dot(name: &str, letter: char) -> String {
    let chars: Vec<char> = name.chars().collect();
    let digit = |at: Option<usize>| at.and_then(|i| chars.get(i)).is_some_and(char::is_ascii_digit);
    let dotted = chars.iter().enumerate().map(|(i, c)| {
        let between = digit(i.checked_sub(1)) && digit(i.checked_add(1));
        if *c == letter && between { '.' } else { *c }
    });
    dotted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sellers_spellings_meet_in_one_catalogue_id() {
        let cases = [
            ("openai", "gpt-5.4", "openai/gpt-5.4"),
            ("azure", "gpt-5.4", "openai/gpt-5.4"),
            ("openrouter", "openai/gpt-5.4", "openai/gpt-5.4"),
            ("amazon-bedrock", "openai.gpt-5.4", "openai/gpt-5.4"),
            ("amazon-bedrock", "openai.gpt-oss-120b-1:0", "openai/gpt-oss-120b"),
            ("anthropic", "claude-sonnet-5", "anthropic/claude-sonnet-5"),
            ("amazon-bedrock", "eu.anthropic.claude-sonnet-5", "anthropic/claude-sonnet-5"),
            ("google-vertex", "claude-sonnet-5@default", "anthropic/claude-sonnet-5"),
            ("openrouter", "anthropic/claude-opus-4.8", "anthropic/claude-opus-4-8"),
            (
                "amazon-bedrock",
                "us.anthropic.claude-haiku-4-5-20251001-v1:0",
                "anthropic/claude-haiku-4-5-20251001",
            ),
            ("fireworks-ai", "accounts/fireworks/models/glm-5p1", "zhipuai/glm-5.1"),
            ("togetherai", "zai-org/GLM-5.1", "zhipuai/glm-5.1"),
            ("cerebras", "zai-glm-4.7", "zhipuai/glm-4.7"),
            ("groq", "llama-3.3-70b-versatile", "meta/llama-3.3-70b-instruct"),
            ("groq", "qwen/qwen3-32b", "alibaba/qwen3-32b"),
            ("amazon-bedrock", "meta.llama3-3-70b-instruct-v1:0", "meta/llama-3.3-70b-instruct"),
            (
                "togetherai",
                "meta-llama/Llama-3.3-70B-Instruct-Turbo",
                "meta/llama-3.3-70b-instruct",
            ),
            ("amazon-bedrock", "us.deepseek.r1-v1:0", "deepseek/deepseek-r1"),
            ("minimax", "MiniMax-M2.5", "minimax/minimax-m2.5"),
            ("azure", "phi-4", "microsoft/phi-4"),
            ("openrouter", "openai/gpt-oss-120b:free", "openai/gpt-oss-120b:free"),
        ];
        for (provider, wire, id) in cases {
            let found = identify(provider, wire);
            assert_eq!(format!("{}/{}", found.vendor, found.model), id, "{provider} {wire}");
        }
    }

    #[test]
    fn regions_are_kept_apart() {
        let region = |wire: &str| identify("amazon-bedrock", wire).region;
        assert_eq!(region("eu.anthropic.claude-sonnet-5").as_deref(), Some("eu"));
        assert_eq!(region("anthropic.claude-sonnet-5"), None);
    }
}
