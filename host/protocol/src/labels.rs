//! Which strings of a request's frame are plain enough to be names, so that they need not be
//! scanned: a scan costs more than a look, and a request can hold thousands of names. Whatever is
//! not surely a name is a text.

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 48;
/// Digits of a name: `image_url_2`, `sha256`, `2024`; no number of a person or an account.
const NAME_DIGITS_MAX: usize = 6;
/// What credentials in use begin with: a name that begins so is looked at.
const CREDENTIAL_HEADS: [&str; 20] = [
    "AKIA",
    "ASIA",
    "AIza",
    "sk-",
    "sk_",
    "pk_",
    "rk_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xox",
    "hf_",
    "npm_",
    "shpat_",
    "dop_v1_",
    "eyJ",
];
/// What ids that a provider made begin with: of tool calls, and of the items, files and answers
/// that a conversation names.
const ID_PREFIXES: [&str; 33] = [
    "call_",
    "toolu_",
    "chatcmpl-tool-",
    "fc_",
    "fco_",
    "ctc_",
    "ctco_",
    "srvtoolu_",
    "mcptoolu_",
    "msg_",
    "rs_",
    "ws_",
    "fs_",
    "ig_",
    "ci_",
    "cu_",
    "cuo_",
    "lsh_",
    "sh_",
    "apc_",
    "tsc_",
    "cmp_",
    "mcp_",
    "mcpl_",
    "mcpr_",
    "resp_",
    "conv_",
    "pmpt_",
    "file-",
    "file_",
    "cntr_",
    "container_",
    "skill_",
];
/// Bytes of such an id.
const ID_BYTES_MAX: usize = 64;
/// Digits in a row in such an id, which is random: more could be an account's.
const ID_DIGITS_MAX: usize = 8;
/// Letters that tell an id written in hexadecimal from a number.
const ID_LETTERS_MIN: usize = 4;
/// Bytes of a function's name; providers take 64 or 128.
const FUNCTION_BYTES_MAX: usize = 128;
/// Bytes of a media type: those of office documents have 73.
const MEDIA_TYPE_BYTES_MAX: usize = 100;
/// Digits from which a number may be that of a card, an account or a telephone.
const NUMBER_DIGITS_MIN: usize = 12;

/// Whether `text` can only be the name of a member, a type or the like: letters, `_`, `-`, `$` and
/// a few digits. Neither an address nor a number that means somebody, nor a credential of the forms
/// in use, has this form; a person's bare name has.
pub(crate) fn is_name(text: &str) -> bool {
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let secret = CREDENTIAL_HEADS.iter().any(|head| text.starts_with(head));
    text.len() <= NAME_BYTES_MAX
        && digits <= NAME_DIGITS_MAX
        && text.as_bytes().iter().all(belongs)
        && !secret
}

/// Whether `text` is an id as providers make them.
pub(crate) fn is_call_id(text: &str) -> bool {
    let Some(rest) = ID_PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) else {
        return is_name(text);
    };
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let longest = if is_hexadecimal(rest) { NUMBER_DIGITS_MIN - 1 } else { ID_DIGITS_MAX };
    let mut runs = rest.split(|letter: char| !letter.is_ascii_digit());
    rest.len() <= ID_BYTES_MAX
        && rest.as_bytes().iter().all(belongs)
        && runs.all(|run| run.len() <= longest)
}

/// Digits of an id that is hexadecimal throughout are as random as its letters, and longer in a
/// row.
fn is_hexadecimal(rest: &str) -> bool {
    let letters = rest.bytes().filter(|byte| matches!(byte, b'a'..=b'f')).count();
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    letters >= ID_LETTERS_MIN && letters + digits == rest.len()
}

/// Whether `text` is a name with the date of a version at its end, as Anthropic gives its tools and
/// betas: `web_search_20250305`, `computer-use-2025-01-24`.
pub(crate) fn is_version(text: &str) -> bool {
    let dated = |name: &str, date: &str| {
        let mut digits = date.bytes();
        date.starts_with("20") && digits.all(|byte| byte.is_ascii_digit()) && is_name(name)
    };
    let compact = text
        .rsplit_once(['_', '-'])
        .is_some_and(|(name, date)| date.len() == 8 && dated(name, date));
    compact || is_name(text) || {
        let at = text.len().saturating_sub(10);
        let tail = text.get(at..).unwrap_or_default();
        let name = text.get(..at).unwrap_or_default();
        let dashed = tail.bytes().enumerate().all(|(i, byte)| (byte == b'-') == matches!(i, 4 | 7));
        tail.len() == 10 && dashed && dated(name, &tail.replace('-', ""))
    }
}

/// Whether `text` can be the name of a function. Providers take only these letters, so that nothing
/// else could reach a model, and nothing else could stand in a name's place.
pub(crate) fn is_function(text: &str) -> bool {
    let belongs =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':' | b'/');
    text.len() <= FUNCTION_BYTES_MAX && text.bytes().all(belongs)
}

/// Whether `text` is the path of a member or of a resource: names or ids with `.` or `/` between.
pub(crate) fn is_path(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits <= ID_DIGITS_MAX && text.split(['.', '/']).all(is_call_id)
}

/// Whether `text` is a name, or says where in a schema another one stands, or which standard it is
/// of: `#/$defs/person`, `https://json-schema.org/draft/2020-12/schema`.
pub(crate) fn is_reference(text: &str) -> bool {
    let standards = ["http://json-schema.org/", "https://json-schema.org/"];
    let rest = standards.iter().find_map(|standard| text.strip_prefix(standard)).unwrap_or(text);
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    digits <= NAME_DIGITS_MAX && rest.trim_matches('#').split('/').all(is_name)
}

/// Whether `text` is a media type, such as `application/pdf`.
pub(crate) fn is_media_type(text: &str) -> bool {
    let belongs =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'+' | b'-' | b'_');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    text.len() <= MEDIA_TYPE_BYTES_MAX && digits <= NAME_DIGITS_MAX && text.bytes().all(belongs)
}

/// Whether a JSON number is long enough to be looked at.
pub(crate) fn is_long_number(raw: &str) -> bool {
    raw.bytes().filter(u8::is_ascii_digit).count() >= NUMBER_DIGITS_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_what_may_be_personal() {
        for name in ["type", "image_url_2", "$defs", "x-vendor-note", "sha256", "createdAt"] {
            assert!(is_name(name), "{name}");
        }
        for text in ["jane@example.com", "4111111111111111", "+49 30 901820", "größe", "a b"] {
            assert!(!is_name(text), "{text}");
        }
        assert!(!is_name("sk-proj-Zx81mQp04LkD93hTgYw7cRb2NvUe5SaFoJi6"));
    }

    #[test]
    fn ids_that_a_provider_made_are_told_from_others() {
        for id in ["call_1", "call_Zx81mQp04LkD93hTgYw7cRb2", "toolu_01A09q90qw90lq917835lq9"] {
            assert!(is_call_id(id), "{id}");
        }
        assert!(is_call_id("msg_68af4030592c81938ec0a5fbab4a3e9f05438e46b5f69a3b"));
        for text in ["call_4111111111111111", "jane@example.com", "call_jane@example.com"] {
            assert!(!is_call_id(text), "{text}");
        }
        for text in ["msg_4111111111111111abcd", "resp_a411111111111111b", "rs_jane doe"] {
            assert!(!is_call_id(text), "{text}");
        }
    }

    #[test]
    fn versions_paths_and_media_types_are_told_from_others() {
        for name in ["web_search_20250305", "computer-use-2025-01-24", "vertex-2023-10-16", "bash"]
        {
            assert!(is_version(name), "{name}");
        }
        for text in ["call_49309018", "jane_4111111111111111", "x-4111-11-11", "größe-2025-01-24"]
        {
            assert!(!is_version(text), "{text}");
        }
        assert!(is_path("message.output_text.logprobs") && is_path("cachedContents/a1b2c3"));
        assert!(!is_path("jane@example.com") && !is_path("411111/111111/1111"));
        assert!(is_media_type("application/vnd.ms-excel") && is_media_type("image/svg+xml"));
        assert!(!is_media_type("image/jane doe") && !is_media_type("image/4111111111111111"));
        assert!(is_reference("http://json-schema.org/draft-07/schema#"));
        assert!(is_reference("#/$defs/person") && !is_reference("#/$defs/jane doe"));
        assert!(is_function("mcp__docs.find-1") && !is_function("jane doe"));
    }
}
