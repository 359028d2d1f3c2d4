use serde_json::json;

use super::*;
use crate::store::{Organization, PolicyLimitsRecord, Signing};

fn org(id: &str) -> Organization {
    Organization {
        id: id.into(),
        name: id.into(),
        created_at_ms: 1,
        deleted_at_ms: None,
        signing: Signing::default(),
        policy_imports: Vec::new(),
        fetch_hosts: Vec::new(),
        policy_limits: PolicyLimitsRecord::default(),
        time_zone: None,
        plan: None,
        routing: Vec::new(),
        aliases: Vec::new(),
    }
}

fn author(path: &str, at_ms: u64) -> Author {
    Author { actor: "operator".into(), method: "PUT".into(), path: path.into(), at_ms }
}

fn rename(store: &Store, to: &str, at_ms: u64) {
    let acting = store.acting(author("/admin/v1/orgs/acme", at_ms));
    store.update_org(&Organization { name: to.into(), ..org("acme") }).unwrap();
    acting.finish().unwrap();
}

#[test]
fn an_entry_has_before_and_after_and_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap().store;
    let acting = store.acting(author("/admin/v1/orgs", 5));
    store.create_org(&org("acme")).unwrap();
    acting.finish().unwrap();
    rename(&store, "Acme", 6);
    store.update_org(&org("acme")).unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap().store;
    let (entries, more) = store.audit(&AuditFilter::default(), None, 10).unwrap();
    let [second, first] = &*entries else { panic!("{entries:?}") };
    assert!(!more);
    assert_eq!((first.seq, first.at_ms, first.org.as_deref()), (1, 5, Some("acme")));
    assert_eq!(
        (&first.changes[0].before, &first.changes[0].after["id"]),
        (&Value::Null, &json!("acme"))
    );
    assert_eq!(second.changes[0].what, "organizations");
    assert_eq!(
        (&second.changes[0].before["name"], &second.changes[0].after["name"]),
        (&json!("acme"), &json!("Acme"))
    );
}

#[test]
fn what_is_refused_leaves_no_entry_and_what_changes_no_table_leaves_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::in_memory(dir.path().into()).unwrap();
    let acting = store.acting(author("/admin/v1/orgs/none", 1));
    store.update_org(&org("none")).unwrap_err();
    drop(acting);
    assert!(store.audit(&AuditFilter::default(), None, 10).unwrap().0.is_empty());
    let acting = store.acting(author("/admin/v1/orgs/acme/credits/topups", 1));
    store.note("credits", "acme", json!("1"), json!("2"));
    acting.finish().unwrap();
    let acting = store.acting(author("/admin/v1/orgs/acme", 1));
    acting.finish().unwrap();
    let (entries, _) = store.audit(&AuditFilter::default(), None, 10).unwrap();
    let changes: Vec<usize> = entries.iter().map(|entry| entry.changes.len()).collect();
    assert_eq!(changes, [0, 1]);
    assert_eq!(entries[1].changes[0].after, json!("2"));
}

#[test]
fn pages_go_backwards_and_filters_hold() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::in_memory(dir.path().into()).unwrap();
    store.create_org(&org("acme")).unwrap();
    for at_ms in 1..=450 {
        rename(&store, &format!("n{at_ms}"), at_ms);
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let (page, more) = store.audit(&AuditFilter::default(), before, 97).unwrap();
        seen.extend(page.iter().map(|entry| entry.seq));
        before = seen.last().copied();
        if !more {
            break;
        }
    }
    assert!(seen.iter().copied().eq((1..=450).rev()), "{seen:?}");
    let times = AuditFilter { from_ms: Some(3), to_ms: Some(5), ..AuditFilter::default() };
    let of = |filter: &AuditFilter| store.audit(filter, None, 500).unwrap().0.len();
    assert_eq!(of(&times), 2);
    let other = || Some("other".to_owned());
    for filter in [
        AuditFilter { org: other(), ..AuditFilter::default() },
        AuditFilter { actor: other(), ..AuditFilter::default() },
        AuditFilter { method: other(), ..AuditFilter::default() },
        AuditFilter { path: other(), ..AuditFilter::default() },
    ] {
        assert_eq!(of(&filter), 0, "{filter:?}");
    }
    let path = Some("/admin/v1/orgs/ac".to_owned());
    assert_eq!(of(&AuditFilter { path, org: Some("acme".into()), ..AuditFilter::default() }), 450);
}

#[test]
fn the_oldest_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::in_memory(dir.path().into()).unwrap();
    store.create_org(&org("acme")).unwrap();
    for at_ms in 0..AUDIT_ENTRIES_MAX + 5 {
        let acting = store.acting(author("/x", at_ms));
        acting.finish().unwrap();
    }
    let kept = store.state.scan(Table::Audit, b"", None, usize::MAX).unwrap().len();
    assert_eq!(u64::try_from(kept).unwrap(), AUDIT_ENTRIES_MAX);
    let page = store.audit(&AuditFilter::default(), Some(9), 10).unwrap().0;
    assert_eq!(page.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [8, 7, 6]);
}

#[test]
fn secrets_are_hidden_and_long_rows_are_hashed() {
    let row = json!({
        "hash": "ab",
        "config": {"apiKey": "x", "Api-Key": "s", "lists": [{"authToken": "t"}], "max_tokens": 1},
    });
    let shown = readable(Some(row.to_string().as_bytes()));
    assert_eq!(shown["hash"], HIDDEN);
    assert_eq!(shown["config"]["Api-Key"], HIDDEN);
    assert_eq!(shown["config"]["lists"][0]["authToken"], HIDDEN);
    assert_eq!(shown["config"]["max_tokens"], 1);
    let long = readable(Some(json!({"config": "x".repeat(ROW_BYTES_MAX)}).to_string().as_bytes()));
    assert!(long["sha256"].is_string() && long["config"].is_null());
}
