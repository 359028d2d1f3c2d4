//! The columns of FOCUS 1.0 (FinOps Open Cost and Usage Specification): one line for each day,
//! model, provider, team, project, user and key. Costs are what was charged and what it would have
//! been at list prices; nothing here is an invoice, which comes from the ledger.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use serde_json::json;

use super::asked::bucket_of;
use super::csv::Csv;
use crate::admin::text::rfc3339;
use crate::auth::{Period, Window};
use crate::usage::{Dimension, Group, UsageReport};

/// What a line is about.
pub(super) const GROUPS: [Dimension; 7] = [
    Dimension::Model,
    Dimension::Provider,
    Dimension::Team,
    Dimension::Project,
    Dimension::User,
    Dimension::Key,
    Dimension::Task,
];

const COLUMNS: [&str; 43] = [
    "AvailabilityZone",
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
];

/// Whose charges they are.
pub(super) struct Payer<'a> {
    pub(super) org: &'a str,
    pub(super) name: &'a str,
    /// Names of keys, by id.
    pub(super) keys: &'a HashMap<String, String>,
    /// The tags by which lines are told apart beside [`GROUPS`].
    pub(super) tags: &'a [Dimension],
}

/// The lines of a report by [`GROUPS`], the tags, and a period of time, as it is now.
pub(super) fn charges(
    payer: &Payer<'_>,
    report: &UsageReport,
    (period, zone): (Period, &TimeZone),
    now_ms: u64,
) -> Csv {
    let mut csv = Csv::default();
    csv.line(COLUMNS);
    // A part of a day or month, at either end of the report, says which part it is: what two
    // reports have of one day is not the same charge twice. And none claims what is to come.
    let begin_ms = report.from_ms.max(report.complete_from_ms);
    let over_ms = report.to_ms.min(now_ms);
    for group in &report.groups {
        let at_ms = group.bucket_ms.unwrap_or(0);
        let month = bucket_of(Period::Month, zone, at_ms);
        let end_ms = bucket_of(period, zone, at_ms).end_ms;
        let start_ms = at_ms.max(begin_ms);
        // Where a clock was set back, what has begun may be to come.
        let end_ms = end_ms.map(|end_ms| end_ms.min(over_ms).max(start_ms));
        let charged = Window { start_ms, end_ms };
        csv.line(charge(payer, group, month, charged));
    }
    csv
}

fn charge(
    payer: &Payer<'_>,
    group: &Group,
    month: Window,
    charged: Window,
) -> [String; COLUMNS.len()] {
    let mut values = group.values.iter();
    let [model, provider, team, project, user, key, task] =
        std::array::from_fn(|_| values.next().and_then(|value| value.as_deref()).unwrap_or(""));
    let end = |window: Window| window.end_ms.map(rfc3339).unwrap_or_default();
    let totals = &group.totals;
    let tokens = totals.usage.input_tokens().saturating_add(totals.usage.output_tokens());
    let (cost, list) = (totals.cost_usd.to_string(), totals.list_usd.to_string());
    let publisher = model.split_once('/').map_or("", |(vendor, _)| vendor);
    let key_name = payer.keys.get(key).map_or(key, String::as_str);
    let mut tags = json!({
        "team": team, "project": project, "user": user, "key": key, "key_name": key_name,
        "task": task,
    });
    if let Some(tags) = tags.as_object_mut() {
        let tagged = payer.tags.iter().zip(values);
        tags.extend(tagged.map(|(tag, value)| (tag.label(), json!(value))));
    }
    let requests = totals.requests;
    let description = format!("{requests} requests to {model} at {provider}");
    let none = String::new;
    let text = str::to_owned;
    [
        none(),
        cost.clone(),
        text(payer.org),
        text(payer.name),
        text("USD"),
        end(month),
        rfc3339(month.start_ms),
        text("Usage"),
        none(),
        description,
        text("Usage-Based"),
        end(charged),
        rfc3339(charged.start_ms),
        none(),
        none(),
        none(),
        none(),
        none(),
        tokens.to_string(),
        text("Tokens"),
        cost.clone(),
        none(),
        cost,
        text("Turnpike"),
        list,
        none(),
        text("Standard"),
        tokens.to_string(),
        text("Tokens"),
        text(provider),
        text(publisher),
        none(),
        none(),
        text(model),
        text(model),
        text("Model"),
        text("AI and Machine Learning"),
        text(provider),
        text(model),
        none(),
        text(if team.is_empty() { key } else { team }),
        text(if team.is_empty() { key_name } else { team }),
        tags.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::text::parse_time;
    use crate::usage::Totals;

    fn at(text: &str) -> u64 {
        parse_time("from", text).unwrap()
    }

    /// The fields of the first line.
    fn line(csv: &Csv) -> HashMap<String, String> {
        let mut lines = csv.text().lines();
        let head = lines.next().unwrap().split(',').map(str::to_owned);
        head.zip(lines.next().unwrap().split(',').map(str::to_owned)).collect()
    }

    /// Else what two months' exports have of the day between them would look like one charge that
    /// is there twice.
    #[test]
    fn a_part_of_a_day_is_charged_as_that_part() {
        let keys = HashMap::new();
        let payer = Payer { org: "acme", name: "Acme", keys: &keys, tags: &[] };
        let day = Group {
            bucket_ms: Some(at("2026-11-01T00:00:00Z")),
            values: vec![Some("openai/gpt".into()), Some("openai".into())],
            totals: Totals { requests: 1, ..Totals::default() },
        };
        let mut report = UsageReport {
            groups: vec![day],
            groups_left_out: 0,
            total: Totals::default(),
            from_ms: at("2026-10-01"),
            to_ms: at("2026-12-01"),
            complete_from_ms: 0,
            detailed_from_ms: 0,
            told_apart_from_ms: 0,
            complete_to_ms: u64::MAX,
        };
        let by = (Period::Day, &TimeZone::UTC);
        let period_at = |report: &UsageReport, now_ms: u64| {
            let line = line(&charges(&payer, report, by, now_ms));
            assert_eq!(line["BillingPeriodStart"], "2026-11-01T00:00:00Z");
            assert_eq!(line["BillingPeriodEnd"], "2026-12-01T00:00:00Z");
            [line["ChargePeriodStart"].clone(), line["ChargePeriodEnd"].clone()]
        };
        let period = |report: &UsageReport| period_at(report, at("2026-12-01"));
        let running = period_at(&report, at("2026-11-01T10:15:00Z"));
        assert_eq!(running, ["2026-11-01T00:00:00Z", "2026-11-01T10:15:00Z"], "the day goes on");
        assert_eq!(period(&report), ["2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"]);
        report.to_ms = at("2026-11-01T05:00:00Z");
        assert_eq!(period(&report), ["2026-11-01T00:00:00Z", "2026-11-01T05:00:00Z"]);
        report.from_ms = at("2026-11-01T03:00:00Z");
        assert_eq!(period(&report), ["2026-11-01T03:00:00Z", "2026-11-01T05:00:00Z"]);
        report.complete_from_ms = at("2026-11-01T04:00:00Z");
        assert_eq!(period(&report)[0], "2026-11-01T04:00:00Z");
    }
}
