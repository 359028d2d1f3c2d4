//! Refusals for money: what is short, by how much, and whether waiting helps. Never says what
//! others than the caller's own organization have.

use http::StatusCode;

use super::Refusal;

impl Refusal {
    /// 402: the organization's credit can't cover the worst case of the request.
    pub fn insufficient_credit(available: &str, needed: &str) -> Self {
        let message = format!(
            "the organization's credit can't cover this request: {available} USD available, at \
             least {needed} USD needed; send a shorter prompt, choose a cheaper model, or ask an \
             administrator to top up"
        );
        let status = StatusCode::PAYMENT_REQUIRED;
        Self::new(status, "insufficient_quota", "insufficient_credit", message).final_word()
    }

    /// 402 that passes: the credit would do, but other requests under way may need it.
    pub fn credit_is_held(available: &str, held: &str, needed: &str) -> Self {
        let message = format!(
            "the organization's credit can't cover this request now: {available} USD available, \
             at least {needed} USD needed, and {held} USD held by requests under way, most of \
             which comes back; try again in 1 s, and set max_tokens, by which less is held"
        );
        let status = StatusCode::PAYMENT_REQUIRED;
        Self::new(status, "insufficient_quota", "insufficient_credit", message).retry_after(1)
    }

    /// 429: what the plan gives each day is used up, and there is no other credit.
    pub fn allowance_used_up(plan: &str, needed: &str, ends_ms: Option<u64>, now_ms: u64) -> Self {
        let next = ends_ms.map_or_else(String::new, |ends_ms| {
            format!(" wait until {}, when the next day begins,", crate::clock::rfc3339(ends_ms))
        });
        let message = format!(
            "what the plan {plan:?} gives each day can't cover this request, which needs at \
             least {needed} USD;{next} choose a cheaper model, or ask an administrator to top up"
        );
        let status = StatusCode::TOO_MANY_REQUESTS;
        let refusal = Self::new(status, "insufficient_quota", "allowance_used_up", message);
        let wait_s = ends_ms.map(|at| at.saturating_sub(now_ms).div_ceil(1_000).max(1));
        Self { retry_after_s: wait_s, ..refusal.final_word() }
    }

    /// 429: a budget can't cover it: whose, what is left, and when it begins anew (milliseconds
    /// since the Unix epoch; none for a budget that never does).
    pub fn budget_exceeded(
        scope: &str,
        remaining: &str,
        needed: &str,
        ends_ms: Option<u64>,
        now_ms: u64,
    ) -> Self {
        let next = match ends_ms {
            Some(ends_ms) => {
                format!("wait until {}, when it begins anew", crate::clock::rfc3339(ends_ms))
            }
            None => "it never begins anew".to_owned(),
        };
        let message = format!(
            "the budget of {scope} can't cover this request: {remaining} USD left, at least \
             {needed} USD needed; send a shorter prompt, choose a cheaper model, {next}, or ask \
             for a larger budget"
        );
        let status = StatusCode::TOO_MANY_REQUESTS;
        let refusal = Self::new(status, "insufficient_quota", "budget_exceeded", message);
        let wait_ms = ends_ms.map(|ends_ms| ends_ms.saturating_sub(now_ms));
        let wait_s = wait_ms.map(|ms| ms.div_ceil(1_000).max(1));
        Self { retry_after_s: wait_s, ..refusal.final_word() }
    }

    /// 429 that passes: the budget would do, but other requests under way may need it.
    pub fn budget_is_held(scope: &str, left: &str, held: &str, needed: &str) -> Self {
        let message = format!(
            "the budget of {scope} can't cover this request now: {left} USD left, at least \
             {needed} USD needed, and {held} USD held by requests under way, most of which comes \
             back; try again in 1 s, and set max_tokens, by which less is held"
        );
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, "insufficient_quota", "budget_exceeded", message).retry_after(1)
    }

    /// The same where the money would do for an answer no longer than that.
    #[must_use]
    pub fn or_shorter(mut self, field: &str, tokens: u32) -> Self {
        let more = format!("; with {field} of at most {tokens} it would do");
        self.message.push_str(&more);
        self
    }

    /// The same where offers were left out that are without a tool which a provider runs.
    #[must_use]
    pub fn or_without_tool(mut self) -> Self {
        let more = "; leave out the tool that only its provider runs, and offers without it are \
                    asked, too";
        self.message.push_str(more);
        self
    }

    /// 402 that passes: other requests took the credit each time that it was there.
    pub fn credit_in_use(needed: &str) -> Self {
        let message = in_use("the organization's credit", needed);
        let status = StatusCode::PAYMENT_REQUIRED;
        Self::new(status, "insufficient_quota", "insufficient_credit", message).retry_after(1)
    }

    /// 429 that passes: the same of a budget.
    pub fn budget_in_use(needed: &str) -> Self {
        let message = in_use("a budget", needed);
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, "insufficient_quota", "budget_exceeded", message).retry_after(1)
    }
}

fn in_use(what: &str, needed: &str) -> String {
    format!(
        "requests under way hold what this one needs of {what}, at least {needed} USD; most of it \
         comes back; try again in 1 s"
    )
}
