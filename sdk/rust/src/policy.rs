//! What a policy implements: [`Plugin`] always, and one trait for each decision that it makes.

use crate::request::{Candidates, Request};
use crate::types::{
    BillCall, Classification, Figures, Findings, Line, Manifest, Objective, Place, Refusal,
};

/// Says who the policy is and takes its configuration. `Default` is the policy without one.
pub trait Plugin: Default {
    fn manifest() -> Manifest;

    /// Takes the binding's configuration: JSON that already fits the manifest's schema. Called
    /// once per fresh instance, and only when the binding has a configuration.
    ///
    /// # Errors
    /// What is wrong with the configuration, for the person who wrote it.
    fn configure(&mut self, config: &str) -> Result<(), String>;
}

/// Names the task of a request.
pub trait Classify {
    /// # Errors
    /// [`Refusal::Abstain`] leaves the decision to the host's default.
    fn classify(&self, request: &dyn Request) -> Result<Classification, Refusal>;
}

/// Ranks the offers that can serve a request.
pub trait Route {
    /// One score per row of `figures`, higher is better; NaN or below 0 excludes the row.
    ///
    /// # Errors
    /// [`Refusal::Abstain`] leaves the decision to the host's default.
    fn score(
        &mut self,
        task: &Classification,
        figures: &Figures,
        objective: &Objective,
        candidates: &dyn Candidates,
    ) -> Result<Vec<f64>, Refusal>;

    /// Why row `index` got its score; asked in the same instance, right after `score`.
    fn reason(&self, index: u32) -> String;
}

/// Finds what must not leave.
pub trait Redact {
    /// Scans a whole text (`last`) or a stream's window. No state is kept between calls.
    ///
    /// # Errors
    /// Any refusal makes the host refuse the request: redaction fails closed.
    fn scan(&self, place: &Place, text: &str, last: bool) -> Result<Findings, Refusal>;
}

/// Writes the lines of the bill.
pub trait Bill {
    /// # Errors
    /// Any refusal makes the host take the official rates.
    fn price(&self, call: &BillCall) -> Result<Vec<Line>, Refusal>;
}
