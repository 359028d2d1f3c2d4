//! The built-in bill: official rates, one line per quantity, exact. It adds nothing, discounts
//! nothing, and refuses a price that it cannot read exactly instead of guessing.

mod money;

use turnpike_policy_sdk::json::Json;
use turnpike_policy_sdk::{Bill, BillCall, Line, Manifest, Plugin, Refusal};

/// Official rates; takes no configuration.
#[derive(Debug, Default)]
pub struct BillDefault;

impl Plugin for BillDefault {
    fn manifest() -> Manifest {
        Manifest {
            name: "bill-default".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "official rates, one line per quantity".to_owned(),
            config_schema: String::new(),
        }
    }

    fn configure(&mut self, config: &str) -> Result<(), String> {
        if Json::parse(config)?.members().is_empty() {
            Ok(())
        } else {
            Err("official rates have nothing to configure".to_owned())
        }
    }
}

impl Bill for BillDefault {
    fn price(&self, call: &BillCall) -> Result<Vec<Line>, Refusal> {
        let mut lines = Vec::with_capacity(call.quantities.len());
        for quantity in &call.quantities {
            let amount = money::times(&quantity.unit_price, quantity.count).ok_or_else(|| {
                Refusal::Invalid(format!(
                    "the price of {} is no amount of at most 12 decimals",
                    quantity.item
                ))
            })?;
            lines.push(Line {
                item: quantity.item.clone(),
                count: quantity.count,
                unit_price: quantity.unit_price.clone(),
                amount,
                note: String::new(),
            });
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use turnpike_policy_sdk::{Bill, BillCall, Plugin, Quantity, Refusal};

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
        let lines = BillDefault.price(&call).unwrap();
        let read: Vec<_> = lines.iter().map(|l| (l.item.as_str(), l.amount.as_str())).collect();
        assert_eq!(read, [("input", "0.003085"), ("output", "0.000000000003")]);
        assert!(lines.iter().zip(&call.quantities).all(|(line, quantity)| {
            line.count == quantity.count && line.unit_price == quantity.unit_price
        }));
    }

    #[test]
    fn a_price_that_is_no_exact_amount_is_never_guessed() {
        for price in ["", "free", "1e-6", "-1", "0.0000000000001", "1.2.3", "NaN"] {
            let refused = BillDefault.price(&call(&[("input", 1, price)]));
            assert!(matches!(refused, Err(Refusal::Invalid(_))), "{price}");
        }
    }

    #[test]
    fn only_an_empty_configuration_is_taken() {
        assert!(BillDefault.configure("{}").is_ok());
        assert!(BillDefault.configure(r#"{"discount": 0.5}"#).is_err());
    }
}
