//! What a call asks for beside its conversation: vectors in place of an answer, betas, members that
//! not every provider takes. Never changes what the caller wrote.

use bytes::Bytes;

use crate::neutral::Losses;
use crate::neutral::loss::Severity;
use crate::quirks::Quirks;
use crate::splice;

use super::{Call, Outgoing, PaidTools, Points, text_edits};

// === impl Call ===

impl Call {
    /// The same call with the betas that a header names, separated by commas.
    pub fn with_betas(self, header: Option<&str>) -> Self {
        let named = header.unwrap_or_default().split(',').map(str::trim);
        let betas = named.filter(|beta| !beta.is_empty()).map(str::to_owned).collect();
        Self { betas, ..self }
    }

    /// Those of the betas that a provider gets.
    pub fn betas_for(&self, quirks: &Quirks) -> Vec<&str> {
        let asked = self.betas.iter().map(String::as_str);
        let known = |beta: &&str| match &quirks.betas {
            Some(known) => known.iter().any(|one| one == beta),
            None => true,
        };
        asked.filter(known).collect()
    }

    /// Whether vectors are asked for, and no answer.
    pub fn embeds(&self) -> bool {
        matches!(self.points, Points::Embeddings(_))
    }

    /// The member by which the caller bounds the answer: of those that its dialect has the one
    /// that it wrote.
    pub fn output_limit_field(&self) -> &'static str {
        match &self.points {
            Points::OpenAiChat(points) if points.has_completion_limit() => "max_completion_tokens",
            _ => self.dialect.output_limit_field(),
        }
    }

    /// Tokens that the caller sent in place of text. What they say can't be read here.
    pub fn token_ids(&self) -> usize {
        match &self.points {
            Points::Embeddings(points) => points.token_ids,
            _ => 0,
        }
    }

    /// What is lost when the provider does not get those tools of its own; nothing where the
    /// request offers none, or insists on one: it can't do without then.
    pub fn without_paid(&self, which: PaidTools) -> Losses {
        let mut losses = Losses::default();
        if let Points::OpenAiResponses(points) = &self.points {
            let searches = points.optional_searches.iter().filter(|_| which.searches);
            for place in searches {
                let what = "a search whose price at the provider is not known";
                losses.dropped(format!("tools[{place}]"), what);
            }
            for place in points.optional_hosted.iter().filter(|_| which.hosted) {
                let what = "a tool of the provider's whose price is not known";
                losses.dropped(format!("tools[{place}]"), what);
            }
        }
        losses
    }

    /// Which such tools it offers and can do without.
    pub fn can_do_without(&self) -> PaidTools {
        match &self.points {
            Points::OpenAiResponses(points) => PaidTools {
                searches: !points.optional_searches.is_empty(),
                hosted: !points.optional_hosted.is_empty(),
            },
            _ => PaidTools::default(),
        }
    }

    /// [`Call::encode`] without the tools that [`Call::without_paid`] tells of.
    pub fn encode_without_paid(&self, which: PaidTools, out: &Outgoing<'_>) -> Bytes {
        let Points::OpenAiResponses(points) = &self.points else { return self.encode(out) };
        let mut edits = text_edits(&self.texts);
        points.edits(out, &mut edits);
        points.cut_paid(which, &self.source.0, &mut edits);
        splice::apply(self.source.0.as_bytes(), edits, b"", b"")
    }

    /// Whether there is anything in it that some provider of its dialect refuses, and that is
    /// missed by at least as much.
    pub fn is_refusable(&self, least: Severity) -> bool {
        match &self.points {
            Points::OpenAiChat(points) => points.is_refusable(least),
            Points::OpenAiResponses(points) => points.is_refusable(least),
            Points::Anthropic(points) => !self.betas.is_empty() || points.is_refusable(least),
            Points::Embeddings(_) => true,
            Points::Gemini(_) => false,
        }
    }

    /// What [`Call::encode`] leaves out because the provider refuses it.
    pub fn refused(&self, quirks: &Quirks) -> Losses {
        let mut losses = Losses::default();
        match &self.points {
            Points::OpenAiChat(points) => points.note_refused(quirks, &mut losses),
            Points::Embeddings(points) => points.note_refused(quirks, &mut losses),
            Points::Anthropic(points) => points.note_refused(&self.betas, quirks, &mut losses),
            Points::OpenAiResponses(points) => points.note_refused(quirks, &mut losses),
            Points::Gemini(_) => {}
        }
        losses
    }
}

#[cfg(test)]
mod tests {
    use crate::{Call, Dialect};

    #[test]
    fn the_bound_on_an_answer_has_the_name_that_the_caller_wrote() {
        let chat = r#"{"model":"m","messages":[{"role":"user","content":"max_completion_tokens"}]"#;
        for (more, name) in [
            (r#","max_completion_tokens":9}"#, "max_completion_tokens"),
            (r#","max_tokens":9}"#, "max_tokens"),
            ("}", "max_tokens"),
        ] {
            let body = format!("{chat}{more}");
            let call = Call::parse(Dialect::OpenAiChat, body.into()).unwrap();
            assert_eq!(call.output_limit_field(), name, "{more}");
        }
        let responses = r#"{"model":"m","input":"x","max_output_tokens":9}"#;
        let call = Call::parse(Dialect::OpenAiResponses, responses.into()).unwrap();
        assert_eq!(call.output_limit_field(), "max_output_tokens");
    }
}
