//! The columns of FOCUS 1.0 (FinOps Open Cost and Usage Specification): one line for each day,
//! model, provider, team, project, user and key. Costs are what was charged and what it would have
//! been at list prices; nothing here is an invoice, which comes from the ledger.

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

/// The lines of a report by [`GROUPS`] and a period of time.
pub(super) fn charges(
    org: &str,
    name: &str,
    report: &UsageReport,
    period: Period,
    zone: &TimeZone,
) -> Csv {
    let mut csv = Csv::default();
    csv.line(COLUMNS);
    // What was not answered was not charged, and has no provider.
    for group in report.groups.iter().filter(|group| group.totals.succeeded > 0) {
        csv.line(charge(org, name, group, period, zone));
    }
    csv
}

fn charge(
    org: &str,
    name: &str,
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
    let tags = json!({
        "team": team, "project": project, "user": user, "key": key, "task": task,
    });
    let requests = totals.requests;
    let description = format!("{requests} requests to {model} at {provider}");
    let none = String::new;
    let text = str::to_owned;
    [
        none(),
        cost.clone(),
        text(org),
        text(name),
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
        text(if team.is_empty() { key } else { team }),
        tags.to_string(),
    ]
}
