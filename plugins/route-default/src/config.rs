//! The knobs of the built-in rule and their defaults.

use turnpike_policy_sdk::json::Json;

pub(crate) const SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"properties":{
"floor":{"type":"number","minimum":0,"maximum":1,"default":0.48,
"description":"quality floor of a trivial task"},
"floor-per-difficulty":{"type":"number","minimum":0,"maximum":1,"default":0.5,
"description":"added to the floor at difficulty 1"},
"cheap-relief":{"type":"number","minimum":0,"maximum":1,"default":0.15,
"description":"taken off the floor under the profile cheap"},
"quality-value":{"type":"number","minimum":0,"maximum":100,"default":5,
"description":"what 1 of quality is worth, in doublings of the price"},
"zero-price-share":{"type":"number","minimum":0.001,"maximum":1,"default":0.25,
"description":"what a price of zero counts as, of the least that another offer asks"},
"warm-slack":{"type":"number","minimum":0,"maximum":1,"default":0.05,
"description":"how far below the floor an offer may be that the session is warm at"},
"warm-premium":{"type":"number","minimum":1,"maximum":100,"default":4,
"description":"a warm session stays while this offer costs at most so many times the cheapest"},
"fast-cost-share":{"type":"number","minimum":0,"maximum":1,"default":0.15,
"description":"what the cost counts for beside the time under the profile fast"},
"shaky-below":{"type":"number","minimum":0,"maximum":1,"default":0.5,
"description":"availability under which an offer goes last"},
"typical-output-tokens":{"type":"number","minimum":1,"maximum":100000,"default":300,
"description":"length of an answer for the expected time under the profile fast"}}}"#;

#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Quality floor of a trivial task, 0 to 1.
    pub(crate) floor: f64,
    /// Added to the floor at difficulty 1.
    pub(crate) floor_per_difficulty: f64,
    /// Taken off the floor under the profile `cheap`.
    pub(crate) cheap_relief: f64,
    /// What 1 of quality is worth, in doublings of the price.
    pub(crate) quality_value: f64,
    /// What a price of zero counts as, of the least that another offer asks.
    pub(crate) zero_price_share: f64,
    /// How far below the floor an offer may be that the session is warm at.
    pub(crate) warm_slack: f64,
    /// A warm session stays while its offer costs at most so many times the cheapest.
    pub(crate) warm_premium: f64,
    /// Share of the cost beside the time under the profile `fast`.
    pub(crate) fast_cost_share: f64,
    /// Availability under which an offer goes last.
    pub(crate) shaky_below: f64,
    /// Tokens of an answer, for the expected time.
    pub(crate) typical_output_tokens: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            floor: 0.48,
            floor_per_difficulty: 0.5,
            cheap_relief: 0.15,
            quality_value: 5.0,
            zero_price_share: 0.25,
            warm_slack: 0.05,
            warm_premium: 4.0,
            fast_cost_share: 0.15,
            shaky_below: 0.5,
            typical_output_tokens: 300.0,
        }
    }
}

impl Config {
    pub(crate) fn apply(&mut self, config: &Json) -> Result<(), String> {
        for (name, value) in config.members() {
            let number = value.as_f64().ok_or_else(|| format!("{name} is not a number"))?;
            let (knob, range) = match name.as_str() {
                "floor" => (&mut self.floor, 0.0..=1.0),
                "floor-per-difficulty" => (&mut self.floor_per_difficulty, 0.0..=1.0),
                "cheap-relief" => (&mut self.cheap_relief, 0.0..=1.0),
                "quality-value" => (&mut self.quality_value, 0.0..=100.0),
                // Beside nothing every price is the same: endlessly much.
                "zero-price-share" => (&mut self.zero_price_share, 0.001..=1.0),
                "warm-slack" => (&mut self.warm_slack, 0.0..=1.0),
                "warm-premium" => (&mut self.warm_premium, 1.0..=100.0),
                "fast-cost-share" => (&mut self.fast_cost_share, 0.0..=1.0),
                "shaky-below" => (&mut self.shaky_below, 0.0..=1.0),
                "typical-output-tokens" => (&mut self.typical_output_tokens, 1.0..=100_000.0),
                other => return Err(format!("the router has no setting {other}")),
            };
            if !range.contains(&number) {
                return Err(format!("{name} is not within {} to {}", range.start(), range.end()));
            }
            *knob = number;
        }
        Ok(())
    }
}
