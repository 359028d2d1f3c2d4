//! Every reason for which the gateway itself refuses a request, and the one mapping from reason to
//! status, type, code and words. Never contains a secret or a prompt; never re-wraps an upstream's
//! own error body.

mod money;
mod nowhere;

use http::StatusCode;

pub(crate) use nowhere::operation;

/// Models that a refusal lists to choose from: what can be taken in at a glance.
const OPTIONS_MAX: usize = 8;

/// A refusal on its way to the caller. `egress` gives it the body of the caller's protocol.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: StatusCode,
    /// The OpenAI error type: `invalid_request_error`, `authentication_error` …
    pub kind: &'static str,
    /// Stable, for programs.
    pub code: &'static str,
    /// What, why and what to do next.
    pub message: String,
    /// The field of the request that is at fault.
    pub param: Option<String>,
    /// Seconds, for the `retry-after` header.
    pub retry_after_s: Option<u64>,
    /// Tells SDKs that another try can't succeed (`x-should-retry: false`).
    pub final_word: bool,
}

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, code: &'static str, message: String) -> Self {
        let final_word = false;
        Self { status, kind, code, message, param: None, retry_after_s: None, final_word }
    }

    fn at(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    /// The same with the time after which another try is worth it.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    fn final_word(mut self) -> Self {
        self.final_word = true;
        self
    }

    /// 401: no key, an unknown key, or two keys that differ.
    pub fn unauthenticated(message: String) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "authentication_error", "invalid_api_key", message)
    }

    /// The same with the code that tells why.
    pub fn unauthenticated_because(code: &'static str, message: String) -> Self {
        Self { code, ..Self::unauthenticated(message) }
    }

    /// 400 or another 4xx that the parser chose.
    pub fn invalid(
        status: u16,
        code: &'static str,
        message: String,
        param: Option<String>,
    ) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut refusal = Self::new(status, "invalid_request_error", code, message);
        refusal.param = param;
        refusal
    }

    /// 413: the body is over the limit of the configuration.
    pub fn body_too_large(limit: usize) -> Self {
        let message = format!(
            "the request body is larger than {limit} bytes; send less, or ask the operator to \
             raise limits.body_bytes"
        );
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::new(status, "invalid_request_error", "request_too_large", message)
    }

    /// 400: the caller stopped sending in the middle of the body.
    pub fn body_cut_off() -> Self {
        let message = "the request body ended before its announced length; send it again".into();
        let status = StatusCode::BAD_REQUEST;
        Self::new(status, "invalid_request_error", "incomplete_body", message)
    }

    /// 404 for a path, 405 for a method where there is something for others.
    pub fn no_route(method: &http::Method, path: &str, allowed: Option<&str>) -> Self {
        let shown: String = path.chars().take(100).collect();
        if let Some(allowed) = allowed {
            let message = format!("{method} is not served on {shown}; use {allowed}");
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return Self::new(status, "invalid_request_error", "method_not_allowed", message);
        }
        let message = format!("there is nothing at {shown}; {}", nowhere::advice(path));
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", "unknown_url", message)
    }

    /// 404: no configured provider has the model.
    pub fn unknown_model(asked: &str, suggestions: &[String]) -> Self {
        let shown: String = asked.chars().take(100).collect();
        let profile = asked.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("auto:"));
        let hint = if profile {
            "the profiles are \"auto\", \"auto:cheap\", \"auto:fast\" and \"auto:best\"".to_owned()
        } else if suggestions.is_empty() {
            "ask for \"auto\", or see GET /v1/models".to_owned()
        } else {
            format!("did you mean {}? GET /v1/models lists them all", suggestions.join(", "))
        };
        let message = format!("the model {shown:?} is not offered here; {hint}");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", "model_not_found", message)
            .at("model")
    }

    /// The same of a model for vectors: what is chosen for chat gives none.
    pub fn unknown_embedding_model(asked: &str, suggestions: &[String]) -> Self {
        let mut refusal = Self::unknown_model(asked, suggestions);
        if suggestions.is_empty() {
            let shown: String = asked.chars().take(100).collect();
            refusal.message = format!(
                "the embedding model {shown:?} is not offered here; ask for one that GET \
                 /v1/models lists, or ask the operator to add a provider that has it"
            );
        }
        refusal
    }

    /// 400: several models have the name that was asked for; `options` tell them apart.
    pub fn ambiguous_model(asked: &str, options: &[String]) -> Self {
        let shown: String = asked.chars().take(100).collect();
        let options = options.join(", ");
        let message = format!("several models are called {shown:?}; say which: {options}");
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "ambiguous_model", message)
            .at("model")
    }

    /// 400: the choice of an embedding model is left to the gateway, and there are several.
    pub fn several_embedding_models(asked: &str, options: &[&str]) -> Self {
        let shown: String = asked.chars().take(100).collect();
        let shown_options = options.get(..options.len().min(OPTIONS_MAX)).unwrap_or_default();
        let options = shown_options.join(", ");
        let message = format!(
            "{shown:?} would choose among several embedding models, and vectors of different ones \
             can't be compared; name the one that your vectors are of, such as {options}"
        );
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "ambiguous_model", message)
            .at("model")
    }

    /// 403: the key may not use any model that could answer.
    pub fn model_forbidden(asked: &str) -> Self {
        let shown: String = asked.chars().take(100).collect();
        let message = format!(
            "this key may not use the model {shown:?}; ask for one that GET /v1/models lists, or \
             ask the key's owner to widen its `models`"
        );
        Self::new(StatusCode::FORBIDDEN, "permission_error", "model_not_allowed", message)
            .at("model")
    }

    /// 403: the organization's plan includes no model that could answer.
    pub fn model_not_in_plan(asked: &str, plan: &str) -> Self {
        let shown: String = asked.chars().take(100).collect();
        let message = format!(
            "the plan {plan:?} of this organization does not include the model {shown:?}; ask for \
             one that GET /v1/models lists, or change the plan"
        );
        Self::new(StatusCode::FORBIDDEN, "permission_error", "model_not_in_plan", message)
            .at("model")
    }

    /// 400: `x-turnpike-class` names no class of data.
    pub fn unknown_class() -> Self {
        let message = "x-turnpike-class is public, internal, confidential or restricted; send one \
                       of these, or leave it out"
            .to_owned();
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "invalid_class", message)
    }

    /// 400: `x-turnpike-tags` can't be read. `why` repeats nothing of it.
    pub fn malformed_tags(why: &str, tags_max: usize, bytes_max: usize) -> Self {
        let message = format!(
            "x-turnpike-tags can't be read: {why}; send NAME=VALUE pairs with commas between them, \
             such as job=nightly,env=ci, each name once, at most {tags_max} of at most {bytes_max} \
             bytes each, or leave the header out"
        );
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "invalid_tags", message)
    }

    /// 400: `x-turnpike-profile` names no profile.
    pub fn unknown_profile() -> Self {
        let message = "x-turnpike-profile is balanced, cheap, fast or best; send one of these, or \
                       leave it out"
            .to_owned();
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "invalid_profile", message)
    }

    /// 400: a header that limits one request says something else than `what`.
    pub fn unknown_limit(header: &str, what: &str) -> Self {
        let message = format!("{header} is {what}; send that, or leave it out");
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "invalid_limit", message)
    }

    /// 403: the data is more sensitive than what the key may send.
    pub fn class_forbidden(class: &str, clearance: &str) -> Self {
        let message = format!(
            "the request holds {class} data, and this key may send no more than {clearance}; use a \
             key with a higher `clearance`"
        );
        Self::new(StatusCode::FORBIDDEN, "permission_error", "class_not_allowed", message)
    }

    /// 404 or 409: an answer can't be rated.
    pub fn not_rated(status: StatusCode, code: &'static str, message: &str) -> Self {
        Self::new(status, "invalid_request_error", code, message.to_owned()).at("request_id")
    }

    /// 422: models exist, but each is ruled out. `reasons` is a short summary of why, and what to
    /// do about it.
    pub fn no_candidate(reasons: &str) -> Self {
        let message = format!("no model can take this request: {reasons}");
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, "invalid_request_error", "no_suitable_model", message)
    }

    /// 409: a request with the same `idempotency-key` is under way.
    pub fn request_in_progress(id: &str) -> Self {
        let message = format!(
            "request {id} with the same idempotency-key is still being answered, or settled; try \
             again in a moment, or send another key for another request"
        );
        let status = StatusCode::CONFLICT;
        Self::new(status, "invalid_request_error", "request_in_progress", message).retry_after(1)
    }

    /// 409: a request with the same `idempotency-key` was answered and charged.
    pub fn already_answered(id: &str) -> Self {
        let message = format!(
            "request {id} with the same idempotency-key was answered and charged; answers are not \
             kept, so send a new key to ask again"
        );
        let status = StatusCode::CONFLICT;
        Self::new(status, "invalid_request_error", "already_answered", message).final_word()
    }

    /// 422: the `idempotency-key` was used for another request.
    pub fn idempotency_key_reused() -> Self {
        let message = "this idempotency-key was sent with another request before; use a key for \
                       one request and its retries only"
            .into();
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, "invalid_request_error", "idempotency_key_reused", message)
            .at("idempotency-key")
            .final_word()
    }

    /// 400: the request goes on from what no provider that could be asked keeps; `member` names it
    /// there. The code is the one by which clients of OpenAI's know to send the whole conversation.
    pub fn kept_elsewhere(member: &str) -> Self {
        let code = match member {
            "previous_response_id" => "previous_response_not_found",
            _ => "invalid_value",
        };
        let message = format!(
            "{member} names what a provider would have to keep, and none of those that could \
             answer has a Responses API; the gateway keeps no conversations: send all of it as \
             input, with \"store\": false and without {member}"
        );
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", code, message).at(member)
    }

    /// 429: whoever could answer has said that it is over its rate limit. `who` says who that is.
    pub fn all_limited(who: &str, retry_after_s: u64) -> Self {
        let message = format!(
            "{who} is over its rate limit; you were not charged; try again in {retry_after_s} s"
        );
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, "rate_limit_error", "upstream_rate_limited", message)
            .retry_after(retry_after_s)
    }

    /// 429: whoever could answer has as many requests as it may have at a time.
    pub fn all_busy(who: &str) -> Self {
        let message = format!(
            "{who} has as many requests as it may have at a time; you were not charged; try again \
             in 1 s"
        );
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "upstream_busy", message)
            .retry_after(1)
    }

    /// 503: whoever could answer is resting after failures.
    pub fn all_resting(who: &str, retry_after_s: u64) -> Self {
        let message = format!("{who} is resting after failures; try again in {retry_after_s} s");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "api_error", "no_healthy_provider", message)
            .retry_after(retry_after_s)
    }

    /// 403: the redaction policy refuses the content.
    pub fn policy_blocked(reason: &str) -> Self {
        let shown: String = reason.chars().take(300).collect();
        let message = format!("the organization's redaction policy refuses this request: {shown}");
        Self::new(StatusCode::FORBIDDEN, "permission_error", "policy_blocked", message).final_word()
    }

    /// 503: redaction failed and is configured to fail closed.
    pub fn redaction_failed() -> Self {
        let message = "the redaction policy failed, so nothing was sent to a provider; try again, \
                       or ask the policy's owner to look at the request's explanation"
            .into();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "api_error", "redaction_unavailable", message)
            .retry_after(1)
    }

    /// 403: the redaction policy refuses what the provider answered.
    pub fn answer_withheld(reason: &str) -> Self {
        let shown: String = reason.chars().take(300).collect();
        let message = format!(
            "the organization's redaction policy withholds the answer: {shown}; you were not \
             charged"
        );
        Self::new(StatusCode::FORBIDDEN, "permission_error", "policy_blocked", message).final_word()
    }

    /// 503: redaction failed on the answer and is configured to fail closed.
    pub fn answer_check_failed() -> Self {
        let message =
            "the redaction policy failed on the answer, so it was withheld; you were not \
                       charged; try again, or ask the policy's owner to look at the request's \
                       explanation"
                .into();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "api_error", "redaction_unavailable", message)
            .retry_after(1)
    }

    /// 429: the key, or whoever it belongs to, asks faster than it may.
    pub fn rate_limited(scope: &str, limit: u32, what: &str, wait_s: u64) -> Self {
        // Codex reads how long to wait out of these words.
        let message = format!(
            "rate limit reached: {scope} may have {limit} {what}; you were not charged; try again \
             in {wait_s}s"
        );
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, "rate_limit_error", "rate_limit_exceeded", message).retry_after(wait_s)
    }

    /// 503: the ledger can't promise that money is kept.
    pub fn ledger_unavailable() -> Self {
        let message = "the ledger can't write to its disk, so no paid request is accepted; the \
                       operator finds the cause in the log and in GET /admin/v1/system"
            .into();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "api_error", "ledger_unavailable", message)
            .retry_after(30)
    }

    /// 502: the last attempt failed, and nobody is left. `tried`: how many there were, and where.
    pub fn upstream_failed(tried: &str, last: &str) -> Self {
        let message = format!(
            "no provider answered: {tried}, the last one {last}; you were not charged; try again"
        );
        Self::new(StatusCode::BAD_GATEWAY, "api_error", "upstream_failed", message)
    }

    /// 504: the last attempt got no answer in time.
    pub fn upstream_timeout(tried: &str) -> Self {
        let message =
            format!("no provider answered in time: {tried}; you were not charged; try again");
        Self::new(StatusCode::GATEWAY_TIMEOUT, "api_error", "upstream_timeout", message)
    }

    /// 429: every provider tried is over its rate limit.
    pub fn upstream_rate_limited(tried: &str, retry_after_s: u64) -> Self {
        let message = format!(
            "every provider tried is over its rate limit ({tried}); you were not charged; try \
             again in {retry_after_s} s"
        );
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, "rate_limit_error", "upstream_rate_limited", message)
            .retry_after(retry_after_s)
    }

    /// 502: the provider refused the gateway's own credential. Never shows the provider's words,
    /// which may quote part of the key.
    pub fn upstream_credential(provider: &str) -> Self {
        let message = format!(
            "the provider {provider} refused the gateway's own credential; the operator must check \
             providers.{provider}.api_key; you were not charged"
        );
        Self::new(StatusCode::BAD_GATEWAY, "api_error", "upstream_credential", message).final_word()
    }

    /// 503: too many connections or a shutdown.
    pub fn overloaded() -> Self {
        let message = "the gateway is at its limit of connections; try again".into();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "api_error", "overloaded", message)
            .retry_after(1)
    }

    /// 503: as much of this work is under way as may be at a time, in all or of the organization.
    pub fn busy(what: &str) -> Self {
        let message = format!("as many {what} as may be are being worked on; try again in 1 s");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "api_error", "busy", message).retry_after(1)
    }

    /// 500: a defect of the gateway. The cause is in the log under the request's id.
    pub fn internal() -> Self {
        let message =
            "the gateway failed on this request; you were not charged; the operator finds \
                       the cause in the log under the request id"
                .into();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", "internal_error", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withheld_answer_has_the_codes_of_a_refused_prompt_and_words_of_its_own() {
        let (input, output) = (Refusal::policy_blocked("keys"), Refusal::answer_withheld("keys"));
        assert_eq!((input.status, input.code), (output.status, output.code));
        assert!(output.final_word && output.message.contains("answer: keys"), "{output:?}");
        let (input, output) = (Refusal::redaction_failed(), Refusal::answer_check_failed());
        assert_eq!((input.status, input.code), (output.status, output.code));
        assert!(!output.message.contains("nothing was sent"), "{output:?}");
    }

    #[test]
    fn an_ambiguous_name_is_told_apart() {
        let options = ["a/large".to_owned(), "b/large".to_owned()];
        let refusal = Refusal::ambiguous_model("large", &options);
        assert_eq!((refusal.status.as_u16(), refusal.code), (400, "ambiguous_model"));
        assert!(refusal.message.contains("a/large, b/large"), "{}", refusal.message);
    }
}
