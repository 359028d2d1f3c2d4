//! Entries of a rule that fit nothing at present: mistyped, or about what is not there yet. Read
//! when a rule is written, so that whoever writes it is told; never when a request is routed.

use crate::catalog::nearest::nearest;
use crate::catalog::{ConfiguredCatalog, TASKS};

use super::Rule;
use super::compiled::Names;
use super::pattern::{Pattern, small};

/// The names by which a caller lets the gateway choose.
const AUTO: [&str; 4] = ["auto", "auto:cheap", "auto:fast", "auto:best"];

/// An entry that fits nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched {
    /// The member of the rule, such as `deny`.
    pub field: &'static str,
    /// Its place in that list, from 0.
    pub place: usize,
    /// As it was written.
    pub entry: String,
    /// What would fit and looks like it, the likeliest first.
    pub near: Vec<String>,
}

/// What a list is compared with.
struct Compared<'a> {
    names: Names,
    offers: &'a ConfiguredCatalog,
    aliases: &'a [String],
}

/// The entries of a rule that fit no offer, no region, no name that a caller could ask for, or no
/// task of the built-in classifier. Those about teams and projects are not compared: they name what
/// is known elsewhere.
/// `most` bounds how many are looked for suggestions for; of the others there are none.
pub fn unmatched(
    rule: &Rule,
    offers: &ConfiguredCatalog,
    aliases: &[String],
    most: usize,
) -> Vec<Unmatched> {
    let compared = Compared { names: Names::of(offers), offers, aliases };
    let mut found = Vec::new();
    for (field, list) in [
        ("allow", &rule.allow),
        ("deny", &rule.deny),
        ("prefer", &rule.prefer),
        ("regions", &rule.regions),
        ("when.model", &rule.when.model),
        ("when.task", &rule.when.task),
    ] {
        for (place, entry) in list.iter().enumerate() {
            if compared.fits(field, entry) {
                continue;
            }
            let near = match found.len() < most {
                true => compared.near(field, entry),
                false => Vec::new(),
            };
            found.push(Unmatched { field, place, entry: entry.clone(), near });
        }
    }
    found
}

// === impl Compared ===

impl Compared<'_> {
    /// As the compiled rule compares it.
    fn fits(&self, field: &str, entry: &str) -> bool {
        let pattern = Pattern::new(entry);
        let fits = |name: &String| pattern.fits(name);
        match field {
            "regions" => self.names.regions.iter().flatten().any(fits),
            "when.model" => self.asked().any(|name| pattern.fits(&small(name))),
            "when.task" => TASKS.into_iter().any(|task| pattern.fits(task)),
            _ if entry.contains('@') => self.names.ids.iter().any(fits),
            _ => self.names.models.iter().any(fits),
        }
    }

    fn near(&self, field: &str, entry: &str) -> Vec<String> {
        let near = match field {
            "regions" => self.offers.regions_like(entry),
            "when.task" => {
                let near = nearest(&entry.replace('*', ""), TASKS.into_iter());
                near.into_iter().map(str::to_owned).collect()
            }
            _ => self.offers.patterns_like(entry),
        };
        near.into_iter().filter(|near| self.fits(field, near)).collect()
    }

    /// What a caller may write as a model.
    fn asked(&self) -> impl Iterator<Item = &str> {
        let aliases = self.aliases.iter().map(String::as_str);
        AUTO.into_iter().chain(aliases).chain(self.offers.names())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::route::When;

    fn found(rule: &Rule) -> Vec<(&'static str, String, String)> {
        let offers = Catalog::embedded().unwrap().for_providers(&["openai", "groq"]).unwrap();
        let found = unmatched(rule, &offers, &["writer".to_owned()], 9);
        let told =
            |it: Unmatched| (it.field, it.entry, it.near.first().cloned().unwrap_or_default());
        found.into_iter().map(told).collect()
    }

    #[test]
    fn what_fits_an_offer_or_a_name_that_can_be_asked_for_is_not_told() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let rule = Rule {
            allow: texts(&["*", "OpenAI/*"]),
            deny: texts(&["*@groq", "openai/gpt-oss-120b@groq"]),
            prefer: texts(&["openai/gpt-5.4"]),
            when: When {
                model: texts(&["auto*", "Writer", "gpt-5.4", "openai/gpt-5.4@openai"]),
                team: texts(&["no-such-team"]),
                task: texts(&["Code", "*ation"]),
                ..When::default()
            },
            ..Rule::default()
        };
        assert_eq!(found(&rule), []);
    }

    #[test]
    fn what_fits_nothing_is_told_with_what_would() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let rule = Rule {
            deny: texts(&["*@gorq", "*@nowhere-at-all"]),
            prefer: texts(&["openai"]),
            when: When {
                model: texts(&["auto:quick", "wirter"]),
                task: texts(&["sumarization", "*", "legal-review-of-ours"]),
                ..When::default()
            },
            ..Rule::default()
        };
        let told = |field, entry: &str, near: &str| (field, entry.to_owned(), near.to_owned());
        let expected = vec![
            told("deny", "*@gorq", "*@groq"),
            told("deny", "*@nowhere-at-all", ""),
            told("prefer", "openai", "openai/*"),
            told("when.model", "auto:quick", ""),
            told("when.model", "wirter", ""),
            told("when.task", "sumarization", "summarization"),
            told("when.task", "legal-review-of-ours", ""),
        ];
        assert_eq!(found(&rule), expected);
    }
}
