//! The columns of FOCUS 1.0 (FinOps Open Cost and Usage Specification): one line for each day,
//! model, provider, team, project, user and key. Costs are what was charged and what it would have
//! been at list prices; nothing here is an invoice, which comes from the ledger.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use serde_json::json;

use super::csv::Csv;
use crate::admin::text::rfc3339;
use crate::auth::{Period, window_of};
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

/// The lines of a report by [`GROUPS`], the tags, and a period of time.
pub(super) fn charges(
    payer: &Payer<'_>,
    report: &UsageReport,
    period: Period,
    zone: &TimeZone,
) -> Csv {
    let mut csv = Csv::default();
    csv.line(COLUMNS);
    // What nobody was asked for has no provider and no price: a refusal, a count of tokens.
    let provider = GROUPS.iter().position(|one| *one == Dimension::Provider);
    let served = |group: &&Group| {
        let provider = provider.and_then(|place| group.values.get(place)?.as_deref());
        provider.is_some_and(|name| !name.is_empty())
    };
    for group in report.groups.iter().filter(served) {
        csv.line(charge(payer, group, period, zone));
    }
    csv
}

fn charge(
    payer: &Payer<'_>,
    group: &Group,
    period: Period,
    zone: &TimeZone,
) -> [String; COLUMNS.len()] {
    let mut values = group.values.iter();
    let [model, provider, team, project, user, key, task] =
        std::array::from_fn(|_| values.next().and_then(|value| value.as_deref()).unwrap_or(""));
    let at = group.bucket_ms.unwrap_or(0);
    let month = window_of(Period::Month, zone, at);
    let end = |window: crate::auth::Window| window.end_ms.map(rfc3339).unwrap_or_default();
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
        end(window_of(period, zone, at)),
        rfc3339(at),
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
