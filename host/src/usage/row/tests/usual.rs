//! A record as they usually are, for tests of what records take.

use super::*;

/// A request as it is under load: 40 candidates, a third of them out.
pub(super) fn usual() -> Record {
    let id = v7(1_790_000_000_123, [7; 10]);
    let cost = PicoUsd(1_512 * 2_500_000);
    let usage = Usage { input_uncached: 1_204, output_text: 308, requests: 1, ..Usage::default() };
    let event = UsageEvent {
        id,
        at_ms: 1_790_000_000_123,
        org: "acme".into(),
        key: "key_01h455vb4pex5vsknk084sn02q".into(),
        team: Some("search".into()),
        project: Some("ranking".into()),
        user: Some("someone@acme.example".into()),
        tags: vec![("job".into(), "nightly".into())],
        protocol: "openai-chat".into(),
        model_asked: "auto".into(),
        offer: Some("vendor/model-3@provider".into()),
        model: Some("vendor/model-3".into()),
        provider: Some("provider".into()),
        task: Some("code".into()),
        stream: true,
        status: 200,
        settlement: "complete".into(),
        usage,
        cost_usd: cost,
        attempts: 1,
        duration_ms: 2_345,
        session: Some(uuid_text(7, false)),
        agent: None,
        parent_agent: None,
        list_usd: None,
        baseline_usd: Some(cost),
    };
    let mut e = Explanation::begin(id, "acme".into(), event.key.clone(), "auto".into());
    e.profile = Some("balanced".into());
    e.task = Some(TaskFact {
        task: "code".into(),
        difficulty: 0.471_234_567_89,
        confidence: 0.8,
        needs: vec!["tools".into()],
        decided_by: "classify-default@1.0.0".into(),
    });
    e.candidates = (0..40).map(usual_candidate).collect();
    e.plan = e.candidates.iter().filter(|c| c.score.is_some()).map(|c| c.offer.clone()).collect();
    e.attempts.push(AttemptFact {
        offer: "vendor/model-3@provider".into(),
        outcome: "answered".into(),
        status: Some(200),
        ms: 2_330,
        first_byte_ms: Some(410),
        detail: None,
    });
    e.usage = usage;
    e.usage_source = Some("provider".into());
    e.line_items = ["input", "output"].map(|item| line(item, 1_204)).into();
    (e.hold_usd, e.cost_usd, e.settlement) = (PicoUsd(9_123_450_000), cost, "complete".into());
    e.policies = ["classify", "route", "redact", "bill"].map(usual_policy).into();
    e.timing = Timing { first_content_us: 412_345, total_us: 2_345_678, ..Timing::default() };
    Record { event, explanation: e }
}

fn line(item: &'static str, count: u64) -> LineItem {
    let unit_price_usd = PicoUsd(2_500_000);
    let amount_usd = PicoUsd(u128::from(count) * unit_price_usd.0);
    LineItem { item: item.into(), count, unit_price_usd, amount_usd, note: None }
}

fn usual_policy(hook: &'static str) -> PolicyFact {
    PolicyFact {
        hook: hook.into(),
        policy: "policy-default".into(),
        version: "1.0.0".into(),
        digest: "0123456789abcdef".repeat(4).into(),
        config: None,
        micros: 41,
        failure: None,
    }
}

fn usual_candidate(n: u32) -> CandidateFact {
    let offer = format!("vendor/model-{n}@provider").into();
    if n.is_multiple_of(3) {
        let rejected = format!("the request may need {} tokens, it takes 8192", 9_000 + n);
        let (rejected, reason_code) = (Some(rejected.into()), Some("context".into()));
        return CandidateFact { offer, rejected, reason_code, ..CandidateFact::default() };
    }
    CandidateFact {
        offer,
        score: Some(0.731_234_567_891 + f64::from(n) / 977.0),
        quality: Some(0.612_345_678 + f64::from(n) / 1_234.0),
        expected_cost_usd: Some(PicoUsd(u128::from(1_204 + n) * 1_250_000)),
        first_token_ms: Some(if n < 20 { 800.0 } else { 812.345_678 + f64::from(n) * 3.21 }),
        // As it is of an offer that was never asked, and of one that was.
        figures: Some(FiguresFact {
            first_token_p95_ms: if n < 20 { 800.0 } else { 1_412.5 },
            tokens_per_second: if n < 20 { 60.0 } else { 81.25 },
            availability: 1.0,
            quality_estimated: true,
            ..FiguresFact::default()
        }),
        rejected: None,
        reason_code: None,
    }
}
