//! x
use turnpike_policy_sdk::json::Json;
use turnpike_policy_sdk::*;
#[derive(Debug, Default)]
pub struct ClassifyDefault;
impl ClassifyDefault {
    pub fn apply(&mut self, _c: &Json) -> Result<(), String> {
        Ok(())
    }
}
impl Plugin for ClassifyDefault {
    fn manifest() -> Manifest {
        Manifest::default()
    }
    fn configure(&mut self, _c: &str) -> Result<(), String> {
        Ok(())
    }
}
impl Classify for ClassifyDefault {
    fn classify(&self, r: &dyn Request) -> Result<Classification, Refusal> {
        Ok(Classification { task: r.id(), ..Default::default() })
    }
}
