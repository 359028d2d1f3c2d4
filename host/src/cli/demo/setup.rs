//! What the demo sets up through the admin API: an organization, credit, a key with a budget.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::secret::Secret;
use crate::upstream::{Endpoint, PoolLimits, RequestHead, Scheme, Timeouts, Upstream};

const ORG: &str = "demo";
/// What the demo calls the key that it makes.
const KEY_NAME: &str = "demo";
const CREDIT_USD: &str = "100";
const BUDGET_USD: &str = "25";
/// Of an admin answer; the largest is a page of keys.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(30);
const TOKEN_FILE: &str = "admin-token";

/// What there is to tell the newcomer.
pub(super) struct Made {
    pub(super) org: &'static str,
    pub(super) key: Secret,
    pub(super) balance: String,
}

/// The operator's token of this demo, made at its first run.
pub(super) fn admin_token(data: &Path) -> anyhow::Result<Secret> {
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    // For its owner only, as the store would make it.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .with_context(|| format!("can't make {}", data.display()))?;
    let path = data.join(TOKEN_FILE);
    if let Ok(token) = std::fs::read_to_string(&path)
        && !token.is_empty()
    {
        return Ok(Secret::new(token));
    }
    let token = format!("tp-admin-{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(&path)
        .and_then(|mut file| file.write_all(token.as_bytes()))
        .with_context(|| format!("can't write {}", path.display()))?;
    Ok(Secret::new(token))
}

/// Makes what is missing; a second run finds it there. The demo's own key is new each time, since a
/// key is shown only once; those of another name are the user's and stay.
pub(super) async fn organization(admin: SocketAddr, token: &Secret) -> anyhow::Result<Made> {
    let api = Api::new(admin, token);
    api.create("/orgs", json!({"id": ORG, "name": "Demo"})).await?;
    let topup = json!({"amount_usd": CREDIT_USD, "channel": "demo", "reference": "demo-credit"});
    api.create(&format!("/orgs/{ORG}/credits/topups"), topup).await?;
    let keys = format!("/orgs/{ORG}/keys");
    let old = api.call("GET", &keys, None).await?.1;
    for key in old.get("items").and_then(Value::as_array).into_iter().flatten() {
        let own = key.get("name").and_then(Value::as_str) == Some(KEY_NAME);
        if let Some(id) = key.get("id").and_then(Value::as_str).filter(|_| own) {
            api.call("DELETE", &format!("{keys}/{id}"), None).await?;
        }
    }
    let budget = json!({"amount_usd": BUDGET_USD, "period": "day", "mode": "hard"});
    let (status, made) =
        api.call("POST", &keys, Some(json!({"name": KEY_NAME, "budget": budget}))).await?;
    let Some(key) = made.get("key").and_then(Value::as_str) else {
        bail!("the admin API answered {status} to the making of a key: {made}");
    };
    let balance = api.call("GET", &format!("/orgs/{ORG}/credits"), None).await?.1;
    let balance = balance.get("available_usd").and_then(Value::as_str).unwrap_or("?").to_owned();
    Ok(Made { org: ORG, key: Secret::new(key.to_owned()), balance })
}

struct Api {
    client: Upstream,
    endpoint: Endpoint,
    authorization: String,
}

impl Api {
    fn new(admin: SocketAddr, token: &Secret) -> Self {
        let host = admin.ip().to_string().into();
        Self {
            client: Upstream::new(PoolLimits::default()),
            endpoint: Endpoint { scheme: Scheme::Http, host, port: admin.port() },
            authorization: format!("Bearer {}", token.reveal()),
        }
    }

    /// Makes something; that it is there already is fine.
    async fn create(&self, path: &str, body: Value) -> anyhow::Result<()> {
        let (status, answer) = self.call("POST", path, Some(body)).await?;
        match status {
            200 | 201 | 409 => Ok(()),
            _ => bail!("the admin API answered {status} to POST {path}: {answer}"),
        }
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let path = format!("/admin/v1{path}");
        let headers =
            [("authorization", self.authorization.as_str()), ("content-type", "application/json")];
        let head = RequestHead { method, path: &path, headers: &headers };
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let timeouts = Timeouts { connect: PATIENCE, first_byte: PATIENCE, idle: PATIENCE };
        let mut answer = self.client.send(&self.endpoint, &head, body, &timeouts).await?;
        let text = answer.body.collect(ANSWER_BYTES_MAX).await?;
        let value = serde_json::from_slice(&text).unwrap_or(Value::Null);
        Ok((answer.status.as_u16(), value))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_data_folder_and_the_token_are_for_their_owner_only() {
        let outer = tempfile::tempdir().unwrap();
        let data = outer.path().join("demo-data");
        let made = admin_token(&data).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data), 0o700);
        assert_eq!(mode(&data.join(TOKEN_FILE)), 0o600);
        assert_eq!(admin_token(&data).unwrap().reveal(), made.reveal(), "it is kept");
    }
}
