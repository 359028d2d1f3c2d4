//! x
use turnpike_policy_sdk::*;
use turnpike_policy_sdk::json::Json;
#[derive(Debug, Default)]
pub struct RedactDefault;
impl RedactDefault { pub fn apply(&mut self, _c: &Json) -> Result<(), String> { Ok(()) } }
impl Plugin for RedactDefault { fn manifest() -> Manifest { Manifest::default() } fn configure(&mut self, _c:&str)->Result<(),String>{Ok(())} }
impl Redact for RedactDefault { fn scan(&self, _p:&Place,_t:&str,_l:bool)->Result<Findings,Refusal>{ Ok(Findings::default()) } }
