//! What policies counted, in the text of the metrics: sums, and samples as sum and count, each with
//! its organization, plugin and name. Shows what the policy room has; counts nothing itself.

use crate::policy::{Counted, Fetched, PolicyEngine};

/// One figure of what a plugin asked of the network.
type Figure = fn(&Fetched) -> u64;

/// What policies counted, and what they asked of the network.
pub(super) fn all(engine: &PolicyEngine) -> String {
    text(&engine.counted()) + &network(&engine.fetched())
}

/// What policies cost in fetches; nothing where there were none.
fn network(fetched: &[Fetched]) -> String {
    let seconds = |micros: u64| {
        let whole = micros / 1_000_000;
        format!("{whole}.{:06}", micros % 1_000_000)
    };
    let families: [(&str, &str, Figure); 4] = [
        ("turnpike_policy_fetches", "Requests of policies to the network", |one| one.fetches),
        ("turnpike_policy_fetch_failures", "Those without an answer", |one| one.failures),
        ("turnpike_policy_fetch_bytes", "Bytes of their bodies, both ways", |one| one.bytes),
        ("turnpike_policy_fetch_seconds", "Time that requests waited for them", |one| one.micros),
    ];
    let mut out = String::new();
    for (family, help, number) in families {
        if fetched.is_empty() {
            break;
        }
        out.push_str(&format!("# HELP {family} {help}.\n# TYPE {family} counter\n"));
        for one in fetched {
            let Fetched { org, plugin, .. } = one;
            let number = number(one);
            let number = match family.ends_with("_seconds") {
                true => seconds(number),
                false => number.to_string(),
            };
            let labels = format!("{{organization=\"{org}\",plugin=\"{plugin}\"}}");
            out.push_str(&format!("{family}_total{labels} {number}\n"));
        }
    }
    out
}

/// Families in the text format, without the end mark; nothing where nothing was counted.
pub(super) fn text(counted: &[Counted]) -> String {
    let mut out = String::new();
    let families = [
        (false, "turnpike_policy_counter", "counter", "What policies count for themselves"),
        (true, "turnpike_policy_sample", "summary", "What policies observe for themselves"),
    ];
    for (samples, family, kind, help) in families {
        let mut own = counted.iter().filter(|one| one.samples == samples).peekable();
        if own.peek().is_none() {
            continue;
        }
        out.push_str(&format!("# HELP {family} {help}.\n# TYPE {family} {kind}\n"));
        for one in own {
            let Counted { org, plugin, name, sum, count, .. } = one;
            // Ids and labels: none of them has a quote, a backslash or a line's end.
            let labels = format!("{{organization=\"{org}\",plugin=\"{plugin}\",name=\"{name}\"}}");
            out.push_str(&match samples {
                false => format!("{family}_total{labels} {sum:?}\n"),
                true => format!("{family}_sum{labels} {sum:?}\n{family}_count{labels} {count}\n"),
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_fetched_is_told_by_plugin() {
        let one = Fetched {
            org: "acme".to_owned(),
            plugin: "mine".to_owned(),
            fetches: 3,
            failures: 1,
            micros: 1_500_000,
            bytes: 77,
        };
        let shown = network(&[one]);
        let labels = r#"{organization="acme",plugin="mine"}"#;
        for line in [
            format!("turnpike_policy_fetches_total{labels} 3"),
            format!("turnpike_policy_fetch_seconds_total{labels} 1.500000"),
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line} in {shown}");
        }
        assert_eq!(network(&[]), "");
    }

    #[test]
    fn sums_and_samples_are_families_of_their_own() {
        let one = |samples, sum, count| Counted {
            org: "acme".to_owned(),
            plugin: "mine".to_owned(),
            name: "hits".to_owned(),
            samples,
            sum,
            count,
        };
        assert_eq!(text(&[]), "");
        let shown = text(&[one(false, 3.0, 2), one(true, 1.5, 4)]);
        let labels = r#"{organization="acme",plugin="mine",name="hits"}"#;
        for line in [
            "# TYPE turnpike_policy_counter counter".to_owned(),
            format!("turnpike_policy_counter_total{labels} 3.0"),
            format!("turnpike_policy_sample_sum{labels} 1.5"),
            format!("turnpike_policy_sample_count{labels} 4"),
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line} in {shown}");
        }
    }
}
