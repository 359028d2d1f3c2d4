//! What may be set about the bill: how much is put on the official rates, for everyone and by team.

use turnpike_policy_sdk::json::Json;

pub(crate) const SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"properties":{
"markup-percent":{"type":"number","minimum":0,"maximum":1000,"default":0,
"description":"put on every official price; 0 charges official rates"},
"teams":{"type":"object","additionalProperties":{"type":"number","minimum":0,"maximum":1000},
"description":"the same by team, in place of the general one"}}}"#;

/// The highest mark-up, in percent.
const PERCENT_MAX: f64 = 1_000.0;
/// A percent in the units that are counted with: hundredths.
const HUNDREDTHS: f64 = 100.0;

/// Mark-ups in hundredths of a percent.
#[derive(Debug, Default)]
pub(crate) struct Config {
    general: u32,
    teams: Vec<(String, u32)>,
}

impl Config {
    pub(crate) fn apply(&mut self, config: &Json) -> Result<(), String> {
        for (name, value) in config.members() {
            match name.as_str() {
                "markup-percent" => self.general = markup(name, value)?,
                "teams" if matches!(value, Json::Object(_)) => {
                    for (team, value) in value.members() {
                        self.teams.push((team.clone(), markup(team, value)?));
                    }
                }
                "teams" => return Err("teams is no object of mark-ups".to_owned()),
                other => return Err(format!("the bill has no setting {other}")),
            }
        }
        Ok(())
    }

    /// The mark-up of a team, or of callers without one.
    pub(crate) fn markup_of(&self, team: Option<&str>) -> u32 {
        let of = |team: &str| self.teams.iter().rev().find(|(name, _)| name == team);
        team.and_then(of).map_or(self.general, |(_, markup)| *markup)
    }
}

/// Exact to a hundredth of a percent, so that everyone can compute it again.
fn markup(name: &str, value: &Json) -> Result<u32, String> {
    let percent = value.as_f64().ok_or_else(|| format!("{name} is not a number"))?;
    if !(0.0..=PERCENT_MAX).contains(&percent) {
        return Err(format!("{name} is not within 0 and {PERCENT_MAX} percent"));
    }
    let hundredths = (percent * HUNDREDTHS).round();
    if (hundredths - percent * HUNDREDTHS).abs() > 1e-6 {
        return Err(format!("{name} is finer than a hundredth of a percent"));
    }
    Ok(hundredths as u32)
}

/// The note on a line, such as `mark-up 12.5 %`; none where there is no mark-up.
pub(crate) fn percent(hundredths: u32) -> String {
    match (hundredths, hundredths % 100) {
        (0, _) => String::new(),
        (_, 0) => format!("mark-up {} %", hundredths / 100),
        (_, rest) if rest % 10 == 0 => format!("mark-up {}.{} %", hundredths / 100, rest / 10),
        (_, rest) => format!("mark-up {}.{rest:02} %", hundredths / 100),
    }
}
