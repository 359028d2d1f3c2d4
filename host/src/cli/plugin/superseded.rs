//! What `turnpike plugin watch` leaves behind: each save is an upload with a version of its own,
//! and the one of the save before is of no use once the new one is bound. Removes those of one
//! policy that nothing is bound to, and no other upload.

use anyhow::bail;
use bytes::Bytes;
use serde_json::Value;

use super::super::say;
use super::admin::Admin;
use super::push::{Binding, Pushed};
use crate::clock;

/// What the version of such an upload begins with; the rest is of its digest.
pub(super) const DEV: &str = "0.0.0-dev.";
/// Uploads that are looked at: what is beyond them goes with the next save.
const LOOKED_AT: usize = 100;

/// Removes the development uploads of a policy that came before this one and that nothing is bound
/// to. What stands in for the active one stays: while that is suspended, the revision before it
/// decides.
pub(super) async fn remove(
    admin: &Admin,
    org: &str,
    pushed: &Pushed,
    binding: &Binding,
) -> anyhow::Result<()> {
    // In the order of names and versions: those of the policy that begin so come first.
    let path = format!("/orgs/{org}/plugins?limit={LOOKED_AT}&after={}@0.0.0-dev", pushed.name);
    let listed = admin.call("GET", &path, "application/json", Bytes::new()).await?;
    if listed.status != 200 {
        bail!("uploads of earlier saves were not looked for: {}", listed.why());
    }
    let mut removed = 0_usize;
    let mut versions = earlier(listed.body.get("items"), pushed);
    if binding.mode == "active" && !versions.is_empty() {
        let kept = standing_in(admin, org, &binding.bind).await?;
        versions.retain(|version| !kept.contains(&format!("{}@{version}", pushed.name)));
    }
    for version in versions {
        let path = format!("/orgs/{org}/plugins/{}/{version}", pushed.name);
        let gone = admin.call("DELETE", &path, "application/json", Bytes::new()).await?;
        match gone.status {
            204 => removed = removed.saturating_add(1),
            // Bound for another scope or mode, or somebody else was quicker.
            409 | 404 => {}
            _ => bail!(
                "{}@{version} of an earlier save was not removed: {}",
                pushed.name,
                gone.why()
            ),
        }
    }
    match removed {
        0 => Ok(()),
        1 => say("removed the upload of an earlier save"),
        many => say(&format!("removed the uploads of {many} earlier saves")),
    }
}

/// The policies that stand in for what is bound to these decisions, as `name@version`.
async fn standing_in(admin: &Admin, org: &str, hooks: &[String]) -> anyhow::Result<Vec<String>> {
    let mut kept = Vec::new();
    for hook in hooks {
        let path = format!("/orgs/{org}/bindings/{hook}");
        let bound = admin.call("GET", &path, "application/json", Bytes::new()).await?;
        if bound.status != 200 {
            bail!("uploads of earlier saves were left, {hook} can't be read: {}", bound.why());
        }
        kept.extend(stand_in(&bound.body).map(str::to_owned));
    }
    Ok(kept)
}

/// The policy that decides while the active one of a binding is suspended: as the gateway finds it,
/// the latest revision before it that is another policy, or the same with another configuration.
fn stand_in(bound: &Value) -> Option<&str> {
    let number = |of: &Value, name: &str| of.get(name).and_then(Value::as_u64);
    let as_if = number(bound, "restores").or_else(|| number(bound, "revision"))?;
    let alike = |one: &Value, name: &str| one.get(name) == bound.get(name);
    let is_earlier = |one: &&Value| {
        let chain = one.get("plugins").and_then(Value::as_array);
        one.get("mode").and_then(Value::as_str) == Some("active")
            && number(one, "restores").is_none()
            && number(one, "revision").is_some_and(|revision| revision < as_if)
            && chain.is_none_or(Vec::is_empty)
            && !(alike(one, "plugin") && alike(one, "config"))
    };
    let history = bound.get("history").and_then(Value::as_array)?.iter();
    let latest = history.filter(is_earlier).max_by_key(|one| number(one, "revision"))?;
    latest.get("plugin").and_then(Value::as_str)
}

/// Versions of development uploads of the policy that were made before this one, the latest last.
/// Of a save that brought earlier bytes back the time is that of their first upload: what came
/// after it goes with the next new bytes.
fn earlier(items: Option<&Value>, pushed: &Pushed) -> Vec<String> {
    let items = items.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |item: &Value, name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
    let made = |item: &Value| text(item, "uploaded_at").and_then(|at| clock::rfc3339_ms(&at));
    let own = items.iter().filter(|item| text(item, "name").as_ref() == Some(&pushed.name));
    let mut found: Vec<(u64, String)> = own
        .filter_map(|item| Some((made(item)?, text(item, "version")?)))
        .filter(|(at_ms, version)| version.starts_with(DEV) && Some(*at_ms) < pushed.at_ms)
        .collect();
    found.sort();
    found.into_iter().map(|(_, version)| version).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_earlier_development_uploads_of_the_same_policy_go() {
        let item = |name: &str, version: &str, second: u32| {
            let at = format!("2026-11-30T10:00:{second:02}Z");
            json!({"name": name, "version": version, "uploaded_at": at})
        };
        let items = json!([
            item("mine", "0.0.0-dev.aaa", 1),
            item("mine", "0.0.0-dev.bbb", 9),
            item("mine", "0.0.0-dev.ccc", 5),
            item("mine", "1.2.0", 2),
            item("mine", "0.0.0-development", 2),
            item("other", "0.0.0-dev.ddd", 1),
            json!({"name": "mine"}),
        ]);
        let pushed = |second: u64| Pushed {
            name: "mine".to_owned(),
            version: "0.0.0-dev.new".to_owned(),
            at_ms: clock::rfc3339_ms("2026-11-30T10:00:00Z").map(|at_ms| at_ms + second * 1_000),
        };
        assert_eq!(earlier(Some(&items), &pushed(5)), ["0.0.0-dev.aaa"]);
        let all = ["0.0.0-dev.aaa", "0.0.0-dev.ccc", "0.0.0-dev.bbb"];
        assert_eq!(earlier(Some(&items), &pushed(10)), all, "the latest last");
        assert!(earlier(Some(&items), &pushed(1)).is_empty());
        assert!(earlier(None, &pushed(10)).is_empty());
    }
    /// Undo, then change: what was bound last is not what was uploaded last.
    #[test]
    fn what_was_bound_before_stands_in_and_not_what_was_uploaded_before() {
        let bound = |plugin: &str, revision: u64, history: Value| {
            json!({"plugin": plugin, "mode": "active", "revision": revision, "restores": null,
                "config": null, "history": history})
        };
        let one = |plugin: &str, revision: u64| bound(plugin, revision, Value::Null);
        let saved = json!([one("p@c", 4), one("p@a", 3), one("p@b", 2), one("p@a", 1)]);
        assert_eq!(stand_in(&bound("p@c", 4, saved.clone())), Some("p@a"));
        let (mut brought_back, mut shadow) = (one("p@b", 6), one("p@d", 5));
        brought_back["restores"] = json!(2);
        shadow["mode"] = json!("shadow");
        let mut history = saved.clone();
        history.as_array_mut().unwrap().extend([shadow, brought_back.clone()]);
        brought_back["history"] = history.clone();
        assert_eq!(stand_in(&brought_back), Some("p@a"), "it counts as the revision it was");
        assert_eq!(stand_in(&bound("p@c", 7, history)), Some("p@a"), "once is enough");
        let mut configured = one("p@c", 4);
        configured["config"] = json!({"a": 1});
        let history = json!([one("p@c", 5), configured, one("p@a", 3)]);
        assert_eq!(stand_in(&bound("p@c", 5, history)), Some("p@c"), "itself, otherwise set");
        assert_eq!(stand_in(&bound("p@a", 1, json!([one("p@a", 1)]))), None);
        assert_eq!(stand_in(&json!({})), None);
    }
}
