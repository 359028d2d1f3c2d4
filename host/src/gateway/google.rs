//! Access tokens of a service account: fetched by one request at a time, shared by all, renewed
//! behind the requests before they end. Nobody waits for longer than one fetch may take, and
//! whoever fetches and goes away is replaced. Never logs a token.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::watch;

use crate::clock;
use crate::secret::Secret;
use crate::sign::ServiceAccount;
use crate::tasks::Tasks;
use crate::upstream::{Endpoint, RequestHead, Timeouts, Upstream};

/// For one fetch, all of it. Google answers in a fraction of a second.
const FETCH_MAX: Duration = Duration::from_secs(10);
/// How long a fetch keeps the others from fetching too; over, another one may.
const LEASE_MS: u64 = 12_000;
/// A token is renewed when it has less than this left.
const RENEW_BEFORE_MS: u64 = 5 * 60_000;
/// A token is no longer used when it has less than this left: the request has to arrive with it.
const MARGIN_MS: u64 = 10_000;
/// After a fetch that failed the others fail alike, and do not all try.
const FAILURE_MS: u64 = 1_000;
/// Bytes of an answer with a token.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenError {
    /// The place that gives out tokens says no.
    Refused(String),
    /// It is out of reach, or gave no token.
    Failed(String),
}

/// See the head of this file. Clones share the token.
#[derive(Debug, Clone)]
pub(super) struct GoogleTokens(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    account: ServiceAccount,
    endpoint: Endpoint,
    path: String,
    audience: String,
    state: watch::Sender<State>,
    /// Until when somebody is fetching; 0 when nobody is.
    lease_until_ms: AtomicU64,
}

#[derive(Debug, Clone, Default)]
struct State {
    token: Option<Token>,
    failed: Option<(u64, TokenError)>,
}

#[derive(Debug, Clone)]
struct Token {
    bearer: Secret,
    ends_at_ms: u64,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
}

/// The right to fetch; given back when it is dropped.
struct Lease {
    inner: Arc<Inner>,
    until_ms: u64,
}

// === impl GoogleTokens ===

impl GoogleTokens {
    pub(super) fn new(
        account: ServiceAccount,
        audience: String,
        endpoint: Endpoint,
        path: String,
    ) -> Self {
        let (state, _) = watch::channel(State::default());
        let lease_until_ms = AtomicU64::new(0);
        Self(Arc::new(Inner { account, endpoint, path, audience, state, lease_until_ms }))
    }

    /// The value of `authorization`.
    pub(super) async fn bearer(
        &self,
        upstream: &Upstream,
        tasks: &Tasks,
    ) -> Result<Secret, TokenError> {
        let mut watched = self.0.state.subscribe();
        loop {
            let State { token, failed } = watched.borrow_and_update().clone();
            let now_ms = clock::now_ms();
            let left = |token: &Token| token.ends_at_ms.saturating_sub(now_ms);
            if let Some(token) = token.filter(|token| left(token) > MARGIN_MS) {
                if left(&token) < RENEW_BEFORE_MS && !failed_lately(failed.as_ref(), now_ms) {
                    self.renew_behind(upstream, tasks, now_ms);
                }
                return Ok(token.bearer);
            }
            if let Some((_, error)) = failed.filter(|failed| failed_lately(Some(failed), now_ms)) {
                return Err(error);
            }
            match Lease::take(&self.0, now_ms) {
                Ok(lease) => return lease.fetch(upstream).await,
                Err(until_ms) => {
                    let patience = Duration::from_millis(until_ms.saturating_sub(now_ms));
                    // Either way the next round looks what has become of it.
                    drop(tokio::time::timeout(patience, watched.changed()).await);
                }
            }
        }
    }

    /// The provider did not take the token: the next request fetches another.
    pub(super) fn forget(&self) {
        self.0.state.send_modify(|state| state.token = None);
    }

    fn renew_behind(&self, upstream: &Upstream, tasks: &Tasks, now_ms: u64) {
        let Ok(lease) = Lease::take(&self.0, now_ms) else { return };
        let upstream = upstream.clone();
        tasks.spawn("token", async move {
            if let Err(error) = lease.fetch(&upstream).await {
                tracing::warn!(?error, "a token could not be renewed; the old one is in use");
            }
        });
    }
}

fn failed_lately(failed: Option<&(u64, TokenError)>, now_ms: u64) -> bool {
    failed.is_some_and(|(at_ms, _)| now_ms.saturating_sub(*at_ms) < FAILURE_MS)
}

// === impl Lease ===

impl Lease {
    /// The right to fetch, or until when another has it.
    fn take(inner: &Arc<Inner>, now_ms: u64) -> Result<Self, u64> {
        let until_ms = now_ms.saturating_add(LEASE_MS);
        let held = inner.lease_until_ms.load(Ordering::Acquire);
        if held > now_ms {
            return Err(held);
        }
        let swapped = inner.lease_until_ms.compare_exchange(
            held,
            until_ms,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        match swapped {
            Ok(_) => Ok(Self { inner: Arc::clone(inner), until_ms }),
            Err(held) => Err(held.max(now_ms.saturating_add(1))),
        }
    }

    async fn fetch(self, upstream: &Upstream) -> Result<Secret, TokenError> {
        let fetched = tokio::time::timeout(FETCH_MAX, self.ask(upstream)).await;
        let late = || Err(TokenError::Failed("no token within ten seconds".to_owned()));
        let fetched = fetched.unwrap_or_else(|_| late());
        let now_ms = clock::now_ms();
        self.inner.state.send_modify(|state| match &fetched {
            Ok(token) => (state.token, state.failed) = (Some(token.clone()), None),
            Err(error) => state.failed = Some((now_ms, error.clone())),
        });
        fetched.map(|token| token.bearer)
    }

    async fn ask(&self, upstream: &Upstream) -> Result<Token, TokenError> {
        let inner = &self.inner;
        let failed = |what: String| TokenError::Failed(what);
        let now_ms = clock::now_ms();
        let statement = inner.account.statement(&inner.audience, now_ms / 1_000);
        let statement = statement.map_err(|error| failed(error.to_string()))?;
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={}",
            statement.reveal()
        );
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/json"),
            ("accept-encoding", "identity"),
        ];
        let head = RequestHead { method: "POST", path: &inner.path, headers: &headers };
        let timeouts = Timeouts { connect: FETCH_MAX, first_byte: FETCH_MAX, idle: FETCH_MAX };
        let sent = upstream.send(&inner.endpoint, &head, Bytes::from(form), &timeouts).await;
        let mut response = sent.map_err(|error| failed(error.detail))?;
        let body = response.body.collect(ANSWER_BYTES_MAX).await;
        let body = body.map_err(|error| failed(error.detail))?;
        let status = response.status;
        if status.is_client_error() {
            let why = format!("{} refused the account with status {status}", inner.endpoint);
            return Err(TokenError::Refused(why));
        }
        let unread = || failed(format!("{} gave no token (status {status})", inner.endpoint));
        if !status.is_success() {
            return Err(unread());
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| unread())?;
        let life_ms = answer.expires_in.saturating_mul(1_000);
        let bearer = Secret::new(format!("Bearer {}", answer.access_token));
        Ok(Token { bearer, ends_at_ms: now_ms.saturating_add(life_ms) })
    }
}

impl Drop for Lease {
    /// Also of a request whose caller went away while it was fetching: another one goes on.
    fn drop(&mut self) {
        let own = self.until_ms;
        let free = &self.inner.lease_until_ms;
        free.compare_exchange(own, 0, Ordering::AcqRel, Ordering::Acquire).ok();
        self.inner.state.send_modify(|_| {});
    }
}

#[cfg(test)]
mod tests;
