//! Who may use the admin API: whoever has the operator token. Applies to every address, also to
//! those that do not exist, so that nothing can be learned without it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};

use super::AdminState;
use super::error::ApiError;
use crate::clock;
use crate::store::Author;

/// Who asks, as the audit names them. Every handler behind [`require_operator`] has one.
#[derive(Debug, Clone)]
pub(super) struct Principal(pub(super) Arc<str>);

/// The name of whoever has the operator token.
const OPERATOR: &str = "operator";

tokio::task_local! {
    /// The change that a request asks for; of a request that changes nothing there is none.
    static ASKED: Author;
}

/// Whose change this request is.
pub(super) fn author() -> Option<Author> {
    ASKED.try_with(Author::clone).ok()
}

/// Lets a request pass that carries the operator token, and audits changes.
pub(super) async fn require_operator(
    State(state): State<AdminState>,
    mut request: Request,
    next: Next,
) -> Response {
    if !state.parts.operator.admits(request.headers()) {
        let mut refused = ApiError::unauthorized().into_response();
        refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return refused;
    }
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    request.extensions_mut().insert(Principal(Arc::from(OPERATOR)));
    let mut response = if method.is_safe() {
        next.run(request).await
    } else {
        let author = Author {
            actor: OPERATOR.to_owned(),
            method: method.to_string(),
            path: path.clone(),
            at_ms: clock::now_ms(),
        };
        ASKED.scope(author, next.run(request)).await
    };
    if !method.is_safe() {
        let status = response.status().as_u16();
        tracing::info!(target: "audit", %method, path, status, actor = OPERATOR,
            "admin change {method} {path}: {status}");
    }
    // Answers hold keys and money: no cache keeps them.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
