//! Anthropic's betas: what a body needs beyond the API, told in a header. Its own API judges them
//! itself; a cloud refuses a request for one that it does not know, so there only known ones go,
//! and the members of the body that need another one go with it. Never invents a beta.

use crate::neutral::Losses;
use crate::quirks::Quirks;

/// Members of a body with the beginnings of the betas that each needs, and whether it is refused
/// wherever none of them is sent.
const PAIRED: [(&str, &[&str], bool); 5] = [
    ("context_management", &["context-management-", "compact-"], true),
    ("mcp_servers", &["mcp-client-"], true),
    ("speed", &["fast-mode-"], true),
    ("container", &["code-execution-", "skills-"], false),
    ("output_format", &["structured-outputs-"], false),
];

/// The betas of one request, towards one provider.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Betas<'a> {
    asked: &'a [String],
    known: Option<&'a [String]>,
}

// === impl Betas ===

impl<'a> Betas<'a> {
    /// What `asked` comes to at a provider with these quirks.
    pub(crate) fn towards(asked: &'a [String], quirks: &'a Quirks) -> Self {
        Self { asked, known: quirks.betas.as_deref() }
    }

    /// The same where nothing is passed that is not known: no provider there takes all.
    pub(crate) fn known_alone(self) -> Self {
        Self { known: Some(self.known.unwrap_or_default()), ..self }
    }

    /// Those that are sent, as they came.
    pub(crate) fn sent(self) -> impl Iterator<Item = &'a str> {
        let asked = self.asked.iter().map(String::as_str);
        asked.filter(move |beta| self.takes(beta))
    }

    fn takes(self, beta: &str) -> bool {
        self.known.is_none_or(|known| known.iter().any(|one| one == beta))
    }

    /// Whether a member of the body must go, because what it needs does not travel with it.
    pub(crate) fn drops(self, member: &str) -> bool {
        let Some((_, needed, always)) = PAIRED.iter().find(|(name, ..)| *name == member) else {
            return false;
        };
        let begins = |one: &&str| needed.iter().any(|beta| one.starts_with(beta));
        let mut asked = self.asked.iter().map(String::as_str);
        self.known.is_some()
            && !self.sent().any(|one| begins(&one))
            && (*always || asked.any(|one| begins(&one)))
    }

    /// Whether a member of the body needs a beta that is sent.
    pub(crate) fn carries(self, member: &str) -> bool {
        let needed = PAIRED.iter().find(|(name, ..)| *name == member);
        let begins =
            |betas: &[&str]| self.sent().any(|one| betas.iter().any(|b| one.starts_with(b)));
        needed.is_some_and(|(_, betas, _)| begins(betas))
    }

    /// Notes the betas that are left out.
    pub(crate) fn note(self, losses: &mut Losses) {
        for beta in self.asked.iter().filter(|beta| !self.takes(beta)) {
            losses.dropped(format!("anthropic-beta.{beta}"), "the provider does not know it");
        }
    }
}

/// Whether a member of the body may have to go with its beta.
pub(crate) fn is_paired(member: &str) -> bool {
    PAIRED.iter().any(|(name, ..)| *name == member)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::quirks::Envelope;
    use crate::{Call, Dialect, LimitField, Outgoing, Quirks, translate};

    const MANAGED: &str = "context-management-2025-06-27";
    const THINKING: &str = "interleaved-thinking-2025-05-14";

    fn call(betas: &str) -> Call {
        let body = json!({"model": "m", "max_tokens": 9, "context_management": {"edits": []},
            "messages": [{"role": "user", "content": "hi"}], "unheard_of": 1});
        let call = Call::parse(Dialect::AnthropicMessages, body.to_string().into()).unwrap();
        call.with_betas(Some(betas))
    }

    fn quirks(known: &[&str], envelope: Envelope) -> Quirks {
        let betas = Some(known.iter().map(|beta| (*beta).to_owned()).collect());
        Quirks { betas, envelope, ..Quirks::default() }
    }

    fn out(quirks: &Quirks) -> Outgoing<'_> {
        Outgoing {
            model: "there",
            output_limit: None,
            model_limit: None,
            limit_field: LimitField::MaxTokens,
            quirks,
        }
    }

    fn lost(call: &Call, quirks: &Quirks) -> Vec<String> {
        call.refused(quirks).iter().map(|loss| loss.at.clone()).collect()
    }

    /// Pitfall 18: a beta that a cloud does not know makes it refuse the request.
    #[test]
    fn pitfall_18_a_cloud_gets_the_betas_that_it_knows_and_anthropic_all() {
        let call = call("claude-code-20250219, interleaved-thinking-2025-05-14 ,x-9");
        let all = ["claude-code-20250219", THINKING, "x-9"];
        assert_eq!(call.betas_for(&Quirks::default()), all);
        assert!(call.refused(&Quirks::default()).is_empty());
        let vertex = quirks(&[THINKING], Envelope::Vertex);
        assert_eq!(call.betas_for(&vertex), [THINKING]);
        assert_eq!(
            lost(&call, &vertex),
            ["anthropic-beta.claude-code-20250219", "anthropic-beta.x-9", "context_management"]
        );
        let bedrock = quirks(&[THINKING], Envelope::Bedrock);
        let body: Value = serde_json::from_slice(&call.encode(&out(&bedrock))).unwrap();
        assert_eq!(body["anthropic_beta"], json!([THINKING]));
        assert_eq!(body["unheard_of"], 1);
        let none = quirks(&[], Envelope::Bedrock);
        let body: Value = serde_json::from_slice(&call.encode(&out(&none))).unwrap();
        assert_eq!(body.get("anthropic_beta"), None);
    }

    /// Pitfall 19: a member without its beta is refused, and so is the reverse.
    #[test]
    fn pitfall_19_a_member_and_its_beta_travel_or_drop_as_a_pair() {
        let call = call(MANAGED);
        for envelope in [Envelope::Vertex, Envelope::Bedrock] {
            for (known, kept) in [(&[MANAGED][..], true), (&[][..], false)] {
                let quirks = quirks(known, envelope);
                let body: Value = serde_json::from_slice(&call.encode(&out(&quirks))).unwrap();
                assert_eq!(body.get("context_management").is_some(), kept, "{envelope:?}");
                assert_eq!(!call.betas_for(&quirks).is_empty(), kept);
                assert_eq!(lost(&call, &quirks).is_empty(), kept);
            }
        }
        let bare = super::tests::call("");
        assert_eq!(lost(&bare, &quirks(&[MANAGED], Envelope::Vertex)), ["context_management"]);
        assert!(bare.refused(&Quirks::default()).is_empty(), "Anthropic judges it itself");
    }

    #[test]
    fn pitfall_18_betas_travel_in_the_body_of_a_converse_request() {
        let call = call("claude-code-20250219,context-management-2025-06-27");
        let sent = |known: &[&str]| {
            let quirks = quirks(known, Envelope::Bedrock);
            let to = Dialect::BedrockConverse;
            let sent = translate::request(&call, to, &out(&quirks)).unwrap();
            let body: Value = serde_json::from_slice(&sent.body).unwrap();
            let lost: Vec<String> = sent.losses.iter().map(|loss| loss.at.clone()).collect();
            (body["additionalModelRequestFields"].clone(), lost)
        };
        let (extra, lost) = sent(&[MANAGED]);
        let managed = json!({"edits": []});
        assert_eq!(extra, json!({"context_management": managed, "anthropic_beta": [MANAGED]}));
        assert_eq!(lost, ["anthropic-beta.claude-code-20250219", "unheard_of"]);
        let (extra, lost) = sent(&[]);
        assert_eq!(extra, Value::Null);
        assert!(lost.iter().any(|at| at == "context_management"), "{lost:?}");
    }
}
