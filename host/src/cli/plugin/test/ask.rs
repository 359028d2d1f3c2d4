//! Asks a policy one case's question and writes the verdict as JSON, in the words of a case. Judges
//! nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use turnpike_ledger::PicoUsd;

use crate::policy::{
    Action, AttrValue, Classification, Findings, Line, Outcome, Place, PolicyFailure, Trial,
};

use super::cases::{Case, Question, Text};
use super::figures::Route;

/// The verdict on a case; a refusal or a failure is one too.
pub(super) async fn ask(trial: &mut Trial, case: &Case) -> Value {
    let outcome = match &case.question {
        Question::Classify => trial.classify().await.map(|it| classification(&it)),
        Question::Route(route) => score(trial, route).await,
        Question::Redact(text) => {
            let place = place(text);
            trial.scan(place, &text.text, true).await.map(|it| findings(&text.text, &it))
        }
        Question::Bill(bill) => match bill.call() {
            Ok(call) => trial.price(&call).await.map(|it| lines(&it)),
            Err(error) => return json!({ "refusal": "unasked", "detail": format!("{error:#}") }),
        },
    };
    outcome.unwrap_or_else(|failure| refusal(&failure))
}

pub(super) fn place(text: &Text) -> Place<'_> {
    Place { direction: &text.direction, channel: &text.channel, role: &text.role }
}

fn refusal(failure: &PolicyFailure) -> Value {
    json!({ "refusal": failure.kind.label(), "detail": failure.detail })
}

fn attrs(attrs: &[(String, AttrValue)]) -> Value {
    let value = |value: &AttrValue| match value {
        AttrValue::Text(text) => json!(text),
        AttrValue::Number(number) => json!(number),
        AttrValue::Flag(flag) => json!(flag),
    };
    Value::Object(attrs.iter().map(|(name, it)| (name.clone(), value(it))).collect())
}

fn classification(it: &Classification) -> Value {
    json!({
        "task": it.task, "difficulty": it.difficulty, "confidence": it.confidence,
        "needs": it.needs, "context_tokens": it.context_tokens, "attrs": attrs(&it.attrs),
    })
}

async fn score(trial: &mut Trial, route: &Route) -> Outcome<Value> {
    let (task, figures, objective) = (route.classification(), route.figures(), route.objective());
    let offers = route.offers();
    let scores = trial.score(&task, &figures, &objective, &offers).await?;
    let names = route.names();
    let mut order: Vec<(f64, &str)> = Vec::new();
    let mut excluded = Vec::new();
    for (name, score) in names.iter().zip(&scores) {
        match score {
            Some(score) => order.push((*score, name)),
            None => excluded.push(*name),
        }
    }
    // Stable: equal ones stay in the order of the case.
    order.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let order: Vec<&str> = order.into_iter().map(|(_, name)| name).collect();
    let by_offer: Map<String, Value> =
        names.iter().zip(&scores).map(|(name, score)| ((*name).to_owned(), json!(score))).collect();
    let mut out = json!({
        "first": order.first(), "order": order, "excluded": excluded, "scores": by_offer,
    });
    let rows: Vec<u32> = (0..).take(names.len()).collect();
    if let Some(reasons) = trial.reasons(&rows, &offers).await
        && let Some(fields) = out.as_object_mut()
    {
        let reasons = reasons?.into_iter().map(Value::String);
        let by_offer: Map<String, Value> =
            names.iter().map(|name| (*name).to_owned()).zip(reasons).collect();
        fields.insert("reasons".to_owned(), Value::Object(by_offer));
    }
    Ok(out)
}

fn findings(text: &str, found: &Findings) -> Value {
    let span = |span: &crate::policy::Span| {
        let end = span.start.saturating_add(span.length);
        let (action, with) = match &span.action {
            Action::Note => ("note", None),
            Action::Mask => ("mask", None),
            Action::Pseudonymize => ("pseudonymize", None),
            Action::Replace(with) => ("replace", Some(with)),
            Action::Block(why) => ("block", Some(why)),
        };
        let mut out = json!({
            "text": text.get(span.start..end), "kind": span.kind, "action": action,
            "start": span.start, "length": span.length,
        });
        if let (Some(with), Some(fields)) = (with, out.as_object_mut()) {
            fields.insert("with".to_owned(), json!(with));
        }
        out
    };
    let mut names = Names::default();
    let after = names.apply(text, found);
    json!({
        "text": after.as_ref().ok(), "blocked": after.as_ref().err(),
        "spans": found.spans.iter().map(span).collect::<Vec<_>>(),
        "data_class": found.data_class,
    })
}

/// The placeholders of one text: the same entity has the same one.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, Vec<String>>);

impl Names {
    /// The text as the gateway would send it on, up to what is held back; the error is the reason
    /// of a block.
    pub(super) fn apply(&mut self, text: &str, found: &Findings) -> Result<String, String> {
        let end = text.len().saturating_sub(found.hold);
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for span in &found.spans {
            let stop = span.start.saturating_add(span.length);
            let entity = text.get(span.start..stop).unwrap_or_default();
            out.push_str(text.get(at..span.start).unwrap_or_default());
            at = stop;
            match &span.action {
                Action::Note => out.push_str(entity),
                Action::Mask => out.push_str(&format!("[{}]", loud(&span.kind))),
                Action::Pseudonymize => out.push_str(&self.name(&span.kind, entity)),
                Action::Replace(with) => out.push_str(with),
                Action::Block(why) => return Err(why.clone()),
            }
        }
        out.push_str(text.get(at..end).unwrap_or_default());
        Ok(out)
    }

    fn name(&mut self, kind: &str, entity: &str) -> String {
        let known = self.0.entry(kind.to_owned()).or_default();
        let at = known.iter().position(|it| it == entity).unwrap_or_else(|| {
            known.push(entity.to_owned());
            known.len() - 1
        });
        format!("<{}_{}>", loud(kind), at + 1)
    }
}

fn loud(kind: &str) -> String {
    kind.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

fn lines(lines: &[Line]) -> Value {
    let usd = |pico| shortest(PicoUsd(pico));
    let line = |it: &Line| {
        json!({
            "item": it.item, "count": it.count, "unit_price": usd(it.unit_price_pico),
            "amount": usd(it.amount_pico), "note": it.note,
        })
    };
    // The host has checked that the sum fits.
    let total = lines.iter().fold(0_u128, |sum, it| sum.saturating_add(it.amount_pico));
    json!({ "total": usd(total), "lines": lines.iter().map(line).collect::<Vec<_>>() })
}

/// `0.5`, not `0.500000`.
fn shortest(amount: PicoUsd) -> String {
    let text = amount.to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Span;

    fn span(start: usize, length: usize, action: Action) -> Span {
        Span { start, length, kind: "staff-number".to_owned(), action }
    }

    #[test]
    fn the_text_is_what_the_gateway_would_send_on() {
        let found = Findings {
            spans: vec![
                span(0, 2, Action::Pseudonymize),
                span(3, 2, Action::Mask),
                span(6, 2, Action::Pseudonymize),
                span(9, 2, Action::Replace("x".to_owned())),
                span(12, 2, Action::Note),
            ],
            hold: 2,
            data_class: String::new(),
        };
        let text = Names::default().apply("E1 E2 E1 E3 E4 .", &found);
        assert_eq!(text.as_deref(), Ok("<STAFF_NUMBER_1> [STAFF_NUMBER] <STAFF_NUMBER_1> x E4"));
        let block = Findings { spans: vec![span(0, 1, Action::Block("no".to_owned()))], ..found };
        assert_eq!(Names::default().apply("E1", &block), Err("no".to_owned()));
    }

    #[test]
    fn amounts_are_written_as_short_as_they_can_be() {
        assert_eq!(shortest(PicoUsd(500_000_000_000)), "0.5");
        assert_eq!(shortest(PicoUsd(10_000_000_000_000)), "10");
        assert_eq!(shortest(PicoUsd(0)), "0");
    }
}
