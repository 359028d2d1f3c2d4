//! The SDK's example: a classifier that looks for keywords in the last user message and names the
//! task that the configuration gives to the first one it finds. Without a match it abstains, and
//! the host's default decides. The README beside it shows how to build and upload it.

use turnpike_policy_sdk::json::Json;
use turnpike_policy_sdk::{
    Classification, Classify, Manifest, Plugin, Refusal, Request, export_classifier,
};

/// Only the end of a long message is read: that is where the question stands.
const WINDOW_BYTES: u32 = 4096;

const SCHEMA: &str = r#"{"type":"object","required":["keywords"],"additionalProperties":false,
"properties":{"keywords":{"type":"object","minProperties":1,
"description":"keyword to task, tried in this order","additionalProperties":{"type":"string"}}}}"#;

/// Keyword and task, in the order of the configuration.
#[derive(Debug, Default)]
pub struct Keywords(Vec<(String, String)>);

impl Plugin for Keywords {
    fn manifest() -> Manifest {
        Manifest {
            name: "example-classify-keyword".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "names the task by keywords from its configuration".to_owned(),
            config_schema: SCHEMA.to_owned(),
        }
    }

    fn configure(&mut self, config: &str) -> Result<(), String> {
        let config = Json::parse(config)?;
        let keywords = config.get("keywords").ok_or("there are no keywords")?;
        for (keyword, task) in keywords.members() {
            let task = task.as_str().ok_or_else(|| format!("{keyword} names no task"))?;
            self.0.push((keyword.to_lowercase(), task.to_owned()));
        }
        Ok(())
    }
}

impl Classify for Keywords {
    fn classify(&self, request: &dyn Request) -> Result<Classification, Refusal> {
        let last_user = (0..request.messages())
            .rev()
            .find(|index| request.message_role(*index).as_deref() == Some("user"))
            .ok_or(Refusal::Abstain)?;
        let start = request.message_length(last_user).saturating_sub(WINDOW_BYTES);
        let text = request.message_text(last_user, start, WINDOW_BYTES).to_lowercase();
        let (_, task) =
            self.0.iter().find(|(keyword, _)| text.contains(keyword)).ok_or(Refusal::Abstain)?;
        Ok(Classification {
            task: task.clone(),
            difficulty: 0.5,
            confidence: 0.9,
            ..Classification::default()
        })
    }
}

export_classifier!(Keywords);

#[cfg(test)]
mod tests {
    use turnpike_policy_sdk::mock::MockRequest;
    use turnpike_policy_sdk::{Classify, Plugin, Refusal};

    use super::Keywords;

    fn policy() -> Keywords {
        let mut policy = Keywords::default();
        policy.configure(r#"{"keywords": {"Invoice": "extraction", "poem": "writing"}}"#).unwrap();
        policy
    }

    #[test]
    fn the_first_keyword_of_the_last_user_message_names_the_task() {
        let request = MockRequest::new()
            .with_message("user", "a poem, please")
            .with_message("assistant", "roses are red")
            .with_message("user", "now read this INVOICE like a poem");
        assert_eq!(policy().classify(&request).unwrap().task, "extraction");
    }

    #[test]
    fn without_a_keyword_the_default_decides() {
        let request = MockRequest::new().with_message("user", "good morning");
        assert_eq!(policy().classify(&request), Err(Refusal::Abstain));
        assert_eq!(policy().classify(&MockRequest::new()), Err(Refusal::Abstain));
    }

    #[test]
    fn a_configuration_without_keywords_is_refused() {
        assert!(Keywords::default().configure("{}").is_err());
        assert!(Keywords::default().configure(r#"{"keywords":{"a":1}}"#).is_err());
    }
}
