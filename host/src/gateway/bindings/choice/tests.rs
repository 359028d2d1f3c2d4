//! Whose binding a request gets.

use std::time::Duration;

use super::*;
use crate::hook::OnFailure;
use crate::policy::{self, Policy, PolicyEngine, PolicyLimits};

type Bound = (Hook, Scope, Mode, u8, Arc<Binding>);

struct World {
    policy: Arc<Policy>,
    default: Arc<BindingSet>,
}

impl World {
    fn new() -> Self {
        let limits = PolicyLimits { instances_max: 8, ..PolicyLimits::default() };
        let engine = PolicyEngine::new(&limits).unwrap();
        let dist = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist");
        let bytes = std::fs::read(dist.join("policy-default.wasm")).unwrap();
        let policy = engine.admit(&bytes).unwrap();
        let default = BindingSet::defaults(policy::Builtins::combined(&policy));
        Self { policy, default: Arc::new(default) }
    }

    fn bound(&self, scope: Scope, mode: Mode, percent: u8, revision: u64) -> Bound {
        let deadline = Duration::from_millis(5);
        let policy = Arc::clone(&self.policy);
        let binding = Binding::new(policy, None, OnFailure::Builtin, deadline, revision);
        (Hook::Route, scope, mode, percent, Arc::new(binding))
    }

    fn own(&self, bound: Vec<Bound>) -> OrgBindings {
        OrgBindings::new("acme", &self.default, bound)
    }
}

const WANTED: Wanted<'static> = Wanted {
    team: None,
    project: None,
    model: "auto",
    stands_for: &[],
    key: "key-1",
    session: None,
    opening: [None, Some("hello")],
};

/// The revisions that decide and run beside; 0 for the built-in.
fn route(own: &OrgBindings, wanted: &Wanted<'_>) -> (u64, Option<(u64, u64)>) {
    let set = own.choose(wanted);
    let beside = set.beside.first().map(|one| (one.binding.revision, one.tried.revision));
    (set.of(Hook::Route).revision, beside)
}

#[test]
fn the_narrowest_scope_decides() {
    let world = World::new();
    let own = world.own(vec![
        world.bound(Scope::Organization, Mode::Active, 100, 1),
        world.bound(Scope::Team("red".into()), Mode::Active, 100, 2),
        world.bound(Scope::Project("apollo".into()), Mode::Active, 100, 3),
        world.bound(Scope::Alias("auto:fast".into()), Mode::Active, 100, 4),
    ]);
    let red = Wanted { team: Some("red"), ..WANTED };
    let apollo = Wanted { project: Some("apollo"), ..red };
    assert_eq!(route(&own, &WANTED).0, 1);
    assert_eq!(route(&own, &Wanted { team: Some("blue"), ..WANTED }).0, 1);
    assert_eq!(route(&own, &red).0, 2);
    assert_eq!(route(&own, &apollo).0, 3);
    assert_eq!(route(&own, &Wanted { model: "auto:fast", ..apollo }).0, 4);
    assert!(own.choose(&WANTED).of(Hook::Bill).builtin, "only route is bound");
}

#[test]
fn a_canary_takes_its_share_of_sessions_and_the_same_ones_each_time() {
    let world = World::new();
    let at = |percent| {
        world.own(vec![
            world.bound(Scope::Organization, Mode::Active, 100, 1),
            world.bound(Scope::Organization, Mode::Canary, percent, 2),
            world.bound(Scope::Organization, Mode::Shadow, 100, 3),
        ])
    };
    let (tenth, half) = (at(10), at(50));
    let mut taken = [0, 0];
    for session in 0..2_000 {
        let name = format!("session-{session}");
        let wanted = Wanted { session: Some(&name), ..WANTED };
        let (small, beside) = route(&tenth, &wanted);
        // Other turns, other texts, other keys: the session counts.
        let later = Wanted { key: "key-2", opening: [None, None], ..wanted };
        assert_eq!(route(&tenth, &later).0, small);
        let expected = if small == 2 { (1, 2) } else { (3, 3) };
        assert_eq!(beside, Some(expected), "who does not decide is compared");
        let (large, _) = route(&half, &wanted);
        assert!(small == 1 || large == 2, "a larger share only adds sessions");
        taken[0] += usize::from(small == 2);
        taken[1] += usize::from(large == 2);
    }
    assert!((140..260).contains(&taken[0]) && (900..1100).contains(&taken[1]), "{taken:?}");
}

#[test]
fn without_a_session_key_and_opening_tell_conversations_apart() {
    let world = World::new();
    let own = world.own(vec![world.bound(Scope::Organization, Mode::Canary, 50, 1)]);
    let of = |text: &str| route(&own, &Wanted { opening: [Some("be kind"), Some(text)], ..WANTED });
    let texts: Vec<String> = (0..64).map(|at| format!("question {at}")).collect();
    let sides: Vec<u64> = texts.iter().map(|text| of(text).0).collect();
    assert!(sides.contains(&0) && sides.contains(&1), "the built-in stands behind");
    assert_eq!(sides, texts.iter().map(|text| of(text).0).collect::<Vec<_>>());
}

#[test]
fn what_a_narrower_binding_replaces_is_neither_drawn_nor_compared() {
    let world = World::new();
    let own = world.own(vec![
        world.bound(Scope::Organization, Mode::Canary, 100, 1),
        world.bound(Scope::Organization, Mode::Shadow, 100, 2),
        world.bound(Scope::Team("red".into()), Mode::Active, 100, 3),
        world.bound(Scope::Team("blue".into()), Mode::Canary, 100, 4),
    ]);
    assert_eq!(route(&own, &Wanted { team: Some("red"), ..WANTED }), (3, None));
    assert_eq!(route(&own, &Wanted { team: Some("blue"), ..WANTED }).0, 4);
    assert_eq!(route(&own, &WANTED).0, 1);
}

#[test]
fn where_all_requests_share_one_set_none_is_made_for_each() {
    let world = World::new();
    let own = world.own(vec![
        world.bound(Scope::Organization, Mode::Active, 100, 1),
        world.bound(Scope::Organization, Mode::Shadow, 30, 2),
    ]);
    assert!(Arc::ptr_eq(&own.choose(&WANTED), &own.choose(&WANTED)));
    assert_eq!(route(&own, &WANTED), (1, Some((2, 2))));
    assert_eq!(own.choose(&WANTED).beside[0].percent, 30);
}

/// Else a scan that is bound to a model would be got around by another spelling of it.
#[test]
fn a_binding_of_a_model_fits_whatever_name_it_is_asked_for_by() {
    let world = World::new();
    let own = world.own(vec![
        world.bound(Scope::Organization, Mode::Active, 100, 1),
        world.bound(Scope::from_label("alias:OpenAI/gpt-5.4").unwrap(), Mode::Active, 100, 2),
        world.bound(Scope::Alias("writer".into()), Mode::Active, 100, 3),
    ]);
    assert!(own.go_by_model());
    let stands_for = ["openai/gpt-5.4", "openai/gpt-5.4@openai"];
    let asked = |model| Wanted { model, stands_for: &stands_for, ..WANTED };
    assert_eq!(route(&own, &asked("GPT-5.4")), (2, None));
    assert_eq!(route(&own, &asked("openai/gpt-5.4@openai")), (2, None));
    assert_eq!(route(&own, &asked("Writer")), (3, None), "the name that was asked for goes first");
    assert_eq!(route(&own, &WANTED), (1, None));
    assert!(!world.own(vec![world.bound(Scope::Organization, Mode::Active, 100, 1)]).go_by_model());
}
