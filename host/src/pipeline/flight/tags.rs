//! `x-turnpike-tags: job=nightly,env=ci`: labels by which a caller's costs are told apart and
//! counted on budgets. What can't be read is refused and not left out: a request whose tag was
//! dropped would go past the budget of that tag and be missing from every report by it, and nobody
//! would be told. It costs nothing to refuse, since nothing has been asked of anyone yet. So are
//! two tags of one name, of which a record and a sum can have one only, and a tag without a value,
//! which no filter could tell from a request without that tag.

use http::HeaderMap;
use turnpike_protocol::Call;

use super::LABEL_BYTES_MAX;
use crate::error::Refusal;

/// Where they stand.
const HEADER: &str = "x-turnpike-tags";
/// Tags of one request: each is compared with every budget of a tag and kept with the record.
const TAGS_MAX: usize = 16;

/// Those of the header, and where a body is given, what that says too.
///
/// # Errors
/// As [`of_header`].
pub(super) fn of(
    headers: &HeaderMap,
    body: Option<&Call>,
) -> Result<Vec<(String, String)>, Box<Refusal>> {
    let mut tags = of_header(headers)?;
    if let Some(call) = body {
        add_from_body(&mut tags, call);
    }
    Ok(tags)
}

/// Names and values, in their order. The header may be sent several times, and be empty, as it is
/// where a client fills it from a variable that nobody set.
///
/// # Errors
/// A refusal that says which tag is wrong, and how tags are written. It repeats no tag.
fn of_header(headers: &HeaderMap) -> Result<Vec<(String, String)>, Box<Refusal>> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for value in headers.get_all(HEADER) {
        let Ok(text) = value.to_str() else {
            return Err(refused("it holds characters beyond visible ASCII"));
        };
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let place = tags.len().saturating_add(1);
            if place > TAGS_MAX {
                return Err(refused(&format!("there are more than {TAGS_MAX} tags")));
            }
            let Some((name, value)) = pair.split_once('=') else {
                return Err(refused(&format!("tag {place} has no \"=\"")));
            };
            let (name, value) = (name.trim_end(), value.trim_start());
            if name.is_empty() {
                return Err(refused(&format!("tag {place} has no name in front of its \"=\"")));
            }
            if value.is_empty() {
                return Err(refused(&format!("tag {place} has no value behind its \"=\"")));
            }
            if let Some(first) = tags.iter().position(|(known, _)| known == name) {
                let first = first.saturating_add(1);
                return Err(refused(&format!("tag {place} has the name of tag {first}")));
            }
            if name.len().saturating_add(value.len()) > LABEL_BYTES_MAX {
                let why = format!("tag {place} is longer than {LABEL_BYTES_MAX} bytes");
                return Err(refused(&why));
            }
            tags.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(tags)
}

/// Adds what the body says of whose the request is, where the header says nothing under that name.
/// Bodies are written for providers: what is no tag there is left out, and nothing is refused.
fn add_from_body(tags: &mut Vec<(String, String)>, call: &Call) {
    for (name, value) in call.attribution() {
        let known = tags.iter().any(|(known, _)| *known == name);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let sound = !name.is_empty() && name.chars().all(plain);
        let short = name.len().saturating_add(value.len()) <= LABEL_BYTES_MAX;
        let said = !value.is_empty() && !value.chars().any(char::is_control);
        if !known && sound && short && said && tags.len() < TAGS_MAX {
            tags.push((name, value));
        }
    }
}

fn refused(why: &str) -> Box<Refusal> {
    Box::new(Refusal::malformed_tags(why, TAGS_MAX, LABEL_BYTES_MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use turnpike_protocol::Dialect;

    use super::*;

    fn read(values: &[&[u8]]) -> Result<Vec<(String, String)>, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        of_header(&headers).map_err(|refusal| refusal.message)
    }

    #[test]
    fn the_header_goes_before_the_body_and_both_have_bounds() {
        let long = "x".repeat(LABEL_BYTES_MAX);
        let body = serde_json::json!({
            "model": "auto",
            "messages": [{"role": "user", "content": "x"}],
            "user": "bob",
            "metadata": {"job": "other", "run": "7", "long": long, "a b": "1", "line": "1\n2"},
        });
        let call = Call::parse(Dialect::OpenAiChat, body.to_string().into()).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut tags = vec![pair("job", "nightly")];
        add_from_body(&mut tags, &call);
        assert_eq!(tags, [pair("job", "nightly"), pair("end_user", "bob"), pair("run", "7")]);
    }

    /// So many tags, each of a name of its own.
    fn many(count: usize) -> String {
        (0..count).map(|place| format!("t{place}=x")).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn pairs_are_read_from_every_header_and_blanks_do_not_count() {
        let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read(&[]), Ok(vec![]));
        assert_eq!(read(&[b"", b" , "]), Ok(vec![]));
        let some = read(&[b" job = nightly , env=ci,", b"query=a=b", b"Job=other"]);
        let expected =
            vec![tag("job", "nightly"), tag("env", "ci"), tag("query", "a=b"), tag("Job", "other")];
        assert_eq!(some, Ok(expected));
        assert_eq!(read(&[many(TAGS_MAX).as_bytes()]).unwrap().len(), TAGS_MAX);
    }

    #[test]
    fn what_cant_be_read_is_told_by_its_place_and_not_repeated() {
        let (many, long) = (many(17), format!("a={}", "x".repeat(128)));
        for (value, why) in [
            (&b"env=ci,canary"[..], "tag 2 has no \"=\""),
            (b"=canary", "tag 1 has no name"),
            (b"env=ci,canary=", "tag 2 has no value"),
            (b"env=ci, canary = ,", "tag 2 has no value"),
            (b"canary=1,env=ci,canary=2", "tag 3 has the name of tag 1"),
            (b"canary=1,canary=1", "tag 2 has the name of tag 1"),
            (many.as_bytes(), "more than 16 tags"),
            (long.as_bytes(), "tag 1 is longer than 128 bytes"),
            (b"name=Ren\xc3\xa9e", "beyond visible ASCII"),
        ] {
            let message = read(&[value]).unwrap_err();
            assert!(message.starts_with(HEADER) && message.contains(why), "{message}");
            assert!(message.contains("job=nightly,env=ci"), "{message}");
            assert!(!message.contains("canary"), "{message}");
        }
        // The second header counts on where the first ended.
        let message = read(&[b"a=b,c=d", b"e"]).unwrap_err();
        assert!(message.contains("tag 3"), "{message}");
        let message = read(&[b"a=b,c=d", b"a=e"]).unwrap_err();
        assert!(message.contains("tag 3 has the name of tag 1"), "{message}");
    }
}
