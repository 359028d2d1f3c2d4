//! The built-in choice among the offers that can serve a request: among those whose quality
//! clears the floor for the difficulty the cheapest (`balanced`, `cheap`), the quickest (`fast`),
//! or simply the best (`best`); ceilings exclude, poor availability goes last, a warm session stays
//! where it is while nothing is much better. It looks only at figures, never at names, and the host
//! has already dropped what can't or may not serve.

mod burden;
mod config;
mod rank;
mod reason;

use turnpike_policy_sdk::json::Json;
use turnpike_policy_sdk::{
    Candidates, Classification, Figures, Manifest, Objective, Plugin, Refusal, Route,
};

use config::Config;
use rank::Row;

/// The built-in router. Keeps the rows of the last `score`, to give reasons for them.
#[derive(Debug, Default)]
pub struct RouteDefault {
    config: Config,
    rows: Vec<Row>,
}

impl RouteDefault {
    /// Takes a configuration that is parsed already.
    ///
    /// # Errors
    /// Which member is unknown or out of range.
    pub fn apply(&mut self, config: &Json) -> Result<(), String> {
        self.config.apply(config)
    }
}

impl Plugin for RouteDefault {
    fn manifest() -> Manifest {
        Manifest {
            name: "route-default".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "the cheapest, quickest or best offer that clears the quality floor"
                .to_owned(),
            config_schema: config::SCHEMA.to_owned(),
        }
    }

    fn configure(&mut self, config: &str) -> Result<(), String> {
        self.apply(&Json::parse(config)?)
    }
}

impl Route for RouteDefault {
    fn score(
        &mut self,
        task: &Classification,
        figures: &Figures,
        objective: &Objective,
        _candidates: &dyn Candidates,
    ) -> Result<Vec<f64>, Refusal> {
        self.rows = rank::rank(&self.config, task.difficulty, figures, objective)?;
        Ok(self.rows.iter().map(|row| row.score).collect())
    }

    fn reason(&self, index: u32) -> String {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.rows.get(index))
            .map_or_else(String::new, reason::text)
    }
}

#[cfg(test)]
mod tests;
