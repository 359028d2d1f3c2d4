//! What is told at an address that the admin API has not, and with a method that an address does
//! not take: what there is instead. The lists are those of the router.

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_LENGTH};
use http::{StatusCode, Uri};

use super::error::ApiError;
use crate::catalog::nearest::nearest;

/// Where all addresses are.
const ROOT: &str = "/admin/v1/";
/// What is there.
const TOP: [&str; 7] = ["orgs", "plans", "requests", "audit", "offers", "models", "system"];
/// What an organization has.
const OF_ORG: [&str; 17] = [
    "keys",
    "budgets",
    "limits",
    "alerts",
    "webhook",
    "aliases",
    "credits",
    "plugins",
    "signing-keys",
    "bindings",
    "policy-grants",
    "policy-limits",
    "audit",
    "rules",
    "usage",
    "usage.csv",
    "requests",
];

/// Of an address that is told again.
const ADDRESS_CHARS_SHOWN: usize = 100;

/// 404, with what is near.
pub(super) async fn address(uri: Uri) -> ApiError {
    let shown: String = uri.path().chars().take(ADDRESS_CHARS_SHOWN).collect();
    ApiError::not_found(format!("there is nothing at {shown}; {}", advice(uri.path())))
}

/// Names the methods of a 405, which are in its `allow` by then.
pub(super) async fn methods(response: Response) -> Response {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let (mut head, _) = response.into_parts();
    let allowed = head.headers.get(ALLOW).and_then(|value| value.to_str().ok());
    let allowed = allowed.unwrap_or_default().replace(',', ", ");
    let (told, body) = ApiError::method_not_allowed(&allowed).into_response().into_parts();
    // That of the body which this one is in place of.
    head.headers.remove(CONTENT_LENGTH);
    head.headers.extend(told.headers);
    Response::from_parts(head, body)
}

/// What the caller does next; ends a sentence.
fn advice(path: &str) -> String {
    let Some(rest) = path.strip_prefix(ROOT) else {
        return format!("every address of this API begins with {ROOT}");
    };
    let mut parts = rest.split('/').filter(|part| !part.is_empty());
    let (what, known, asked) = match (parts.next(), parts.next(), parts.next()) {
        (Some("orgs"), Some(_), asked) => ("an organization has", OF_ORG.as_slice(), asked),
        (asked, _, _) => ("there are", TOP.as_slice(), asked),
    };
    // One that is there is asked for with too much or too little behind it.
    let near = asked.filter(|asked| !known.contains(asked)).and_then(|asked| {
        let near = nearest(asked, known.iter().copied());
        near.first().map(|near| format!("did you mean {near}? "))
    });
    let names = known.join(", ");
    format!("{}{what} {names}; docs/admin-api.md has every address", near.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What is added to the router is told of too.
    #[test]
    fn the_lists_are_those_of_the_router() {
        let routes: Vec<&str> = include_str!("router.rs").split_whitespace().collect();
        let routes = routes.join(" ").replace(".route( \"", ".route(\"");
        let (organization, top) = routes.split_once("let admin = Router::new()").unwrap();
        for (text, listed) in [(organization, OF_ORG.as_slice()), (top, TOP.as_slice())] {
            let paths = text.split(".route(\"/").skip(1);
            let names = paths.filter_map(|path| path.split(['/', '"']).next());
            let found: BTreeSet<&str> = names.filter(|name| !name.is_empty()).collect();
            let listed: BTreeSet<&str> = listed.iter().copied().collect();
            assert_eq!(found, listed);
        }
    }

    #[test]
    fn what_is_near_is_named() {
        for (path, said) in [
            ("/orgs", "begins with /admin/v1/"),
            ("/admin/v1/org", "did you mean orgs? there are orgs, plans,"),
            ("/admin/v1/orgs/demo/key", "did you mean keys? an organization has keys,"),
            ("/admin/v1/orgs/demo/keys/1/rotations", "an organization has keys,"),
            ("/admin/v1/", "there are orgs,"),
        ] {
            assert!(advice(path).contains(said), "{path}: {}", advice(path));
        }
        assert!(advice("/admin/v1/orgs/demo/credits/topup").starts_with("an organization has"));
    }
}
