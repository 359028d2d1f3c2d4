use std::sync::Arc;

use turnpike_ledger::PicoUsd;

use super::super::{
    AlertRecord, ApiKey, BindingRecord, BudgetMode, BudgetPeriod, BudgetRecord, Delivery,
    FormerSecret, Hook, InstanceLife, LinkRecord, Mode, OnFailure, Organization, PluginCheck,
    PluginFigures, PluginRecord, PluginSignature, PolicyLimitsRecord, REVISIONS_KEPT, RateLimits,
    Scope, Signing, SigningKey, Store, StoreError, Table, Thresholds,
};
use super::ALERTS_KEPT_OF_DELETED;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap().store;
    for id in ["acme", "beta"] {
        store.create_org(&org(id)).unwrap();
    }
    (dir, store)
}

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

fn key(org: &str, id: &str) -> ApiKey {
    ApiKey {
        id: id.into(),
        org: org.into(),
        hash: [0xab; 32],
        prefix: "tp-abcd".into(),
        former: vec![FormerSecret { hash: [0xcd; 32], prefix: "tp-efgh".into(), until_ms: 7 }],
        rotated_at_ms: Some(5),
        name: "ci".into(),
        team: Some("research".into()),
        project: None,
        user: None,
        models: vec!["openai/*".into(), "!openai/o3-pro".into()],
        clearance: "internal".into(),
        budget: Some(BudgetRecord {
            amount: PicoUsd(1),
            period: BudgetPeriod::Month,
            mode: BudgetMode::Hard,
            alerts: Thresholds::default(),
        }),
        limits: RateLimits::default(),
        disabled: false,
        expires_at_ms: Some(9),
        created_at_ms: 1,
    }
}

fn plugin(org: &str, name: &str, digest: &str) -> PluginRecord {
    PluginRecord {
        org: org.into(),
        name: name.into(),
        version: "1.0.0".into(),
        digest: digest.into(),
        size_bytes: 3,
        interfaces: vec!["route".into()],
        checks: vec![PluginCheck { name: "size".into(), passed: true, detail: "3".into() }],
        figures: Some(PluginFigures { start_us: 1, fresh_us: 2, warm_us: 3, memory_bytes: 4 }),
        uploaded_by: Some("operator".into()),
        source: Some("registry.example/p@sha256:0".into()),
        signature: None,
        uploaded_at_ms: 1,
    }
}

fn binding(org: &str, name: &str, revision: u64) -> BindingRecord {
    BindingRecord {
        org: org.into(),
        hook: Hook::Route,
        scope: Scope::Organization,
        mode: Mode::Active,
        percent: 100,
        first: LinkRecord {
            plugin: name.into(),
            version: "1.0.0".into(),
            digest: "d".into(),
            config: Some("{\"a\": 1.50}".into()),
        },
        then: Vec::new(),
        instances: Some(InstanceLife::Warm),
        on_failure: OnFailure::Builtin,
        deadline_ms: 10,
        revision,
        restores: None,
        bound_at_ms: 1,
    }
}

/// What `binding` needs to be there.
fn uploaded(name: &str) -> [(String, String); 1] {
    [(name.into(), "1.0.0".into())]
}

#[test]
fn records_survive_a_restart_to_the_letter() {
    let (dir, store) = store();
    store.create_key(&key("acme", "k1")).unwrap();
    store.create_plugin(&plugin("acme", "p", "d")).unwrap();
    store.put_binding(&binding("acme", "p", 1), &uploaded("p")).unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap().store;
    assert_eq!(store.key("acme", "k1").unwrap(), key("acme", "k1"));
    assert_eq!(store.plugin("acme", "p", "1.0.0").unwrap(), plugin("acme", "p", "d"));
    assert_eq!(store.bindings("acme").unwrap(), [binding("acme", "p", 1)]);
}

#[test]
fn organizations_do_not_see_each_other() {
    let (_dir, store) = store();
    store.create_org(&org("acme2")).unwrap();
    store.create_key(&key("acme", "k1")).unwrap();
    store.create_key(&key("acme2", "k2")).unwrap();
    let ids: Vec<String> =
        store.keys("acme", None, 10).unwrap().items.into_iter().map(|key| key.id).collect();
    assert_eq!(ids, ["k1"]);
    assert!(matches!(store.key("beta", "k1"), Err(StoreError::NotFound(_))));
    assert!(matches!(store.create_key(&key("nobody", "k3")), Err(StoreError::NotFound(_))));
}

#[test]
fn listings_page_without_gaps_or_repeats() {
    let (_dir, store) = store();
    for number in 0..7 {
        store.create_key(&key("acme", &format!("k{number}"))).unwrap();
    }
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.keys("acme", after.as_deref(), 3).unwrap();
        after = page.items.last().map(|key| key.id.clone());
        seen.extend(page.items.into_iter().map(|key| key.id));
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, ["k0", "k1", "k2", "k3", "k4", "k5", "k6"]);
}

#[test]
fn a_deleted_organization_takes_its_records_along_and_keeps_its_id_taken() {
    let (dir, store) = store();
    let bytes = b"wasm";
    let digest = store.files().put(bytes).unwrap();
    store.create_key(&key("acme", "k1")).unwrap();
    store.create_plugin(&plugin("acme", "p", &digest)).unwrap();
    store.put_binding(&binding("acme", "p", 1), &uploaded("p")).unwrap();
    store.delete_org("acme", 5).unwrap();
    assert!(matches!(store.org("acme"), Err(StoreError::Closed(_))));
    assert!(store.org_ever("acme").is_ok() && store.org_ever("nobody").is_err());
    assert!(store.all_keys().unwrap().is_empty());
    assert!(store.all_bindings().unwrap().is_empty());
    assert!(store.plugin_bytes(&digest).is_err());
    assert!(matches!(store.create_org(&org("acme")), Err(StoreError::Deleted(_))));
    let ids: Vec<String> =
        store.orgs(None, 10).unwrap().items.into_iter().map(|org| org.id).collect();
    assert_eq!(ids, ["beta"]);
    drop(store);
    assert!(Store::open(dir.path()).unwrap().store.org("acme").is_err());
}

#[test]
fn a_plugin_is_one_digest_per_version_and_its_file_goes_with_its_last_record() {
    let (_dir, store) = store();
    let digest = store.files().put(b"wasm").unwrap();
    assert!(store.create_plugin(&plugin("acme", "p", &digest)).unwrap());
    assert!(!store.create_plugin(&plugin("acme", "p", &digest)).unwrap(), "a repeat is no error");
    let other = store.create_plugin(&plugin("acme", "p", "other")).unwrap_err();
    assert!(matches!(other, StoreError::Exists(_)), "{other}");
    store.create_plugin(&plugin("beta", "q", &digest)).unwrap();
    store.delete_plugin("acme", "p", "1.0.0").unwrap();
    assert_eq!(store.plugin_bytes(&digest).unwrap(), b"wasm", "beta still has it");
    store.delete_plugin("beta", "q", "1.0.0").unwrap();
    assert!(store.plugin_bytes(&digest).is_err());
}

#[test]
fn a_bound_plugin_stays_and_revisions_never_repeat() {
    let (_dir, store) = store();
    store.create_plugin(&plugin("acme", "p", "d")).unwrap();
    assert_eq!(store.next_revision().unwrap(), 1);
    store.put_binding(&binding("acme", "p", 1), &uploaded("p")).unwrap();
    let bound = store.delete_plugin("acme", "p", "1.0.0").unwrap_err();
    assert!(matches!(&bound, StoreError::InUse(what) if what.contains("route")), "{bound}");
    store.delete_bindings("acme", Hook::Route, &Scope::Organization, None).unwrap();
    assert_eq!(store.next_revision().unwrap(), 2, "a deleted binding's number is not used again");
    let old = store.put_binding(&binding("acme", "p", 1), &uploaded("p")).unwrap_err();
    assert!(matches!(old, StoreError::Exists(_)), "{old}");
    store.put_binding(&binding("acme", "p", 2), &uploaded("p")).unwrap();
    let missing =
        store.put_binding(&binding("acme", "absent", 3), &uploaded("absent")).unwrap_err();
    assert!(matches!(missing, StoreError::NotFound(_)), "{missing}");
}

#[test]
fn a_row_of_another_version_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::in_memory(dir.path().to_path_buf()).unwrap();
    store.create_org(&org("acme")).unwrap();
    store.create_key(&key("acme", "k1")).unwrap();
    let state = store.state();
    let row = state.get(Table::Keys, b"acme\0k1").unwrap().unwrap();
    let newer = String::from_utf8(row).unwrap().replacen("\"v\":1", "\"v\":2", 1);
    state.put(Table::Keys, b"acme\0k1", newer.as_bytes()).unwrap();
    let unreadable = store.all_keys().unwrap_err().to_string();
    assert!(unreadable.contains("acme/k1") && unreadable.contains("version 2"), "{unreadable}");
}

#[test]
fn of_many_who_create_the_same_organization_one_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::in_memory(dir.path().to_path_buf()).unwrap());
    let created: usize = std::thread::scope(|scope| {
        let create = |_| {
            let store = Arc::clone(&store);
            scope.spawn(move || usize::from(store.create_org(&org("acme")).is_ok()))
        };
        let threads: Vec<_> = (0..8).map(create).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(created, 1);
}

#[test]
fn each_scope_and_mode_has_a_binding_and_a_history_of_its_own() {
    let (dir, store) = store();
    store.create_plugin(&plugin("acme", "p", "d")).unwrap();
    let team = Scope::Team("research".into());
    let mut revision = 0;
    let mut bind = |scope: &Scope, mode: Mode| {
        revision += 1;
        let scoped = BindingRecord { scope: scope.clone(), mode, ..binding("acme", "p", revision) };
        store.put_binding(&scoped, &uploaded("p")).unwrap();
    };
    for (scope, mode) in [
        (&Scope::Organization, Mode::Active),
        (&Scope::Organization, Mode::Canary),
        (&team, Mode::Active),
    ] {
        bind(scope, mode);
    }
    for _ in 0..REVISIONS_KEPT {
        bind(&team, Mode::Active);
    }
    assert_eq!(store.bindings("acme").unwrap().len(), 3);
    let history = store.binding_history("acme", Hook::Route, &team, Mode::Active).unwrap();
    let revisions: Vec<u64> = history.iter().map(|one| one.revision).collect();
    assert_eq!(revisions, (4..=23).collect::<Vec<_>>(), "the latest, oldest first");
    store.delete_bindings("acme", Hook::Route, &team, None).unwrap();
    assert_eq!(store.bindings("acme").unwrap().len(), 2);
    assert!(store.delete_bindings("acme", Hook::Route, &team, Some(Mode::Active)).is_err());
    drop(store);
    let store = Store::open(dir.path()).unwrap().store;
    let history = store.binding_history("acme", Hook::Route, &team, Mode::Active).unwrap();
    assert_eq!(history.len(), REVISIONS_KEPT, "it can still be brought back");
    let canary = store.binding("acme", Hook::Route, &Scope::Organization, Mode::Canary).unwrap();
    assert_eq!(canary.map(|one| one.revision), Some(2));
}

#[test]
fn a_binding_of_an_earlier_version_is_the_organizations_active_one() {
    let (_dir, store) = store();
    let row = r#"{"v":1,"org":"acme","hook":"route","plugin":"p","version":"1.0.0","digest":"d",
        "mode":"active","config":{"a":1},"on_failure":"builtin","deadline_ms":10,"revision":4,
        "bound_at_ms":1}"#;
    store.state().put(Table::Bindings, b"acme\0route", row.as_bytes()).unwrap();
    let read = store.binding("acme", Hook::Route, &Scope::Organization, Mode::Active).unwrap();
    assert_eq!(read.map(|one| (one.revision, one.percent)), Some((4, 100)));
    store.create_plugin(&plugin("acme", "p", "d")).unwrap();
    store.put_binding(&binding("acme", "p", 5), &uploaded("p")).unwrap();
    assert_eq!(store.bindings("acme").unwrap(), [binding("acme", "p", 5)], "replaced, not doubled");
    let history = store.binding_history("acme", Hook::Route, &Scope::Organization, Mode::Active);
    let revisions: Vec<u64> = history.unwrap().iter().map(|one| one.revision).collect();
    assert_eq!(revisions, [4, 5]);
}

/// Models are asked for in any case, so two spellings are one place; an earlier version kept two.
#[test]
fn what_was_bound_to_a_model_in_two_spellings_becomes_one_binding_with_one_history() {
    let (dir, store) = store();
    let written = |name: &str, mode, revision| {
        let scope = Scope::Alias(name.into());
        BindingRecord { scope, mode, ..binding("acme", "p", revision) }
    };
    for (name, mode, revision) in [
        ("GPT-5.4", Mode::Active, 1),
        ("gpt-5.4", Mode::Active, 2),
        ("gpt-5.4", Mode::Shadow, 3),
        ("GPT-5.4", Mode::Active, 4),
        ("Own", Mode::Active, 5),
    ] {
        store.put_binding(&written(name, mode, revision), &[]).unwrap();
    }
    assert_eq!(store.bindings("acme").unwrap().len(), 4);
    drop(store);
    let opened = Store::open(dir.path()).unwrap();
    let [repair] = &*opened.report.repairs else { panic!("{:?}", opened.report) };
    assert!(repair.contains("revision 4 (p) stays") && repair.contains("revision 2"), "{repair}");
    let store = opened.store;
    let gpt = Scope::from_label("alias:GPT-5.4").unwrap();
    let bound = store.bindings("acme").unwrap();
    let mut revisions: Vec<u64> = bound.iter().map(|one| one.revision).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, [3, 4, 5]);
    let history = store.binding_history("acme", Hook::Route, &gpt, Mode::Active).unwrap();
    let revisions: Vec<u64> = history.iter().map(|one| one.revision).collect();
    assert_eq!(revisions, [1, 2, 4], "each can be brought back");
    store.delete_bindings("acme", Hook::Route, &gpt, None).unwrap();
    assert_eq!(store.bindings("acme").unwrap().len(), 1, "nothing is left of another spelling");
    drop(store);
    let opened = Store::open(dir.path()).unwrap();
    assert!(opened.report.repairs.is_empty(), "{:?}", opened.report);
    assert_eq!(opened.store.bindings("acme").unwrap()[0].scope.label(), "alias:own");
}

#[test]
fn a_signature_may_come_later_and_is_never_lost() {
    let (dir, store) = store();
    let unsigned = plugin("acme", "router", "d1");
    assert!(store.create_plugin(&unsigned).unwrap());
    let signature = PluginSignature {
        text: "ed25519:…".into(),
        key: "0123456789abcdef".into(),
        key_name: "release".into(),
        trusted_by: "organization".into(),
        verified_at_ms: 7,
    };
    let signed = PluginRecord { signature: Some(signature), uploaded_at_ms: 9, ..unsigned.clone() };
    assert!(!store.create_plugin(&signed).unwrap());
    assert!(!store.create_plugin(&unsigned).unwrap(), "a repeat without it");
    let mut acme = store.org("acme").unwrap();
    acme.signing = Signing {
        required: true,
        keys: vec![SigningKey {
            id: "0123456789abcdef".into(),
            name: "release".into(),
            public_key: "ed25519:…".into(),
            added_by: "operator".into(),
            added_at_ms: 3,
        }],
    };
    store.update_org(&acme).unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap().store;
    let kept = store.plugin("acme", "router", "1.0.0").unwrap();
    assert_eq!(kept, PluginRecord { uploaded_at_ms: 1, ..signed });
    assert_eq!(store.org("acme").unwrap(), acme);
    assert_eq!(store.org("beta").unwrap().signing, Signing::default());
}

fn alert(org: &str, at_ms: u64) -> AlertRecord {
    AlertRecord {
        v: 0,
        id: format!("evt_{at_ms}"),
        org: org.into(),
        kind: "budget.threshold".into(),
        scope: "organization".into(),
        at_ms,
        budget: Some("budget:1:day".into()),
        threshold: Some(80),
        limit_usd: PicoUsd(1),
        spent_usd: PicoUsd(1),
        needed_usd: None,
        window_start_ms: 0,
        window_end_ms: None,
        delivery: Delivery::Pending { attempts: 0, next_at_ms: at_ms, last_error: None },
    }
}

/// An installation may make an organization for each trial, and is started again and again.
#[test]
fn of_a_deleted_organization_a_few_alerts_are_kept_and_none_is_read_at_a_start() {
    let (_dir, store) = store();
    let most = u64::try_from(ALERTS_KEPT_OF_DELETED).unwrap();
    let many: Vec<_> = (1..=most + 9).map(|at_ms| alert("acme", at_ms)).collect();
    store.put_alerts(&many).unwrap();
    store.put_alerts(&[alert("beta", 1)]).unwrap();
    assert_eq!(store.living_alerts().unwrap().len(), many.len() + 1);
    store.delete_org("acme", 9).unwrap();
    let kept = store.all_alerts("acme").unwrap();
    let times: Vec<u64> = kept.iter().map(|alert| alert.at_ms).collect();
    assert_eq!(times, (10..=most + 9).collect::<Vec<_>>(), "the newest");
    assert!(kept.iter().all(|alert| alert.delivery == Delivery::None));
    let living = store.living_alerts().unwrap();
    let orgs: Vec<&str> = living.iter().map(|alert| alert.org.as_str()).collect();
    assert_eq!(orgs, ["beta"]);
}
