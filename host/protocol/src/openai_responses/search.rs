//! The tools with which a provider would search the web, or do other things that it charges by the
//! piece, and a request without them: for a provider whose price for that is not known. Never
//! touches a request that insists on one.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;

use crate::call::PaidTools;
use crate::openai_chat::tools::HOSTED_TOOLS;
use crate::scan::{Fault, Scanner};

/// Whether an item of an answer is a call of one of them.
pub(super) fn is_hosted(item: &str) -> bool {
    item.strip_suffix("_call").is_some_and(|tool| HOSTED_TOOLS.contains(&tool))
}

/// The tools of a list that are charged by the piece.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Which of them.
    pub(super) places: Vec<usize>,
    /// What to cut out of the list, from its first byte on, so that the others stay a list.
    pub(super) cuts: Vec<Range<usize>>,
}

/// Looks for them in the text of a list of tools, which has been read before.
pub(super) fn find(list: &str, which: PaidTools) -> Found {
    read(list, which).unwrap_or_default()
}

fn read(list: &str, which: PaidTools) -> Result<Found, Fault> {
    let mut scanner = Scanner::of_request(list);
    let mut found = Found::default();
    // Where a run of such tools begins, and where it ends so far.
    let mut run: Option<Range<usize>> = None;
    let (mut place, mut kept) = (0_usize, None);
    scanner.open_array()?;
    while scanner.next_item()? {
        let span = scanner.skip()?;
        if is_one(scanner.raw(span.clone()), which) {
            found.places.push(place);
            let start = run.map_or(span.start, |run| run.start);
            run = Some(start..span.end);
        } else {
            found.cuts.extend(run.take().map(|run| run.start..span.start));
            kept = Some(span.end);
        }
        place = place.saturating_add(1);
    }
    // What comes last goes with the comma in front of it.
    found.cuts.extend(run.map(|run| kept.unwrap_or(run.start)..run.end));
    Ok(found)
}

fn is_one(tool: &str, which: PaidTools) -> bool {
    #[derive(Deserialize)]
    struct Tool<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    serde_json::from_str::<Tool<'_>>(tool).is_ok_and(|tool| {
        (which.searches && tool.kind.starts_with("web_search"))
            || (which.hosted && HOSTED_TOOLS.contains(&tool.kind.as_ref()))
    })
}

/// Whether a `tool_choice` leaves it to the model whether to search.
pub(super) fn is_optional(choice: Option<&str>) -> bool {
    let Some(choice) = choice else { return true };
    let choice: Option<Value> = serde_json::from_str(choice).ok();
    let Some(choice) = choice else { return false };
    let kind = choice.get("type").and_then(Value::as_str);
    choice.is_null()
        || matches!(choice.as_str(), Some("auto" | "none"))
        || matches!(kind, Some("function" | "custom"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(list: &str) -> String {
        let mut left = list.to_owned();
        for cut in find(list, PaidTools { searches: true, hosted: true }).cuts.into_iter().rev() {
            left.replace_range(cut, "");
        }
        left
    }

    #[test]
    fn a_list_without_its_searches_is_a_list() {
        let (s, f) = ("{\"type\":\"web_search\",\"filters\":{}}", "{\"type\":\"function\"}");
        let p = "{\"name\":\"x\",\"type\":\"web_search_preview\"}";
        assert_eq!(without(&format!("[{s}]")), "[]");
        assert_eq!(without(&format!("[ {s} , {f} ]")), format!("[ {f} ]"));
        assert_eq!(without(&format!("[{f},{s}]")), format!("[{f}]"));
        assert_eq!(without(&format!("[{f}, {s}, {p} ,{f}]")), format!("[{f}, {f}]"));
        assert_eq!(without(&format!("[{f}, {s}, {p}]")), format!("[{f}]"));
        assert_eq!(without(&format!("[{s},{f},{p}]")), format!("[{f}]"));
        let searches = PaidTools { searches: true, hosted: false };
        assert_eq!(find(&format!("[{s},{f},{p}]"), searches).places, [0, 2]);
        let d = "{\"type\":\"image_generation\"}";
        let hosted = PaidTools { searches: false, hosted: true };
        assert_eq!(find(&format!("[{s},{d},{f}]"), hosted).places, [1]);
        let all = PaidTools { searches: true, hosted: true };
        assert_eq!(find(&format!("[{s},{d},{f}]"), all).places, [0, 1]);
        for other in [format!("[{f}]"), "[]".to_owned(), "null".to_owned()] {
            assert_eq!(find(&other, all), Found::default());
        }
    }

    #[test]
    fn a_search_that_is_insisted_on_is_not_optional() {
        for optional in ["\"auto\"", "\"none\"", "null", "{\"type\":\"function\",\"name\":\"f\"}"] {
            assert!(is_optional(Some(optional)), "{optional}");
        }
        for wanted in ["\"required\"", "{\"type\":\"web_search\"}", "{\"type\":\"allowed_tools\"}"]
        {
            assert!(!is_optional(Some(wanted)), "{wanted}");
        }
        assert!(is_optional(None));
    }
}
