//! The built-in bill: official rates, one line per quantity, exact, and a mark-up where an operator
//! configures one. It discounts nothing, and refuses a price that it cannot read exactly instead
//! of guessing.

mod config;
mod money;

use config::Config;
use turnpike_policy_sdk::json::Json;
use turnpike_policy_sdk::{Bill, BillCall, Line, Manifest, Plugin, Refusal, Value};

/// The caller's team among the facts of a call.
const TEAM: &str = "caller.team";

/// Official rates, with a mark-up of zero unless it is configured.
#[derive(Debug, Default)]
pub struct BillDefault {
    config: Config,
}

impl BillDefault {
    /// Sets what the configuration names; the rest stays as it is.
    pub fn apply(&mut self, config: &Json) -> Result<(), String> {
        self.config.apply(config)
    }
}

impl Plugin for BillDefault {
    fn manifest() -> Manifest {
        Manifest {
            name: "bill-default".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "official rates, one line per quantity; a mark-up per team if set".to_owned(),
            config_schema: config::SCHEMA.to_owned(),
        }
    }

    fn configure(&mut self, config: &str) -> Result<(), String> {
        self.apply(&Json::parse(config)?)
    }
}

impl Bill for BillDefault {
    fn price(&self, call: &BillCall) -> Result<Vec<Line>, Refusal> {
        let team = call.attrs.iter().find_map(|(name, value)| match value {
            Value::Text(team) if name == TEAM => Some(team.as_str()),
            _ => None,
        });
        let markup = self.config.markup_of(team);
        let note = config::percent(markup);
        let mut lines = Vec::with_capacity(call.quantities.len());
        for quantity in &call.quantities {
            let unreadable = || {
                Refusal::Invalid(format!(
                    "the price of {} is no amount of at most 12 decimals",
                    quantity.item
                ))
            };
            let unit_price = match markup {
                0 => quantity.unit_price.clone(),
                _ => money::raised(&quantity.unit_price, markup).ok_or_else(unreadable)?,
            };
            let amount = money::times(&unit_price, quantity.count).ok_or_else(unreadable)?;
            let (item, count, note) = (quantity.item.clone(), quantity.count, note.clone());
            lines.push(Line { item, count, unit_price, amount, note });
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use turnpike_policy_sdk::{Bill, BillCall, Plugin, Quantity, Refusal, Value};

    use super::BillDefault;

    fn call(quantities: &[(&str, u32, &str)]) -> BillCall {
        BillCall {
            quantities: quantities
                .iter()
                .map(|(item, count, price)| Quantity {
                    item: (*item).to_owned(),
                    count: *count,
                    unit_price: (*price).to_owned(),
                })
                .collect(),
            settled: true,
            ..BillCall::default()
        }
    }

    #[test]
    fn every_quantity_gets_a_line_whose_amount_is_exact() {
        let call = call(&[("input", 1234, "0.0000025"), ("output", 3, "0.000000000001")]);
        let lines = BillDefault::default().price(&call).unwrap();
        let read: Vec<_> = lines.iter().map(|l| (l.item.as_str(), l.amount.as_str())).collect();
        assert_eq!(read, [("input", "0.003085"), ("output", "0.000000000003")]);
        assert!(lines.iter().zip(&call.quantities).all(|(line, quantity)| {
            line.count == quantity.count && line.unit_price == quantity.unit_price
        }));
    }

    #[test]
    fn a_price_that_is_no_exact_amount_is_never_guessed() {
        for price in ["", "free", "1e-6", "-1", "0.0000000000001", "1.2.3", "NaN"] {
            let refused = BillDefault::default().price(&call(&[("input", 1, price)]));
            assert!(matches!(refused, Err(Refusal::Invalid(_))), "{price}");
        }
    }

    fn configured(config: &str) -> BillDefault {
        let mut bill = BillDefault::default();
        bill.configure(config).unwrap();
        bill
    }

    #[test]
    fn without_a_configuration_the_mark_up_is_nothing() {
        for config in ["{}", r#"{"markup-percent":0}"#, r#"{"teams":{"research":12.5}}"#] {
            let lines = configured(config).price(&call(&[("input", 7, "0.0000025")])).unwrap();
            assert_eq!((&*lines[0].unit_price, &*lines[0].note), ("0.0000025", ""), "{config}");
        }
    }

    #[test]
    fn a_team_has_its_mark_up_and_the_others_the_general_one() {
        let bill = configured(r#"{"markup-percent":10,"teams":{"research":12.5,"free":0}}"#);
        let asked = |team: Option<&str>| {
            let mut call = call(&[("input", 1000, "0.0000025"), ("search", 1, "0.01")]);
            call.attrs = team
                .map(|team| ("caller.team".to_owned(), Value::Text(team.to_owned())))
                .into_iter()
                .collect();
            let lines = bill.price(&call).unwrap();
            let said: Vec<_> =
                lines.iter().map(|l| format!("{} {} {}", l.unit_price, l.amount, l.note)).collect();
            said.join(", ")
        };
        let general = "0.00000275 0.00275 mark-up 10 %, 0.011 0.011 mark-up 10 %";
        assert_eq!(asked(None), general);
        assert_eq!(asked(Some("sales")), general);
        let research = "0.0000028125 0.0028125 mark-up 12.5 %, 0.01125 0.01125 mark-up 12.5 %";
        assert_eq!(asked(Some("research")), research);
        assert_eq!(asked(Some("free")), "0.0000025 0.0025 , 0.01 0.01 ");
    }

    #[test]
    fn a_quote_is_never_below_what_is_charged_for_less() {
        let bill = configured(r#"{"markup-percent":3.33}"#);
        let amount = |count| {
            let lines = bill.price(&call(&[("output", count, "0.000000000007")])).unwrap();
            lines[0].amount.clone()
        };
        // A fraction of the smallest unit is the customer's, in the quote as in the bill.
        assert_eq!((&*amount(10), &*amount(11)), ("0.00000000007", "0.000000000077"));
    }

    #[test]
    fn what_is_no_mark_up_is_refused() {
        for config in [
            r#"{"discount":0.5}"#,
            r#"{"markup-percent":-1}"#,
            r#"{"markup-percent":"10"}"#,
            r#"{"markup-percent":1001}"#,
            r#"{"markup-percent":0.001}"#,
            r#"{"teams":{"a":-5}}"#,
            r#"{"teams":[]}"#,
        ] {
            assert!(BillDefault::default().configure(config).is_err(), "{config}");
        }
    }
}
