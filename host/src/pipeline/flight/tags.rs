//! `x-turnpike-tags: job=nightly,env=ci`: labels by which a caller's costs are told apart and
//! counted on budgets. What can't be read is refused and not left out: a request whose tag was
//! dropped would go past the budget of that tag and be missing from every report by it, and nobody
//! would be told. It costs nothing to refuse, since nothing has been asked of anyone yet.

use http::HeaderMap;

use super::LABEL_BYTES_MAX;
use crate::error::Refusal;

/// Where they stand.
const HEADER: &str = "x-turnpike-tags";
/// Tags of one request: each is compared with every budget of a tag and kept with the record.
const TAGS_MAX: usize = 16;

/// Names and values, in their order. The header may be sent several times, and be empty, as it is
/// where a client fills it from a variable that nobody set.
///
/// # Errors
/// A refusal that says which tag is wrong, and how tags are written. It repeats no tag.
pub(super) fn of(headers: &HeaderMap) -> Result<Vec<(String, String)>, Box<Refusal>> {
    let mut tags = Vec::new();
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
            if name.len().saturating_add(value.len()) > LABEL_BYTES_MAX {
                let why = format!("tag {place} is longer than {LABEL_BYTES_MAX} bytes");
                return Err(refused(&why));
            }
            tags.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(tags)
}

fn refused(why: &str) -> Box<Refusal> {
    Box::new(Refusal::malformed_tags(why, TAGS_MAX, LABEL_BYTES_MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&[u8]]) -> Result<Vec<(String, String)>, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        of(&headers).map_err(|refusal| refusal.message)
    }

    #[test]
    fn pairs_are_read_from_every_header_and_blanks_do_not_count() {
        let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read(&[]), Ok(vec![]));
        assert_eq!(read(&[b"", b" , "]), Ok(vec![]));
        let some = read(&[b" job = nightly , env=ci,", b"query=a=b", b"none="]);
        let expected =
            vec![tag("job", "nightly"), tag("env", "ci"), tag("query", "a=b"), tag("none", "")];
        assert_eq!(some, Ok(expected));
        let most = vec!["a=b"; TAGS_MAX].join(",");
        assert_eq!(read(&[most.as_bytes()]).unwrap().len(), TAGS_MAX);
    }

    #[test]
    fn what_cant_be_read_is_told_by_its_place_and_not_repeated() {
        let (many, long) = (vec!["a=b"; 17].join(","), format!("a={}", "x".repeat(128)));
        for (value, why) in [
            (&b"env=ci,canary"[..], "tag 2 has no \"=\""),
            (b"=canary", "tag 1 has no name"),
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
    }
}
