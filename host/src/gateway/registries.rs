//! Components from OCI registries (a pull by the distribution specification): a manifest by digest,
//! and the one layer that is WebAssembly. Only registries that the configuration names, nothing
//! without a digest, and no byte that does not hash to what was asked for. Compiles nothing and
//! stores nothing.

mod reference;

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{LOCATION, WWW_AUTHENTICATE};
use http::uri::Authority;
use http::{HeaderMap, StatusCode, Uri};
use serde::Deserialize;
use turnpike_protocol::base64;

use self::reference::Reference;
use crate::admin::{ComponentSource, PullRefused, Pulling};
use crate::config;
use crate::policy::signature::digest_hex;
use crate::secret::Secret;
use crate::upstream::{
    Endpoint, PoolLimits, RequestHead, Response, Scheme, Timeouts, Upstream, is_public,
};

/// All of a pull: a component of 32 MiB over a slow line.
const PULL_MAX: Duration = Duration::from_secs(120);
/// Each step of it.
const STEP: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    first_byte: Duration::from_secs(30),
    idle: Duration::from_secs(30),
};
/// Idle connections: pulls are rare.
const POOL: PoolLimits = PoolLimits { idle_per_endpoint: 1, idle_for: Duration::from_secs(20) };
/// Bytes of a manifest: registries take 4 MiB, one of a single layer has a thousand.
const MANIFEST_BYTES_MAX: usize = 256 << 10;
/// Bytes of an answer with a token.
const TOKEN_BYTES_MAX: usize = 64 << 10;
/// Places that a blob may be redirected to, one after the other.
const REDIRECTS_MAX: usize = 3;
/// The kinds of manifest that have layers.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.v2+json";
/// The kinds of layer that are a component.
const LAYERS: [&str; 2] = ["application/wasm", "application/vnd.wasm.content.layer.v1+wasm"];

/// One registry that may be asked.
#[derive(Debug)]
struct Registry {
    endpoint: Endpoint,
    /// `Basic …`; none pulls what is public.
    basic: Option<Secret>,
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Registries {
    upstream: Upstream,
    known: BTreeMap<String, Registry>,
    component_bytes: usize,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
    /// Of an index: manifests of its own, one for each platform.
    #[serde(default)]
    manifests: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

fn failed(what: impl Into<String>) -> PullRefused {
    PullRefused::Registry(what.into())
}

// === impl Registries ===

impl Registries {
    pub(super) fn new(config: &config::Config) -> anyhow::Result<Self> {
        let mut known = BTreeMap::new();
        for (name, registry) in &config.registries {
            known.insert(name.to_ascii_lowercase(), Registry::new(name, registry)?);
        }
        let own: HashSet<(Arc<str>, u16)> = known
            .values()
            .map(|registry| (Arc::clone(&registry.endpoint.host), registry.endpoint.port))
            .collect();
        // Where a registry redirects to is not the operator's word.
        let reachable = move |to: &Endpoint, address: IpAddr| {
            own.contains(&(Arc::clone(&to.host), to.port)) || is_public(address)
        };
        let upstream = Upstream::guarded(POOL, Arc::new(reachable));
        Ok(Self { upstream, known, component_bytes: config.policy.component_bytes })
    }

    async fn component(&self, text: &str) -> Result<Bytes, PullRefused> {
        let reference = Reference::parse(text).map_err(PullRefused::Reference)?;
        let Some(registry) = self.known.get(&reference.registry) else {
            return Err(PullRefused::Reference(format!(
                "{} is not among the registries of this installation ([registries.\"{}\"] in the \
                 configuration)",
                reference.registry, reference.registry
            )));
        };
        let pull = Pull { upstream: &self.upstream, registry, reference: &reference };
        let (manifest, authorization) = pull.manifest().await?;
        let layer = component_layer(&manifest, self.component_bytes)?;
        let bytes = pull.blob(&layer, authorization.as_ref()).await?;
        Ok(bytes)
    }
}

impl ComponentSource for Registries {
    fn pull<'a>(&'a self, reference: &'a str) -> Pulling<'a> {
        Box::pin(async move {
            let pulled = tokio::time::timeout(PULL_MAX, self.component(reference)).await;
            pulled.unwrap_or_else(|_| {
                Err(failed(format!("{reference} took longer than {} s", PULL_MAX.as_secs())))
            })
        })
    }
}

// === impl Registry ===

impl Registry {
    fn new(name: &str, config: &config::Registry) -> anyhow::Result<Self> {
        let scheme = if config.plain { Scheme::Http } else { Scheme::Https };
        let authority: Authority = name
            .parse()
            .with_context(|| format!("registries.{name:?}: not a host, or host:port"))?;
        let usual = if config.plain { 80 } else { 443 };
        let port = authority.port_u16().unwrap_or(usual);
        let endpoint =
            Endpoint { scheme, host: authority.host().to_ascii_lowercase().into(), port };
        let basic = match (&config.username, &config.password) {
            (Some(user), Some(password)) => {
                let password = password.resolve(&format!("registries.{name}.password"))?;
                let pair = Secret::new(format!("{user}:{}", password.reveal()));
                let encoded = base64::encode(pair.reveal().as_bytes());
                Some(Secret::new(format!("Basic {encoded}")))
            }
            (None, None) => None,
            _ => anyhow::bail!("registries.{name}: username and password belong together"),
        };
        Ok(Self { endpoint, basic })
    }
}

/// The layer that is the component.
fn component_layer(manifest: &Manifest, most: usize) -> Result<Layer, PullRefused> {
    if !manifest.manifests.is_empty() {
        let words = "it is an index of several manifests; name the digest of the one that has the \
                     component";
        return Err(PullRefused::Reference(words.to_owned()));
    }
    let is_component = |layer: &&Layer| LAYERS.contains(&layer.media_type.as_str());
    let mut found = manifest.layers.iter().filter(is_component);
    let (Some(layer), None) = (found.next(), found.next()) else {
        let kinds: Vec<&str> =
            manifest.layers.iter().map(|layer| layer.media_type.as_str()).take(8).collect();
        return Err(PullRefused::Reference(format!(
            "a component is the one layer of a manifest that is {}; its layers are: {}",
            LAYERS.join(" or "),
            if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
        )));
    };
    let (size, digest) = (layer.size, layer.digest.clone());
    if !usize::try_from(size).is_ok_and(|size| size <= most) {
        return Err(PullRefused::Reference(format!(
            "its component has {size} bytes, at most {most} are taken"
        )));
    }
    Ok(Layer { media_type: layer.media_type.clone(), digest, size })
}

/// One pull from one registry.
struct Pull<'a> {
    upstream: &'a Upstream,
    registry: &'a Registry,
    reference: &'a Reference,
}

impl Pull<'_> {
    /// The manifest, and what it took to be let in.
    async fn manifest(&self) -> Result<(Manifest, Option<Secret>), PullRefused> {
        let Reference { repository, digest, .. } = self.reference;
        let path = format!("/v2/{repository}/manifests/sha256:{digest}");
        let accept = [("accept", MANIFESTS)];
        let to = &self.registry.endpoint;
        let mut authorization = None;
        let mut answer = self.get(to, &path, &accept, None).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            authorization = Some(self.authorize(&answer.headers).await?);
            answer = self.get(to, &path, &accept, authorization.as_ref()).await?;
        }
        if answer.status != StatusCode::OK {
            return Err(refused(self.reference, "the manifest", answer.status));
        }
        let body = answer.body.collect(MANIFEST_BYTES_MAX).await;
        let body = body.map_err(|error| failed(error.detail))?;
        check(&body, digest, "the manifest")?;
        let manifest = serde_json::from_slice(&body)
            .map_err(|cause| failed(format!("the manifest can't be read: {cause}")))?;
        Ok((manifest, authorization))
    }

    async fn blob(
        &self,
        layer: &Layer,
        authorization: Option<&Secret>,
    ) -> Result<Bytes, PullRefused> {
        let digest = layer.digest.strip_prefix("sha256:").filter(|hex| reference::is_sha256(hex));
        let digest = digest.ok_or_else(|| failed("the layer's digest is no sha256"))?;
        let path = format!("/v2/{}/blobs/sha256:{digest}", self.reference.repository);
        let mut place = (self.registry.endpoint.clone(), path);
        for _ in 0..=REDIRECTS_MAX {
            let (to, path) = &place;
            // A token is for the registry alone.
            let own = *to == self.registry.endpoint;
            let answer = self.get(to, path, &[], authorization.filter(|_| own)).await?;
            if answer.status.is_redirection() {
                place = self.next(to, &answer.headers)?;
                continue;
            }
            return component_of(self.reference, answer, layer, digest).await;
        }
        Err(failed(format!("the layer is redirected more than {REDIRECTS_MAX} times")))
    }

    /// Where a redirect leads; never from TLS to plain.
    fn next(
        &self,
        from: &Endpoint,
        headers: &HeaderMap,
    ) -> Result<(Endpoint, String), PullRefused> {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let bad = || failed("the registry redirects to no address");
        let uri: Uri = location.ok_or_else(bad)?.parse().map_err(|_| bad())?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        if uri.authority().is_none() {
            return Ok((from.clone(), path));
        }
        let to = endpoint(&uri).ok_or_else(bad)?;
        if to.scheme == Scheme::Http && self.registry.endpoint.scheme != Scheme::Http {
            return Err(failed("the registry redirects to an address without TLS"));
        }
        Ok((to, path))
    }

    /// What the registry wants to be shown: a token, or name and password.
    async fn authorize(&self, headers: &HeaderMap) -> Result<Secret, PullRefused> {
        let challenge = headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let challenge = challenge.unwrap_or_default();
        let no_entry =
            || failed("the registry wants a name and password, which the configuration has not");
        if let Some(parameters) = challenge.strip_prefix("Bearer ") {
            return self.token(parameters).await;
        }
        self.registry.basic.clone().ok_or_else(no_entry)
    }

    async fn token(&self, parameters: &str) -> Result<Secret, PullRefused> {
        let bad = || failed("the registry's way to a token can't be read");
        let realm: Uri = reference::parameter(parameters, "realm")
            .and_then(|realm| realm.parse().ok())
            .ok_or_else(bad)?;
        let to = endpoint(&realm).ok_or_else(bad)?;
        if to.scheme == Scheme::Http && self.registry.endpoint.scheme != Scheme::Http {
            return Err(failed("the registry gives out tokens without TLS"));
        }
        let mut query = format!("scope=repository:{}:pull", self.reference.repository);
        if let Some(service) = reference::parameter(parameters, "service") {
            query.push_str(&format!("&service={}", reference::encoded(service)));
        }
        let path = format!("{}?{query}", realm.path());
        let mut answer = self.get(&to, &path, &[], self.registry.basic.as_ref()).await?;
        let status = answer.status;
        let body =
            answer.body.collect(TOKEN_BYTES_MAX).await.map_err(|error| failed(error.detail))?;
        if status != StatusCode::OK {
            return Err(failed(format!("{to} gives no token (status {status})")));
        }
        let Token { token, access_token } = serde_json::from_slice(&body).map_err(|_| bad())?;
        let token = token.or(access_token).ok_or_else(bad)?;
        Ok(Secret::new(format!("Bearer {token}")))
    }

    async fn get(
        &self,
        to: &Endpoint,
        path: &str,
        headers: &[(&str, &str)],
        authorization: Option<&Secret>,
    ) -> Result<Response, PullRefused> {
        let mut headers = headers.to_vec();
        headers.extend(authorization.map(|secret| ("authorization", secret.reveal())));
        let head = RequestHead { method: "GET", path, headers: &headers };
        let sent = self.upstream.send(to, &head, Bytes::new(), &STEP).await;
        sent.map_err(|error| failed(error.detail))
    }
}

async fn component_of(
    reference: &Reference,
    mut answer: Response,
    layer: &Layer,
    digest: &str,
) -> Result<Bytes, PullRefused> {
    if answer.status != StatusCode::OK {
        return Err(refused(reference, "the layer", answer.status));
    }
    let most = usize::try_from(layer.size).unwrap_or(usize::MAX);
    let bytes = answer.body.collect(most).await.map_err(|error| failed(error.detail))?;
    check(&bytes, digest, "the layer")?;
    Ok(bytes)
}

fn refused(reference: &Reference, what: &str, status: StatusCode) -> PullRefused {
    match status {
        StatusCode::NOT_FOUND => PullRefused::Reference(format!(
            "{} has not {what} of {}",
            reference.registry, reference.repository
        )),
        status => failed(format!("{} does not give {what}: status {status}", reference.registry)),
    }
}

fn check(bytes: &[u8], digest: &str, what: &str) -> Result<(), PullRefused> {
    let found = digest_hex(bytes);
    if found == digest {
        return Ok(());
    }
    Err(failed(format!("{what} has sha256 {found}, not {digest}: the registry sent other bytes")))
}

fn endpoint(uri: &Uri) -> Option<Endpoint> {
    let (scheme, usual) = match uri.scheme_str()? {
        "http" => (Scheme::Http, 80),
        "https" => (Scheme::Https, 443),
        _ => return None,
    };
    let authority = uri.authority().filter(|it| !it.as_str().contains('@'))?;
    let port = authority.port_u16().unwrap_or(usual);
    Some(Endpoint { scheme, host: authority.host().to_ascii_lowercase().into(), port })
}

#[cfg(test)]
mod tests;
