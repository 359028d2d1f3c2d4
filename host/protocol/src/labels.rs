//! Which strings of a request's frame are plain enough to be names, so that they need not be
//! scanned: a scan costs more than a look, and a request can hold thousands of names. Whatever is
//! not surely a name is a text.

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 48;
/// Digits of a name: `image_url_2`, `sha256`, `2024`; no number of a person or an account.
const NAME_DIGITS_MAX: usize = 6;
/// What tool-call ids that a provider made begin with.
const ID_PREFIXES: [&str; 4] = ["call_", "toolu_", "chatcmpl-tool-", "fc_"];
/// Bytes of such an id.
const ID_BYTES_MAX: usize = 64;
/// Digits in a row in such an id, which is random: more could be an account's.
const ID_DIGITS_MAX: usize = 8;
/// Digits from which a number may be that of a card, an account or a telephone.
const NUMBER_DIGITS_MIN: usize = 12;

/// Whether `text` can only be the name of a member, a type or the like: letters, `_`, `-`, `$` and
/// a few digits. Neither an address nor a number that means somebody, nor a credential of the forms
/// in use, has this form; a person's bare name has.
pub(crate) fn is_name(text: &str) -> bool {
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    text.len() <= NAME_BYTES_MAX && digits <= NAME_DIGITS_MAX && text.as_bytes().iter().all(belongs)
}

/// Whether `text` is the id of a tool call as providers make them.
pub(crate) fn is_call_id(text: &str) -> bool {
    let Some(rest) = ID_PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) else {
        return is_name(text);
    };
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let mut runs = rest.split(|letter: char| !letter.is_ascii_digit());
    rest.len() <= ID_BYTES_MAX
        && rest.as_bytes().iter().all(belongs)
        && runs.all(|run| run.len() <= ID_DIGITS_MAX)
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
        for text in ["call_4111111111111111", "jane@example.com", "call_jane@example.com"] {
            assert!(!is_call_id(text), "{text}");
        }
    }
}
