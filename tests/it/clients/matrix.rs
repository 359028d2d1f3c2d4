//! The matrix client × provider × case as a page: `docs/compatibility.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use turnpike_simulate::Dialect;

use super::roster::CLIENTS;
use super::run::{Line, Report};
use super::script::PROVIDERS;

/// The cases, in the order of the columns.
pub(super) const CASES: [&str; 8] = [
    "text",
    "streaming",
    "tool loop",
    "parallel tools",
    "image",
    "structured output",
    "error",
    "cancelled stream",
];

const OPENING: &str = "\
# Compatibility

Which clients work with which provider families through Turnpike. The clients are the real packages
and programs, installed by name, given a base URL, a key and the name of a model, and nothing else;
the providers are simulated, one of each family. `make test` runs all of it and fails when this page
is not what came out; `TURNPIKE_UPDATE=1 make test` writes it.

- **text**: a whole answer and its usage, text beyond ASCII; token counting in the Python packages
  of Anthropic and Google
- **streaming**: the pieces and what the client makes of them; order of events and usage at the end
  where it shows them
- **tool loop**: two tool calls in two steps, the second made of the first one's result; programs
  write a file and then edit it
- **parallel tools**: two calls in one turn and both results
- **image**: a picture as base64, found unchanged in what the provider received
- **structured output**: a schema in, an object of it out
- **error**: a model that does not exist as the client's own exception, or a failed run; in OpenAI's
  Chat and Anthropic's and Google's packages a wrong key too
- **cancelled stream**: the caller stops reading; the same client then goes on to work
";

/// The whole page.
pub(super) fn page(reports: &[Report]) -> String {
    let mut out = OPENING.to_owned();
    let mut notes: Vec<String> = Vec::new();
    for (provider, dialect) in PROVIDERS {
        let title = format!("A provider that speaks {}: models `{provider}/…`", label(dialect));
        write_table(&mut out, &title, provider, reports, &mut notes);
    }
    if !notes.is_empty() {
        out.push_str("\n## Not applicable\n\n");
        for (number, note) in (1..).zip(&notes) {
            // A list that Markdown numbers itself.
            out.push_str(&format!("{number}. {note}\n"));
        }
    }
    out
}

fn write_table(
    out: &mut String,
    title: &str,
    provider: &str,
    reports: &[Report],
    notes: &mut Vec<String>,
) {
    out.push_str(&format!("\n## {title}\n\n| client | speaks | {} |\n", CASES.join(" | ")));
    out.push_str(&format!("|---|---|{}\n", "---|".repeat(CASES.len())));
    for client in CLIENTS {
        let Some(report) = reports.iter().find(|report| report.client.id == client.id) else {
            continue;
        };
        let cells: Vec<String> = CASES
            .iter()
            .map(|case| match report.line(provider, case) {
                None => "?".to_owned(),
                Some(line) if line.result == "n/a" => {
                    format!("n/a ({})", number(notes, &line.detail))
                }
                Some(line) => line.result.clone(),
            })
            .collect();
        let (name, speaks) = (report.name(), label(client.dialect));
        out.push_str(&format!("| {name} | {speaks} | {} |\n", cells.join(" | ")));
    }
}

/// A dialect's name in configurations.
fn label(dialect: Dialect) -> String {
    let label = serde_json::to_value(dialect).unwrap_or_default();
    label.as_str().unwrap_or("?").to_owned()
}

/// The number of a note; the same text has one number.
fn number(notes: &mut Vec<String>, text: &str) -> usize {
    if let Some(at) = notes.iter().position(|note| note == text) {
        return at + 1;
    }
    notes.push(text.to_owned());
    notes.len()
}

// === impl Report ===

impl Report {
    /// The line of a case.
    pub(super) fn line(&self, provider: &str, case: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.provider == provider && line.case == case)
    }

    /// The client with its packages.
    fn name(&self) -> String {
        let packages = self.versions.iter().map(|(name, version)| format!("`{name}` {version}"));
        format!("{}<br>{}", self.client.label, packages.collect::<Vec<_>>().join(", "))
    }
}

/// Cases that failed, with what was seen; and those of which nothing is known.
pub(super) fn failures(reports: &[Report], providers: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    for report in reports {
        for provider in providers {
            for case in CASES {
                let at = format!("{} × {provider} × {case}", report.client.id);
                match report.line(provider, case) {
                    None => out.push(format!("{at}: not reported")),
                    Some(line) if line.result == "FAIL" => {
                        out.push(format!("{at}: {}", line.detail));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    out
}

/// How long each client took, and its slowest case.
pub(super) fn times(reports: &[Report]) -> String {
    let mut out = String::new();
    let mut all: BTreeMap<u64, String> = BTreeMap::new();
    for report in reports {
        let total: u64 = report.lines.iter().map(|line| line.took_ms).sum();
        let slowest = report.lines.iter().max_by_key(|line| line.took_ms);
        let slowest = slowest.map_or_else(String::new, |line| {
            format!("{} × {}: {} ms", line.provider, line.case, line.took_ms)
        });
        all.insert(total, format!("{:28} {total:>7} ms, slowest {slowest}", report.client.id));
    }
    for line in all.values().rev() {
        // Writing to a text can't fail.
        let _written = writeln!(out, "{line}");
    }
    out
}

/// A release is gated on all of it: no client, no family of providers and no case is missing from
/// the page, and each is well or cannot be.
#[test]
fn pitfall_25_every_client_and_provider_and_case_is_on_the_page_and_well() -> anyhow::Result<()> {
    let page = std::fs::read_to_string(turnpike_tests::repository().join("docs/compatibility.md"))?;
    let sections: Vec<&str> = page.split("\n## A provider that speaks ").skip(1).collect();
    assert_eq!(sections.len(), PROVIDERS.len(), "a section for each family of providers");
    let mut good = 0;
    for ((provider, dialect), section) in PROVIDERS.into_iter().zip(sections) {
        assert!(section.starts_with(&format!("{}: models `{provider}/", label(dialect))));
        let rows: Vec<Vec<&str>> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
            .map(|line| line.split(" | ").collect())
            .collect();
        let (head, rows) = rows.split_first().expect("a head");
        assert_eq!(head[2..], CASES, "the columns at {provider}");
        assert_eq!(rows.len(), CLIENTS.len(), "the rows at {provider}");
        for (client, row) in CLIENTS.iter().zip(rows) {
            let (name, cells) = (row[0], &row[2..]);
            assert!(name.starts_with(&format!("{}<br>", client.label)), "{name} at {provider}");
            assert_eq!((row[1], cells.len()), (&*label(client.dialect), CASES.len()), "{name}");
            let bad = cells.iter().find(|cell| **cell != "ok" && !cell.starts_with("n/a ("));
            assert!(bad.is_none(), "{name} at {provider}: {bad:?}");
            good += cells.iter().filter(|cell| **cell == "ok").count();
        }
    }
    // Codex shows no pieces of a stream: one cell of each family.
    let all = PROVIDERS.len() * CLIENTS.len() * CASES.len();
    assert!(good + PROVIDERS.len() >= all, "{good} of {all}");
    Ok(())
}
