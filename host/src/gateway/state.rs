//! Opens what is kept on disk in the order in which one needs the other, and builds the gateway on
//! it: store, ledger (with the store's views), usage log, policies, catalogue, providers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use crate::admin::{self, AdminParts, AdminState, PolicyBounds, SignaturePolicy, SystemNumbers};
use crate::auth::{Directory, OperatorToken, Pepper};
use crate::catalog::{Catalog, ConfiguredCatalog, Offer, ProviderSelection};
use crate::clock;
use crate::config::{self, Config};
use crate::limits;
use crate::pipeline;
use crate::policy::signature::PublicKey;
use crate::policy::{Compiling, PolicyEngine, PolicyLimits, Web};
use crate::route::{
    self, Affinity, Aliases, Answers, BreakerRule, Health, HedgeBudget, Reach, Rulebook,
};
use crate::store::Store;
use crate::tasks::{Aside, LastCall, Tasks};
use crate::telemetry::Metrics;
use crate::upstream::{PoolLimits, Upstream};
use crate::usage;

use super::alerts::Targets;
use super::backtest::Backtests;
use super::bindings::Bindings;
use super::builtins::Builtins;
use super::families::Families;
use super::ledger;
use super::providers::Provider;
use super::ratings::RatingBook;
use super::registries::Registries;
use super::web::PolicyWeb;
use super::{Gateway, QuestionTurns, Settings};

/// The journal's folder in the data folder.
pub const JOURNAL_DIR: &str = "journal";
/// The usage events' folder in the data folder.
pub const USAGE_DIR: &str = "usage";
/// The folder of compiled policies in the data folder.
const COMPILED_DIR: &str = "compiled";

/// Everything that is open.
#[derive(Debug)]
pub(super) struct State {
    pub(super) gateway: Arc<Gateway>,
    pub(super) admin: AdminState,
    pub(super) store: Arc<Store>,
}

/// Opens the data folder and builds the gateway. Blocks for up to seconds.
///
/// `program`: this one, started as a child for each upload; none compiles in this process.
pub(super) fn open(config: &Config, program: Option<PathBuf>) -> anyhow::Result<State> {
    let started_at_ms = clock::now_ms();
    let operator = config.admin.token.resolve("admin.token")?;
    let operator = OperatorToken::new(operator).context("admin.token: the token is empty")?;
    let dir = &config.data.dir;
    let opened = Store::open(dir).with_context(|| data_folder(dir))?;
    let store = Arc::new(opened.store);
    let ledger = ledger::open(dir, &store, started_at_ms).with_context(|| data_folder(dir))?;
    let recorder = usage::Recorder::start(usage::Options::new(dir.join(USAGE_DIR)))?;
    let (directory, rate_limits) = callers(dir, &store)?;

    let limits = policy_limits(&config.policy);
    let engine = PolicyEngine::compiling(&limits, compiling(config, program))?;
    let signatures = signatures(&config.policy)?;
    let bindings = bindings(&engine, &store, &signatures)?;
    let Offers { offers, providers, warnings } = offers(config)?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let offers = Arc::new(offers);
    let aliases = aliases(&store, &offers)?;
    engine.set_catalog(pipeline::whole_catalog(&offers));
    let web = Arc::new(PolicyWeb::new(&config.policy.fetch_private));
    engine.set_web(Arc::clone(&web) as Arc<dyn Web>);
    let routing = routing(config, &store, &offers, &providers, recorder.log())?;
    let gateway = Arc::new(Gateway {
        settings: Settings::of(config),
        directory: Arc::clone(&directory),
        bindings: Arc::clone(&bindings),
        policy_engine: engine,
        offers,
        health: Arc::clone(&routing.health),
        answers: routing.answers,
        hedges: HedgeBudget::default(),
        rulebook: Arc::clone(&routing.rulebook),
        feedback: routing.ratings.feedback(),
        ratings: Arc::clone(&routing.ratings),
        aliases: Arc::clone(&aliases),
        repeats: Arc::default(),
        affinity: Affinity::new(config.routing.session_ms),
        providers,
        ledger: Arc::clone(&ledger),
        exhausted: super::Exhausted::default(),
        upstream: Upstream::new(PoolLimits::default()),
        web,
        recorder,
        metrics: Arc::new(Metrics::default()),
        tasks: Tasks::default(),
        drains: drains(&config.money),
        last_call: LastCall::default(),
        aside: Aside::default(),
        turns: QuestionTurns::default(),
    });
    let admin = AdminState::new(AdminParts {
        store: Arc::clone(&store),
        ledger,
        usage: gateway.recorder.log(),
        directory,
        limits: rate_limits,
        webhook_rule: webhook_rule(config),
        operator,
        admission: Arc::clone(&bindings) as Arc<dyn admin::PolicyAdmission>,
        bindings,
        aliases,
        registries: Arc::new(Registries::new(config)?),
        backtests: Arc::new(Backtests::of(&gateway)),
        routing: shown_routing(&gateway, routing.ratings),
        numbers: Arc::new(Numbers(Arc::clone(&gateway))),
        signatures,
        bounds: bounds(&config.policy),
        started_at_ms,
    });
    Ok(State { gateway, admin, store })
}

/// Who decides for each organization, with the built-in policies behind them.
fn bindings(
    engine: &Arc<PolicyEngine>,
    store: &Arc<Store>,
    signatures: &SignaturePolicy,
) -> anyhow::Result<Arc<Bindings>> {
    let builtins = Builtins::admit(engine)?;
    let (engine, store) = (Arc::clone(engine), Arc::clone(store));
    Ok(Arc::new(Bindings::load(engine, store, signatures.clone(), builtins)?))
}

/// What routing goes by, as the admin API shows it.
fn shown_routing(gateway: &Gateway, ratings: Arc<RatingBook>) -> admin::Routing {
    admin::Routing {
        offers: Arc::clone(&gateway.offers),
        health: Arc::clone(&gateway.health),
        answers: Arc::clone(&gateway.answers),
        rulebook: Arc::clone(&gateway.rulebook),
        rated: Arc::new(ModelRatings(ratings)),
    }
}

/// How many streams at once are read on for callers that have gone.
fn drains(money: &config::Money) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(money.read_on_streams.min(Semaphore::MAX_PERMITS)))
}

/// Organizations' own names for models, as they were written down.
fn aliases(store: &Store, offers: &Arc<ConfiguredCatalog>) -> anyhow::Result<Arc<Aliases>> {
    let aliases = Aliases::new(Arc::clone(offers));
    for org in store.all_orgs()? {
        aliases.set(&org.id, &admin::aliases_of(&org));
    }
    Ok(Arc::new(aliases))
}

fn bounds(policy: &config::Policy) -> PolicyBounds {
    PolicyBounds {
        component_bytes: policy.component_bytes,
        components_per_org: policy.components_per_org,
        components: policy.components,
        deadline_ms: policy.deadline_ms,
        memory_bytes: policy.memory_bytes,
        // The rest is for the built-ins.
        instances: policy.instances.saturating_mul(3) / 4,
        instances_per_org: policy.instances_per_org,
        log_lines: policy.log_lines,
    }
}

/// What routing goes by beside the offers.
struct Routing {
    health: Arc<Health>,
    answers: Arc<Answers>,
    rulebook: Arc<Rulebook>,
    ratings: Arc<RatingBook>,
}

fn routing(
    config: &Config,
    store: &Store,
    offers: &Arc<ConfiguredCatalog>,
    providers: &HashMap<Box<str>, Provider>,
    usage: usage::UsageLog,
) -> anyhow::Result<Routing> {
    let rule = BreakerRule {
        failures: config.routing.breaker_failures,
        open_ms: config.routing.breaker_open_ms,
    };
    let reach = |offer: &Arc<Offer>| {
        providers.get(&*offer.provider).map_or_else(Reach::default, Provider::reach)
    };
    let health = Health::reached(offers.offers().iter().map(reach), rule);
    Ok(Routing {
        health: Arc::new(health),
        answers: Arc::new(Answers::new(offers.offers())?),
        rulebook: Arc::new(rulebook(store, offers)?),
        ratings: Arc::new(RatingBook::open(&config.data.dir, Arc::clone(offers), usage)?),
    })
}

/// What organizations ask of routing, as it was written down.
fn rulebook(store: &Store, offers: &ConfiguredCatalog) -> anyhow::Result<Rulebook> {
    let book = Rulebook::default();
    for org in store.all_orgs()? {
        if !org.routing.is_empty() {
            book.set(&org.id, admin::compiled_rules(&org, offers)?);
        }
    }
    Ok(book)
}

/// Who may call, with what they have left of their rate limits.
fn callers(
    dir: &Path,
    store: &Store,
) -> anyhow::Result<(Arc<ArcSwap<Directory>>, Arc<limits::Registry>)> {
    let pepper = Pepper::open(dir, store.all_keys()?.len())?;
    let rate_limits = Arc::default();
    let directory = admin::directory_of(store, pepper, &rate_limits)?;
    Ok((Arc::new(ArcSwap::from_pointee(directory)), rate_limits))
}

fn webhook_rule(config: &Config) -> Arc<admin::WebhookRule> {
    let targets = Targets::of(&config.alerts);
    Arc::new(move |url: &str| targets.parse(url).map(drop))
}

fn signatures(policy: &config::Policy) -> anyhow::Result<SignaturePolicy> {
    let keys = policy.trusted_keys.iter().map(|key| PublicKey::parse(key));
    let keys = keys.collect::<Result<_, _>>().context("policy.trusted_keys")?;
    Ok(SignaturePolicy { required: policy.require_signature, keys })
}

fn policy_limits(policy: &config::Policy) -> PolicyLimits {
    PolicyLimits {
        instances_max: policy.instances,
        org_instances_max: policy.instances_per_org,
        stack_bytes: policy.stack_bytes,
        log_lines_max: policy.log_lines,
        memory_bytes_max: policy.memory_bytes,
        answer_bytes_max: policy.answer_bytes,
        component_bytes_max: policy.component_bytes,
        clean_texts_ms: policy.clean_texts_ms,
        ..PolicyLimits::default()
    }
}

/// What was compiled is kept in the data folder.
fn compiling(config: &Config, program: Option<PathBuf>) -> Compiling {
    Compiling {
        program,
        folder: Some((config.data.dir.join(COMPILED_DIR), config.policy.compiled_bytes)),
        memory_bytes: config.policy.compile_memory_bytes,
        processor: Duration::from_millis(config.policy.compile_ms),
    }
}

fn data_folder(dir: &Path) -> String {
    format!("can't open the data folder {}", dir.display())
}

/// What the `[providers]` section comes to.
pub(super) struct Offers {
    pub(super) offers: ConfiguredCatalog,
    /// How each provider is reached.
    pub(super) providers: HashMap<Box<str>, Provider>,
    /// What is allowed and hardly meant.
    pub(super) warnings: Vec<String>,
}

/// The offers of the configured providers.
pub(super) fn offers(config: &Config) -> anyhow::Result<Offers> {
    let catalog = Catalog::embedded()?;
    let families = Families::embedded()?;
    let config = &as_the_catalogue_names_them(config)?;
    let mut selections = Vec::with_capacity(config.providers.len());
    let mut providers = HashMap::with_capacity(config.providers.len());
    for (name, provider) in &config.providers {
        let reached = Provider::new(name, provider, &families)?;
        selections.push(ProviderSelection {
            name: name.clone(),
            like: provider.catalog.clone(),
            models: provider.models.clone(),
            declared: provider.offers.clone(),
            overrides: provider.overrides.clone(),
            dialects: reached.dialects().iter().map(|dialect| dialect.label()).collect(),
            zero_retention: provider.zero_retention,
            region: provider.region.clone(),
            dialects_are_certain: provider.dialect.is_some(),
        });
        providers.insert(name.as_str().into(), reached);
    }
    let offers = catalog.configured(&selections)?;
    for (name, provider) in &config.providers {
        let family = families.of(provider.catalog.as_deref().unwrap_or(name));
        let own = offers.offers().iter().filter(|offer| *offer.provider == **name);
        if let Some(reached) = providers.get_mut(name.as_str()) {
            reached.learn(&family, own.map(|offer| &**offer));
        }
    }
    let useless = |name: &&String| !offers.offers().iter().any(|offer| usable(offer, name));
    let warnings = config.providers.keys().filter(useless);
    let warnings = warnings.map(|name| warning(&catalog, &offers, config, name)).collect();
    Ok(Offers { offers, providers, warnings })
}

/// The configuration with the catalogue's names of providers that it calls by other names of
/// theirs, such as `bedrock`.
fn as_the_catalogue_names_them(config: &Config) -> anyhow::Result<Config> {
    let sellers = crate::catalog::sellers()?;
    let mut config = config.clone();
    for (name, provider) in &mut config.providers {
        let also = |(_, seller): &(&String, &crate::catalog::Seller)| seller.also.contains(name);
        if provider.catalog.is_none() && !sellers.contains_key(name) {
            provider.catalog = sellers.iter().find(also).map(|(known, _)| known.clone());
        }
    }
    Ok(config)
}

/// Whether requests can be served by this offer of the provider.
pub(super) fn usable(offer: &Offer, provider: &str) -> bool {
    *offer.provider == *provider && offer.is_priced() && !offer.dialects.is_empty()
}

/// About a provider that nothing can be asked of.
fn warning(catalog: &Catalog, offers: &ConfiguredCatalog, config: &Config, name: &str) -> String {
    let provider = config.providers.get(name);
    let declared = |offer: &&Arc<Offer>| {
        let mut all = provider.into_iter().flat_map(|provider| &provider.offers);
        *offer.provider == *name && all.any(|declared| *declared.id == *offer.model)
    };
    // Who declared one knows that already, and wants to hear what is wrong with it.
    if let Some(offer) = offers.offers().iter().find(declared) {
        let why = match offer.is_priced() {
            true => "is served in none of the dialects that its provider is spoken to in",
            false => {
                "has no price: set free = true where it costs nothing, else usd_per_million = \
                 { input = \"…\", output = \"…\" }"
            }
        };
        return format!("providers.{name} serves nothing, because its offer {} {why}", offer.model);
    }
    let like = provider.and_then(|provider| provider.catalog.as_deref());
    let why = if catalog.offers_of(like.unwrap_or(name)).is_empty() {
        catalog.provider_hint(name)
    } else {
        "none of its models has a known price".to_owned()
    };
    format!(
        "providers.{name} serves nothing, because it has no usable offer: {why}, or declare its \
         models in [[providers.{name}.offers]]"
    )
}

impl State {
    /// Writes out what is in memory. Blocks.
    pub(super) fn close(self) {
        if let Err(error) = self.gateway.ledger.close() {
            tracing::error!(%error, "the ledger was not closed in order");
        }
        self.gateway.recorder.log().barrier();
        if let Err(error) = self.store.sync() {
            tracing::error!(%error, "the store was not flushed");
        }
    }
}

#[derive(Debug)]
struct ModelRatings(Arc<RatingBook>);

impl admin::RatedModels for ModelRatings {
    fn of_model(&self, model: &str) -> Vec<(Arc<str>, Arc<str>, route::Ratings)> {
        self.0.of_model(model)
    }
}

struct Numbers(Arc<Gateway>);

impl SystemNumbers for Numbers {
    fn numbers(&self) -> Vec<(&'static str, u64)> {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        vec![
            ("tasks_running", count(self.0.tasks.running())),
            ("policy_instances", count(self.0.policy_engine.live_instances())),
            ("policy_instances_idle", count(self.0.policy_engine.idle_instances())),
            ("upstream_idle_connections", count(self.0.upstream.idle_connections())),
            ("offers", count(self.0.offers.offers().len())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        Config::parse("turnpike.toml", text, std::iter::empty()).unwrap()
    }

    const LOCAL: &str = "[providers.local]\nbase_url = \"http://127.0.0.1:11434/v1\"\n";

    #[test]
    fn a_declared_offer_is_served_under_its_providers_name() {
        let declared = "[[providers.local.offers]]\nid = \"meta/llama-3.2-3b\"\n\
                        upstream_model = \"llama3.2:3b\"\nfree = true\ntools = true\n";
        let Offers { offers, warnings, .. } =
            offers(&parse(&format!("{LOCAL}{declared}"))).unwrap();
        let [offer] = offers.offers() else { panic!("{:?}", offers.offers()) };
        assert_eq!(&*offer.id, "meta/llama-3.2-3b@local");
        assert_eq!(&*offer.upstream_model, "llama3.2:3b");
        assert!(usable(offer, "local") && offer.tools && warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn a_provider_is_known_by_its_other_names_too() {
        for (name, id) in
            [("together", "alibaba/qwen3-coder-next@together"), ("zhipu", "zhipuai/glm-4.6@zhipu")]
        {
            let text = format!("[providers.{name}]\nbase_url = \"https://a/v1\"\n");
            let Offers { offers, .. } = offers(&parse(&text)).unwrap();
            let ids: Vec<&str> = offers.offers().iter().map(|offer| &*offer.id).collect();
            assert!(ids.contains(&id), "{name}: {ids:?}");
        }
    }

    #[test]
    fn a_mistake_in_a_declared_offer_is_named() {
        let with = |lines: &str| format!("{LOCAL}[[providers.local.offers]]\n{lines}\n");
        let unknown = with("id = \"a/b\"\nprice = 1");
        let error = Config::parse("turnpike.toml", &unknown, std::iter::empty()).unwrap_err();
        assert!(error.to_string().contains("price"), "{error}");
        for (lines, said) in [
            ("id = \"llama\"\nfree = true", "vendor/model"),
            ("id = \"a/b\"\nfree = true\ninput = [\"smell\"]", "smell"),
        ] {
            let error = offers(&parse(&with(lines))).err().map(|error| error.to_string());
            assert!(error.as_deref().is_some_and(|error| error.contains(said)), "{error:?}");
            let named = |error: &str| error.contains("[[providers.local.offers]], id ");
            assert!(error.as_deref().is_some_and(named), "{error:?}");
        }
    }

    #[test]
    fn a_provider_without_a_usable_offer_is_warned_about() {
        let warned = |name: &str| {
            let text = format!("[providers.{name}]\nbase_url = \"https://a/v1\"\n");
            offers(&parse(&text)).unwrap().warnings
        };
        assert_eq!(warned("openai"), Vec::<String>::new());
        let [misspelt] = &*warned("opnai") else { panic!("one warning") };
        assert!(misspelt.contains("catalog = \"openai\""), "{misspelt}");
        let [unlike] = &*warned("my-own-machine") else { panic!("one warning") };
        assert!(unlike.contains("catalog = \"…\"") && unlike.contains("offers]]"), "{unlike}");
        // Known, and no other is meant because its name has the same letters.
        let [ollama] = &*warned("ollama") else { panic!("one warning") };
        assert!(!ollama.contains("\"llama\"") && ollama.contains("lists no models"), "{ollama}");
    }

    #[test]
    fn a_declared_offer_that_serves_nothing_is_told_what_it_lacks() {
        let warned = |lines: &str| {
            let offer = format!("[[providers.local.offers]]\nid = \"meta/llama3.2\"\n{lines}\n");
            offers(&parse(&format!("{LOCAL}{offer}"))).unwrap().warnings
        };
        for half in ["", "usd_per_million = { input = \"1\" }"] {
            let [told] = &*warned(half) else { panic!("one warning") };
            assert!(told.contains("offer meta/llama3.2 has no price"), "{told}");
            assert!(told.contains("free = true") && told.contains("usd_per_million"), "{told}");
            assert!(!told.contains("catalogue"), "{told}");
        }
        let [told] = &*warned("free = true\ndialects = [\"gemini\"]") else {
            panic!("one warning")
        };
        assert!(told.contains("none of the dialects"), "{told}");
        assert_eq!(warned("free = true"), Vec::<String>::new());
    }
}
