//! The report is what the code says: the same twice, and the same as in the document.

use turnpike::route::Profile;
use turnpike_routing_report::chooser::{Grading, Strategy};
use turnpike_routing_report::conversation::{self, Memory, Sessions};
use turnpike_routing_report::report::{SUCCESS_MIN, Totals, outage, shares};
use turnpike_routing_report::run::run;
use turnpike_routing_report::world::{Shape, Trouble, World};
use turnpike_routing_report::{SHORT_BEGIN, SHORT_END, SHORT_REQUESTS, short};

fn shape() -> Shape {
    Shape { requests: SHORT_REQUESTS, ..Shape::default() }
}

#[test]
fn the_short_run_is_the_one_in_the_document() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/routing-report.md");
    let document = std::fs::read_to_string(path).expect("make it with `make routing-report`");
    let begins = document.find(SHORT_BEGIN).expect("the mark") + SHORT_BEGIN.len();
    let ends = document.find(SHORT_END).expect("the mark");
    let made = short().unwrap();
    assert_eq!(made, short().unwrap(), "the same twice");
    assert_eq!(
        document.get(begins..ends).expect("the marks are in order"),
        made,
        "run `make routing-report` after a change of routing"
    );
}

#[test]
fn auto_is_nearly_as_good_as_the_best_at_a_third_of_its_cost() {
    let (quality, cost) = shares(&World::new(&shape()).unwrap(), Grading::default());
    assert!(quality >= 0.95, "{quality}");
    assert!(cost <= 0.35, "{cost}");
}

#[test]
fn one_provider_down_and_one_failing_are_not_noticed() {
    for (down, brown) in [("alder", "cedar"), ("fir", "birch"), ("cedar", "fir")] {
        let troubles = vec![Trouble::throughout(down, 1.0), Trouble::throughout(brown, 0.2)];
        let world = World::new(&shape()).unwrap().with(troubles);
        let ended = run(&world, Strategy::Auto(Profile::Balanced), Grading::default());
        let totals = Totals::of(&ended);
        assert!(totals.success >= SUCCESS_MIN, "{down} and {brown}: {totals:?}");
        assert!(totals.failed_attempts > 0);
        let unpaid = ended.iter().filter(|one| !one.answered).all(|one| one.cost_pico == 0);
        assert!(unpaid, "nobody pays for what came to nothing");
    }
}

#[test]
fn a_provider_that_goes_down_is_left_within_a_window_and_comes_back() {
    // Long enough for six windows.
    let shape = Shape { requests: 6_000, ..Shape::default() };
    for hangs in [false, true] {
        let (text, recovered) = outage(&shape, hangs).unwrap();
        assert!(recovered, "{text}");
    }
}

#[test]
fn pitfall_62_a_conversation_of_forty_turns_stays_and_its_cache_is_kept() {
    let quiet = World::new(&shape()).unwrap().with(Vec::new());
    let (each, none) = (Sessions::of(20, Memory::Conversation), Sessions::of(20, Memory::None));
    let stays = conversation::run(&quiet, each);
    let wanders = conversation::run(&quiet, none);
    assert_eq!(stays.answered, 20 * conversation::TURNS);
    assert!(stays.moves <= 20, "at most one move each, to a better model: {stays:?}");
    assert!(stays.moves * 10 < wanders.moves && stays.quality > wanders.quality, "{wanders:?}");
    // Four equal sellers: without affinity each has the beginning to read anew.
    let sellers = World::new(&Shape { sellers: true, ..shape() }).unwrap().with(Vec::new());
    let stays = conversation::run(&sellers, each);
    let wanders = conversation::run(&sellers, none);
    assert!(stays.cost_pico < wanders.cost_pico, "{stays:?} {wanders:?}");
}

#[test]
fn pitfall_62_agents_of_one_session_each_keep_their_own_cache() {
    let sellers = World::new(&Shape { sellers: true, ..shape() }).unwrap().with(Vec::new());
    let of = |memory| conversation::run(&sellers, Sessions::of(20, memory).agents(3));
    let (each, session) = (of(Memory::Conversation), of(Memory::Session));
    assert_eq!(each.answered, 3 * 20 * conversation::TURNS);
    assert!(each.moves <= 3 * 20, "at most one move each: {each:?}");
    assert!(each.cost_pico < session.cost_pico, "{each:?} {session:?}");
}

#[test]
fn models_that_think_cost_more_than_their_prices_say() {
    let world = |thinking| World::new(&Shape { thinking, ..shape() }).unwrap();
    let cost = |world: &World| {
        Totals::of(&run(world, Strategy::Auto(Profile::Balanced), Grading::default())).cost_usd
    };
    let (plain, thinking) = (world(false), world(true));
    assert!(plain.truths.iter().all(|truth| truth.longer < 1.001));
    assert!(thinking.truths.iter().any(|truth| truth.longer > 2.0));
    assert!(cost(&thinking) > cost(&plain));
}
