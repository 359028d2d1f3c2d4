//! `multipart/form-data` of a few parts, in memory: what curl's `-F` and browsers send. Bounded by
//! whoever read the body; copies no part. Knows nothing of what the parts mean.

use bytes::Bytes;
use memchr::memmem;

use super::error::ApiError;

/// Parts of a form.
const PARTS_MAX: usize = 8;
/// Bytes of a part's head.
const HEAD_BYTES_MAX: usize = 4 << 10;
/// Bytes of the boundary, by the standard.
const BOUNDARY_BYTES_MAX: usize = 70;

/// The boundary that a content type names; none if it is no form.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let of = |parameter: &'static str| {
        move |one: &str| {
            let (name, _) = one.trim().split_once('=')?;
            name.eq_ignore_ascii_case(parameter).then_some(())
        }
    };
    let found = parameters.split(';').find(|one| of("boundary")(one).is_some())?;
    let (_, value) = found.trim().split_once('=')?;
    let value = value.trim().trim_matches('"');
    (1..=BOUNDARY_BYTES_MAX).contains(&value.len()).then_some(value)
}

/// The parts of a body, each with its field's name.
pub(super) fn parts(body: &Bytes, boundary: &str) -> Result<Vec<(String, Bytes)>, ApiError> {
    let broken = |why: &str| {
        let message = format!("the form can't be read: {why}; send it with curl's -F or the like");
        ApiError::bad_request("broken_form", message)
    };
    let first = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(between.as_bytes());
    if !body.starts_with(first.as_bytes()) {
        return Err(broken("it does not begin with its boundary"));
    }
    let mut at = first.len();
    let mut parts = Vec::new();
    loop {
        let rest = body.get(at..).unwrap_or_default();
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        if parts.len() >= PARTS_MAX {
            return Err(broken("it has too many parts"));
        }
        let head = rest.strip_prefix(b"\r\n").ok_or_else(|| broken("a boundary goes on"))?;
        let bound = head.get(..head.len().min(HEAD_BYTES_MAX)).unwrap_or_default();
        let end = memmem::find(bound, b"\r\n\r\n").ok_or_else(|| broken("a part has no head"))?;
        let name = field(bound.get(..end).unwrap_or_default())
            .ok_or_else(|| broken("a part has no name"))?;
        let start = at.saturating_add(2 + 4).saturating_add(end);
        let content = body.get(start..).unwrap_or_default();
        let length = finder.find(content).ok_or_else(|| broken("it ends early"))?;
        let stop = start.saturating_add(length);
        parts.push((name, body.slice(start..stop)));
        at = stop.saturating_add(between.len());
    }
}

/// The name in `content-disposition: form-data; name="…"`.
fn field(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    let line = head.lines().find(|line| {
        let name = line.split_once(':').map(|(name, _)| name);
        name.is_some_and(|name| name.eq_ignore_ascii_case("content-disposition"))
    })?;
    let (_, rest) = line.split_once(" name=\"")?;
    rest.split_once('"').map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Result<Vec<(String, Bytes)>, ApiError> {
        parts(&Bytes::from(text.replace('\n', "\r\n")), "xy")
    }

    #[test]
    fn parts_have_names_and_their_own_bytes() {
        let form = form(
            "--xy\nContent-Disposition: form-data; name=\"component\"; filename=\"a.wasm\"\n\
             Content-Type: application/wasm\n\n\0asm\n--x\n\n--xy\ncontent-disposition: \
             form-data; name=\"cases\"\n\n{}\n--xy--\n",
        );
        let [(first, component), (second, cases)] = &*form.unwrap() else { panic!("two parts") };
        assert_eq!((first.as_str(), &**component), ("component", &b"\0asm\r\n--x\r\n"[..]));
        assert_eq!((second.as_str(), &**cases), ("cases", &b"{}"[..]));
    }

    #[test]
    fn a_form_that_is_broken_anywhere_is_refused() {
        let whole = "--xy\nContent-Disposition: form-data; name=\"a\"\n\nb\n--xy--";
        assert_eq!(form(whole).unwrap().len(), 1);
        for end in 0..whole.len() {
            assert!(form(whole.get(..end).unwrap()).is_err(), "{end}");
        }
        assert!(form(&whole.replace(" name", " game")).is_err());
        let many = "--xy\nContent-Disposition: form-data; name=\"a\"\n\nb\n".repeat(9);
        assert!(form(&format!("{many}--xy--")).is_err());
    }

    #[test]
    fn the_boundary_is_in_the_content_type() {
        assert_eq!(boundary("multipart/form-data; boundary=a-b"), Some("a-b"));
        assert_eq!(boundary("Multipart/Form-Data; charset=x; Boundary=\"a b\""), Some("a b"));
        for other in ["application/wasm", "multipart/form-data", "multipart/mixed; boundary=a"] {
            assert_eq!(boundary(other), None, "{other}");
        }
    }
}
