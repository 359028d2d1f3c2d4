//! Configuration: one TOML file, an environment overlay, defaults that are written beside each
//! field. Parsing binds no port, opens no file but the configuration and the secrets it names, and
//! never logs a secret. An unknown field is an error that names it.

mod alerts;
mod cloud;
mod listen;
mod overlay;
mod policy;
mod secret_ref;
mod tables;
mod usage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use turnpike_protocol::Dialect;

use crate::catalog::{DeclaredOffer, OfferOverride};

pub use alerts::Alerts;
pub use cloud::{AwsCredentials, GoogleCredentials};
pub use listen::Listen;
pub use policy::Policy;
pub use secret_ref::SecretRef;
pub use usage::Usage;

/// Keys of one provider: each of its offers has a breaker for each of them.
const CREDENTIALS_MAX: usize = 32;

/// The whole configuration file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub listen: Listen,
    pub data: DataFolder,
    pub admin: Admin,
    pub limits: Limits,
    pub timeouts: Timeouts,
    pub routing: Routing,
    pub money: Money,
    pub alerts: Alerts,
    pub policy: Policy,
    pub usage: Usage,
    pub registries: BTreeMap<String, Registry>,
    pub providers: BTreeMap<String, Provider>,
}

/// `[data]`: where state is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataFolder {
    /// Default `./turnpike-data`.
    pub dir: PathBuf,
}

/// `[admin]`: who may call the admin API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// The operator's token. Default `env:TURNPIKE_ADMIN_TOKEN`.
    pub token: SecretRef,
}

/// `[limits]`: how much one process takes on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Data-plane threads; 0 means one per processor. Default 0.
    pub workers: usize,
    /// Open connections; more are refused with 503. Default 16384.
    pub connections: usize,
    /// Bytes of a request body. Default 32 MiB, what a long agent turn with images needs.
    pub body_bytes: usize,
    /// Bytes of a non-streaming answer. Default 64 MiB.
    pub answer_bytes: usize,
    /// Bytes of one event in a stream. Default 4 MiB.
    pub event_bytes: usize,
}

/// `[timeouts]`, in milliseconds; for one attempt at one provider, but for the last two.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Resolve, connect and TLS. Default 5000.
    pub connect_ms: u64,
    /// Until the head of a streamed answer. Default 60000.
    pub first_byte_ms: u64,
    /// Until the head of an answer that is not streamed: the model writes all of it first.
    /// Default 600000, what the SDKs wait.
    pub answer_ms: u64,
    /// Until the first content of a stream whose head has come. Default 120000.
    pub first_content_ms: u64,
    /// Between two reads of a stream. Default 300000.
    pub idle_ms: u64,
    /// While a client reads nothing of what there is for it; then its connection is closed.
    /// Default 60000.
    pub write_idle_ms: u64,
    /// On shutdown, for requests in flight. Default 30000.
    pub drain_ms: u64,
}

/// `[routing]`: what `auto` aims at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// Offers asked before the request fails, and one more where all of them are of one provider,
    /// unless it is 1. Default 3, at most 8.
    pub attempts: usize,
    /// Failures in a row that open an offer's breaker. Default 5.
    pub breaker_failures: u32,
    /// How long an open breaker keeps an offer out before one probe. Default 10000.
    pub breaker_open_ms: u64,
    /// Under the profile `fast`: how long the first offer has to begin its answer before the next
    /// is asked beside it; 0 turns that off. Default 0: the loser's cost is the platform's.
    pub hedge_ms: u64,
    /// Under the profile `fast` and weights with speed: one request in so many tries an offer whose
    /// speed is not known, at the same floors and ceilings; 0 never does. Default 20.
    pub explore_one_in: u32,
    /// Whether `auto` may take what a provider gives away, such as OpenRouter's `:free` models,
    /// where no rule of the organization says. Default false: its quotas are shared, and it would
    /// win by its price. Offers that are free by this file's word are always candidates.
    pub free_offers: bool,
    /// How long after its last answer a conversation is known to be warm where it was answered;
    /// 0 turns that off. Default 300000, as long as providers keep a prompt's beginning.
    pub session_ms: u64,
}

/// `[money]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Money {
    /// `overlapped` (default): the answer does not wait for the disk. `strict`: an answer that is
    /// not streamed waits until its capture is on disk.
    pub durability: Durability,
    /// Whether the caller pays for what a provider delivered before it died. Default false.
    pub bill_partial: bool,
    /// When the worst case can't be afforded, the output limit is clamped, but never below this
    /// many tokens; then the request is refused with 402. Default 256.
    pub clamp_floor_tokens: u32,
    /// How long a hold may stay open before it expires. Default 10800000, three hours: enough for
    /// the most attempts with the default time-outs.
    pub hold_ms: u64,
    /// A stream whose caller has gone is read on to learn its usage, for at most this long.
    /// Default 60000.
    pub read_on_ms: u64,
    /// And for at most so many bytes more. Default 16 MiB, more than the longest answers.
    pub read_on_bytes: usize,
    /// So many streams at once are read on for nobody; past that, what came is counted. Default
    /// 1024.
    pub read_on_streams: usize,
}

/// See [`Money::durability`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    Overlapped,
    Strict,
}

/// `[providers.NAME]`: one upstream.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// For example `https://api.openai.com/v1`; the operation's path is appended. Default: the
    /// address of the provider of that name, if it is a known one.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The gateway's own credential there: `env:NAME`, `file:PATH`, or the key itself.
    #[serde(default)]
    pub api_key: Option<SecretRef>,
    /// `aws = { access_key_id, secret_access_key }` in place of a key: requests are signed.
    #[serde(default)]
    pub aws: Option<AwsCredentials>,
    /// `google = { service_account }` in place of a key: tokens are fetched and renewed.
    #[serde(default)]
    pub google: Option<GoogleCredentials>,
    /// The `api-version` of Azure's paths by deployment. Default: none, and the paths of its v1.
    #[serde(default)]
    pub api_version: Option<String>,
    /// What models are called there, where that is the operator's choice, as of Azure's
    /// deployments: by the name that the catalogue has for the wire, or by catalogue id.
    #[serde(default)]
    pub deployments: BTreeMap<String, String>,
    /// The one wire protocol to speak to it: `openai-chat`, `openai-responses`,
    /// `anthropic-messages`, `gemini` or `bedrock-converse`. Default: those that a provider of that
    /// name is known to speak, the caller's own first; for any other name `openai-chat`.
    #[serde(default)]
    pub dialect: Option<String>,
    /// The provider's name in the catalogue, where it differs from NAME.
    #[serde(default)]
    pub catalog: Option<String>,
    /// Which of its models to offer, by catalogue id or by the provider's own name; `*` at the
    /// end stands for anything. Default: all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Whether it keeps nothing of what it is sent, as the operator has agreed with it: what data
    /// of the classes `confidential` and `restricted` needs. Default false.
    #[serde(default)]
    pub zero_retention: bool,
    /// Where it keeps the calls, such as `eu`, for rules about regions. Default: not known, but
    /// where the catalogue says so.
    #[serde(default)]
    pub region: Option<String>,
    /// Requests on their way to one of its models at a time; 0 for any number. Default 0.
    #[serde(default)]
    pub concurrency: u32,
    /// `[[providers.NAME.credentials]]`: more keys beside `api_key`, or in its place, that share
    /// the load and stand in for each other.
    #[serde(default)]
    pub credentials: Vec<ProviderKey>,
    /// `[[providers.NAME.offers]]`: what it serves beyond the catalogue, or otherwise than there.
    #[serde(default)]
    pub offers: Vec<DeclaredOffer>,
    /// `[[providers.NAME.overrides]]`: prices, quality or limits of the catalogue's offers that the
    /// operator knows better.
    #[serde(default)]
    pub overrides: Vec<OfferOverride>,
}

/// `[[providers.NAME.credentials]]`: one more key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderKey {
    /// `env:NAME`, `file:PATH`, or the key itself.
    pub api_key: SecretRef,
    /// How often it is taken, in proportion to the others; that of `providers.NAME.api_key` is 1.
    /// Default 1, at most 1000.
    #[serde(default = "one")]
    pub weight: u32,
}

fn one() -> u32 {
    1
}

/// `[registries."HOST"]`: an OCI registry from which components may be pulled.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registry {
    /// Default: none, for what is public.
    pub username: Option<String>,
    /// With `username`: `env:NAME`, `file:PATH`, or the password or token itself.
    pub password: Option<SecretRef>,
    /// Whether it is spoken to without TLS. Default false.
    pub plain: bool,
}

/// Why a configuration can't be used; the text names the file, the field and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(crate) String);

impl Config {
    /// Reads a file (or the defaults, when `path` is `None`) and lays the environment over it.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let text = match path {
            Some(path) => std::fs::read_to_string(path).map_err(|e| {
                ConfigError(format!(
                    "can't read the configuration {}: {e}; give its path with --config",
                    path.display()
                ))
            })?,
            None => String::new(),
        };
        let name = path.map_or_else(|| "defaults".to_owned(), |p| p.display().to_string());
        Self::parse(&name, &text, std::env::vars())
    }

    /// Parses `text`, laying `TURNPIKE__SECTION__FIELD` variables over it. Pure.
    pub fn parse(
        name: &str,
        text: &str,
        vars: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        // Parsed as it is first, so that an error shows the line of the file itself.
        let _: Self = toml::from_str(text).map_err(|e| ConfigError(format!("{name}: {e}")))?;
        let mut table: toml::Table =
            toml::from_str(text).map_err(|e| ConfigError(format!("{name}: {e}")))?;
        overlay::apply(&mut table, vars)?;
        tables::check(&table).map_err(|why| ConfigError(format!("{name}: {why}")))?;
        let config: Self = toml::Value::Table(table)
            .try_into()
            .map_err(|e| ConfigError(format!("{name} with the environment laid over: {e}")))?;
        config.validate(name)?;
        Ok(config)
    }

    fn validate(&self, name: &str) -> Result<(), ConfigError> {
        let bad = |field: &str, why: &str| Err(ConfigError(format!("{name}: {field}: {why}")));
        if self.routing.attempts == 0 || self.routing.attempts > 8 {
            return bad("routing.attempts", "must be from 1 to 8");
        }
        if let Some(why) = self.listen.fault() {
            return bad("listen.data and listen.admin", &why);
        }
        if let Some((field, why)) = self.policy.fault() {
            return bad(&format!("policy.{field}"), why);
        }
        // An answer that is not streamed has this time for its head and again for its body.
        let thinking_ms = self.timeouts.first_content_ms.max(self.timeouts.answer_ms);
        let stream_ms = self.timeouts.first_byte_ms.saturating_add(thinking_ms);
        let slowest_ms = self.timeouts.answer_ms.saturating_mul(2).max(stream_ms);
        // Where all of a plan are one provider's, one attempt more is at another.
        let attempts = self.routing.attempts + usize::from(self.routing.attempts > 1);
        let attempts = u64::try_from(attempts).unwrap_or(u64::MAX);
        let least_ms = slowest_ms.saturating_mul(attempts);
        if self.money.hold_ms < least_ms {
            let why = format!(
                "must cover every attempt, so it must be at least {least_ms}: the longer of twice \
                 timeouts.answer_ms and of timeouts.first_byte_ms plus the longer of \
                 timeouts.first_content_ms and timeouts.answer_ms, times routing.attempts and one \
                 more (not with 1)"
            );
            return bad("money.hold_ms", &why);
        }
        for (id, provider) in &self.providers {
            let field = format!("providers.{id}");
            if let Some(dialect) = &provider.dialect
                && Dialect::parse(dialect).is_none()
            {
                let known: Vec<&str> = Dialect::ALL.iter().map(|known| known.label()).collect();
                let why = format!("dialect {dialect:?} is not known; use {}", known.join(", "));
                return bad(&field, &why);
            }
            if provider.credentials.len() > CREDENTIALS_MAX {
                return bad(&field, "at most 32 credentials");
            }
            if provider.credentials.iter().any(|key| !(1..=1000).contains(&key.weight)) {
                return bad(&format!("{field}.credentials.weight"), "must be from 1 to 1000");
            }
            let Some(url) = &provider.base_url else { continue };
            if !(url.starts_with("http://") || url.starts_with("https://")) {
                let why = format!("base_url {url:?} must begin with http:// or https://");
                return bad(&field, &why);
            }
        }
        Ok(())
    }
}

// === impl Default ===

impl Default for DataFolder {
    fn default() -> Self {
        Self { dir: PathBuf::from("turnpike-data") }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { token: SecretRef::from_env("TURNPIKE_ADMIN_TOKEN") }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: 0,
            connections: 16_384,
            body_bytes: 32 << 20,
            answer_bytes: 64 << 20,
            event_bytes: 4 << 20,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_ms: 5_000,
            first_byte_ms: 60_000,
            answer_ms: 600_000,
            first_content_ms: 120_000,
            idle_ms: 300_000,
            write_idle_ms: 60_000,
            drain_ms: 30_000,
        }
    }
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            attempts: 3,
            breaker_failures: 5,
            breaker_open_ms: 10_000,
            hedge_ms: 0,
            explore_one_in: 20,
            free_offers: false,
            session_ms: 300_000,
        }
    }
}

impl Default for Money {
    fn default() -> Self {
        Self {
            durability: Durability::Overlapped,
            bill_partial: false,
            clamp_floor_tokens: 256,
            hold_ms: 10_800_000,
            read_on_ms: 60_000,
            read_on_bytes: 16 << 20,
            read_on_streams: 1_024,
        }
    }
}

#[cfg(test)]
mod tests;
