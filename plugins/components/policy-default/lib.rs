//! The four built-in decisions in one component, so that the default path pays for one instance.
//! Hands each question to the crate that answers it; decides nothing itself.
#![cfg(target_arch = "wasm32")]

use bill_default::BillDefault;
use classify_default::ClassifyDefault;
use redact_default::RedactDefault;
use route_default::RouteDefault;
use turnpike_policy_sdk::json::Json;
use turnpike_policy_sdk::{
    Bill, BillCall, Candidates, Classification, Classify, Figures, Findings, Line, Manifest,
    Objective, Place, Plugin, Redact, Refusal, Request, Route,
};

#[derive(Default)]
struct PolicyDefault {
    classify: ClassifyDefault,
    route: RouteDefault,
    redact: RedactDefault,
    bill: BillDefault,
}

impl Plugin for PolicyDefault {
    fn manifest() -> Manifest {
        let schemas = [
            ("classify", ClassifyDefault::manifest().config_schema),
            ("route", RouteDefault::manifest().config_schema),
            ("redact", RedactDefault::manifest().config_schema),
            ("bill", BillDefault::manifest().config_schema),
        ];
        let properties = schemas
            .into_iter()
            .filter(|(_, schema)| !schema.is_empty())
            .map(|(name, schema)| format!("\"{name}\":{schema}"))
            .collect::<Vec<_>>()
            .join(",");
        Manifest {
            name: "policy-default".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "the four built-in decisions".to_owned(),
            config_schema: format!(
                "{{\"type\":\"object\",\"additionalProperties\":false,\
                 \"properties\":{{{properties}}}}}"
            ),
        }
    }

    fn configure(&mut self, config: &str) -> Result<(), String> {
        for (name, part) in Json::parse(config)?.members() {
            match name.as_str() {
                "classify" => self.classify.apply(part)?,
                "route" => self.route.apply(part)?,
                "redact" => self.redact.apply(part)?,
                "bill" => self.bill.apply(part)?,
                other => return Err(format!("there is no decision {other} to configure")),
            }
        }
        Ok(())
    }
}

impl Classify for PolicyDefault {
    fn classify(&self, request: &dyn Request) -> Result<Classification, Refusal> {
        self.classify.classify(request)
    }
}

impl Route for PolicyDefault {
    fn score(
        &mut self,
        task: &Classification,
        figures: &Figures,
        objective: &Objective,
        candidates: &dyn Candidates,
    ) -> Result<Vec<f64>, Refusal> {
        self.route.score(task, figures, objective, candidates)
    }

    fn reason(&self, index: u32) -> String {
        self.route.reason(index)
    }
}

impl Redact for PolicyDefault {
    fn scan(&self, place: &Place, text: &str, last: bool) -> Result<Findings, Refusal> {
        self.redact.scan(place, text, last)
    }
}

impl Bill for PolicyDefault {
    fn price(&self, call: &BillCall) -> Result<Vec<Line>, Refusal> {
        self.bill.price(call)
    }
}

turnpike_policy_sdk::export_policy!(PolicyDefault);
