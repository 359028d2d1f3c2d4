//! Says in one sentence why a row got its score. Figures only; no content and no names.

use turnpike_policy_sdk::MARK_WARM;

use crate::rank::{Aim, Row, Standing};

pub(crate) fn text(row: &Row) -> String {
    let Row { quality, floor, availability, .. } = row;
    match row.standing {
        Standing::PriceUnknown => "excluded: its price is unknown".to_owned(),
        Standing::TooDear { ceiling } => {
            format!("excluded: expected ${} is over the ceiling of ${ceiling}", usd(row.cost_usd))
        }
        Standing::TooSlow { ceiling } => format!(
            "excluded: expected first token after {:.0} ms is over the ceiling of {ceiling:.0} ms",
            row.first_token_ms
        ),
        Standing::Shaky => {
            format!("last resort: only {:.0} % of recent attempts answered", availability * 100.0)
        }
        Standing::BelowFloor => format!(
            "quality {quality:.2} is below the floor of {floor:.2}; after all that clear it"
        ),
        Standing::Clears => clears(row),
        Standing::Preferred => format!("preferred by a rule; {}", clears(row)),
        Standing::Stays => format!("stays with its conversation; {}", clears(row)),
    }
}

fn clears(row: &Row) -> String {
    let Row { quality, floor, .. } = row;
    let warm = if row.marks & MARK_WARM == 0 { "" } else { "; the session is warm here" };
    let cost = cost(row);
    match row.aim {
        Aim::Balanced | Aim::Cheapest => format!(
            "quality {quality:.2} clears the floor of {floor:.2}; \
             ranked by expected cost {cost}{warm}"
        ),
        Aim::Quickest => format!(
            "quality {quality:.2} clears the floor of {floor:.2}; ranked by expected time {:.0} \
             ms, and a little by expected cost {cost}{warm}",
            row.time_ms
        ),
        Aim::Best => format!("ranked by quality {quality:.2}{warm}"),
        Aim::Weighted([by_cost, by_speed, _]) => format!(
            "quality {quality:.2} clears the floor of {floor:.2}; {by_cost} % by expected cost \
             {cost}, {by_speed} % by expected time {:.0} ms, the rest by quality{warm}",
            row.time_ms
        ),
    }
}

/// The expected cost; of a price of zero also what it is taken for.
fn cost(row: &Row) -> String {
    match row.cost_usd > 0.0 {
        true => format!("${}", usd(row.cost_usd)),
        false => format!("$0, counted as ${}", usd(row.counted_usd)),
    }
}

/// Eight decimals show a hundredth of a cent's thousandth; more would only be noise.
fn usd(amount: f64) -> String {
    let text = format!("{amount:.8}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
