//! Guests made by hand: a core module in text form, wrapped into a component of one of the WIT's
//! worlds. Each test says only what its hook does.

use std::path::Path;
use std::sync::Arc;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::policy::measure::figures;
use crate::policy::*;

/// The exported functions.
pub(super) const CLASSIFY: &str = "turnpike:policy/classify@0.1.0#classify";
pub(super) const SCORE: &str = "turnpike:policy/route@0.1.0#score";
pub(super) const SCAN: &str = "turnpike:policy/redact@0.1.0#scan";
pub(crate) const PRICE: &str = "turnpike:policy/bill@0.1.0#price";
pub(crate) const NINE: &str = "(param i32 i32 i32 i32 i32 i32 i32 i32 i32)";

/// Where a guest puts its answer; everything there is zero at first.
const ANSWER: u32 = 1024;

/// A component of a world, from the body of its one decision. The memory begins with `guest`, at 0,
/// and `1.0`, at 8; `cabi_realloc` never frees.
pub(super) fn module(imports: &str, functions: &str, pages: u32) -> String {
    format!(
        r#"(module
            {imports}
            (memory (export "memory") {pages})
            (global $top (mut i32) (i32.const 8192))
            (data (i32.const 0) "guest")
            (data (i32.const 8) "1.0")
            (data (i32.const 64) "\00\00\00\00\05\00\00\00\08\00\00\00\03\00\00\00")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
                (global.set $top (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func (export "turnpike:policy/plugin@0.1.0#describe") (result i32) (i32.const 64))
            (func (export "turnpike:policy/plugin@0.1.0#configure") (param i32 i32) (result i32)
                ;; two bytes are taken, anything longer is refused
                (i32.store8 (i32.const 512) (i32.gt_u (local.get 1) (i32.const 2)))
                (i32.const 512))
            {functions})"#
    )
}

/// The world's component around a module in text form. `extra` adds packages and a world `extra`.
pub(super) fn wrap(world: &str, module: &str, extra: Option<&str>) -> Vec<u8> {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/policy@0.1.0");
    let mut resolve = Resolve::default();
    let (mut package, _) = resolve.push_path(wit).unwrap();
    if let Some(extra) = extra {
        package = resolve.push_str("extra.wit", extra).unwrap();
    }
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut bytes = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&bytes).unwrap().validate(true).encode().unwrap()
}

/// A guest of one decision.
pub(crate) fn guest(world: &str, export: &str, params: &str, body: &str) -> Vec<u8> {
    let function = format!(r#"(func (export "{export}") {params} (result i32) {body})"#);
    wrap(world, &module("", &function, 32), None)
}

/// Stores numbers at offsets of the answer and returns it.
pub(crate) fn answer(stores: &[(u32, i64)]) -> String {
    let mut body = String::new();
    for (offset, value) in stores {
        let at = ANSWER + offset;
        body.push_str(&format!("(i32.store (i32.const {at}) (i32.const {value})) "));
    }
    body + &format!("(i32.const {ANSWER})")
}

/// A classifier that answers task `guest` with this difficulty.
pub(super) fn classifier(difficulty: &str) -> Vec<u8> {
    let at = ANSWER + 16;
    let task = answer(&[(8, 0), (12, 5)]);
    let body = format!("(f64.store (i32.const {at}) (f64.const {difficulty})) {task}");
    guest("classifier", CLASSIFY, "", &body)
}

/// A classifier with this body.
pub(super) fn classifier_that(body: &str) -> Vec<u8> {
    guest("classifier", CLASSIFY, "", body)
}

/// A redactor that answers these fields: spans pointer and length at 4 and 8, hold at 12.
pub(super) fn redactor(stores: &[(u32, i64)]) -> Vec<u8> {
    guest("redactor", SCAN, NINE, &answer(stores))
}

/// An engine with a small pool.
pub(super) fn engine() -> Arc<PolicyEngine> {
    PolicyEngine::new(&PolicyLimits { instances_max: 8, ..PolicyLimits::default() }).unwrap()
}

/// Hand-made built-ins: difficulty one half, one score of nothing, no findings, no lines.
pub(super) fn builtins(engine: &PolicyEngine) -> Builtins {
    let bind =
        |hook, bytes: Vec<u8>| Arc::new(Binding::builtin(engine.admit(&bytes).unwrap(), hook));
    Builtins {
        classify: bind(Hook::Classify, classifier("0.5")),
        route: bind(
            Hook::Route,
            guest("router", SCORE, "(param i32)", &answer(&[(4, 256), (8, 1)])),
        ),
        redact: bind(Hook::Redact, redactor(&[])),
        bill: bind(Hook::Bill, guest("biller", PRICE, NINE, &answer(&[]))),
    }
}

/// The built-ins with one decision made by `bytes`.
pub(super) fn bound(
    engine: &PolicyEngine,
    hook: Hook,
    bytes: &[u8],
    on_failure: OnFailure,
) -> Arc<BindingSet> {
    let policy = engine.admit(bytes).unwrap();
    let binding = Binding::new(policy, None, on_failure, hook.default_deadline(), 7);
    Arc::new(BindingSet::defaults(builtins(engine)).with(hook, Arc::new(binding)))
}

/// A conversation of single-part user messages.
pub(super) struct Said(pub(super) Vec<&'static str>);

impl Conversation for Said {
    fn messages(&self) -> usize {
        self.0.len()
    }
    fn role(&self, message: usize) -> Option<&str> {
        self.0.get(message).map(|_| "user")
    }
    fn part(&self, message: usize, part: usize) -> Option<&str> {
        self.0.get(message).filter(|_| part == 0).copied()
    }
    fn tools(&self) -> usize {
        0
    }
    fn tool_name(&self, _tool: usize) -> Option<&str> {
        None
    }
    fn tool_description(&self, _tool: usize) -> Option<&str> {
        None
    }
}

pub(super) fn facts() -> RequestFacts {
    RequestFacts {
        id: "req-1".to_owned(),
        protocol: "openai-chat",
        model: "auto".to_owned(),
        streaming: false,
        input_tokens: 12,
        output_limit: None,
        call: Arc::new(Said(vec!["write a haiku about über-canary"])),
        attrs: vec![("turns".to_owned(), AttrValue::Number(1.0))],
    }
}

pub(super) fn session(engine: &Arc<PolicyEngine>, bindings: &Arc<BindingSet>) -> Session {
    Session::new(Arc::clone(engine), Arc::clone(bindings), facts())
}

/// A row of figures for each offer.
pub(super) fn offers(count: usize) -> (Figures, Arc<dyn Offers>) {
    let offers = (0..count).map(|at| format!("lab/model-{at}@provider")).collect();
    (figures(count), Arc::new(Named(offers)))
}

/// Offers with a name and nothing else.
struct Named(Vec<String>);

impl Offers for Named {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn id(&self, row: usize) -> Option<&str> {
        self.0.get(row).map(String::as_str)
    }

    fn attr(&self, _row: usize, _name: &str) -> Option<AttrValue> {
        None
    }
}

pub(super) fn task() -> Classification {
    Classification {
        task: "chat".to_owned(),
        difficulty: 0.5,
        confidence: 0.5,
        needs: vec!["tools".to_owned()],
        context_tokens: 0,
        attrs: Vec::new(),
    }
}
