//! Signatures on uploads: whose are taken, what is said of the others, and what stays in force.

use http::StatusCode;
use serde_json::{Value, json};

use super::world::World;
use crate::policy::signature::SecretKey;

const ORG: &str = "/admin/v1/orgs/acme";
const KEYS: &str = "/admin/v1/orgs/acme/signing-keys";
const PLUGINS: &str = "/admin/v1/orgs/acme/plugins";
const ROUTE: &str = "/admin/v1/orgs/acme/bindings/route";
const COMPONENT: &[u8] = b"ok route";

fn key() -> (SecretKey, Value) {
    let key = SecretKey::generate().unwrap();
    let public = key.public().unwrap().to_string();
    (key, json!({"name": "release", "public_key": public}))
}

/// An organization that takes signed policies only, of one key.
async fn strict() -> (World, SecretKey) {
    let world = World::new();
    world.org("acme").await;
    let (key, shown) = key();
    assert_eq!(world.send("POST", KEYS, &shown).await.status, StatusCode::CREATED);
    let strict = world.send("PATCH", ORG, &json!({"require_signature": true})).await;
    assert_eq!(strict.body["require_signature"], true);
    (world, key)
}

fn upload(version: &str, signature: Option<&str>) -> String {
    let signature = signature.map(|it| format!("&signature={it}")).unwrap_or_default();
    format!("{PLUGINS}?name=router&version={version}{signature}")
}

#[tokio::test]
async fn only_what_a_trusted_key_signed_is_taken_and_it_is_told_who_that_was() {
    let (world, key) = strict().await;
    let good = key.sign(COMPONENT).unwrap();
    let stranger = SecretKey::generate().unwrap().sign(COMPONENT).unwrap();
    let other_bytes = key.sign(b"ok bill").unwrap();
    for (signature, status, code, words) in [
        (None, 422, "signature_required", "turnpike plugin sign"),
        (Some("ed25519:junk"), 400, "bad_signature", "expected a signature"),
        (Some(&*stranger), 422, "signature_refused", "not among the trusted ones"),
        (Some(&*other_bytes), 422, "signature_refused", "sign the component again"),
    ] {
        let refused = world.send_bytes("POST", &upload("1.0.0", signature), COMPONENT.into()).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (status, code), "{signature:?}");
        let error = &refused.body["error"];
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert_eq!(error["field"], "signature");
    }
    assert_eq!(world.get(PLUGINS).await["items"], json!([]), "nothing was stored");
    let taken = world.send_bytes("POST", &upload("1.0.0", Some(&good)), COMPONENT.into()).await;
    assert_eq!(taken.status, StatusCode::CREATED, "{}", taken.body);
    let shown = world.get(&format!("{PLUGINS}/router/1.0.0")).await;
    let provenance = &shown["provenance"];
    assert_eq!(provenance["uploaded_by"], "operator");
    let signature = &provenance["signature"];
    assert_eq!(signature["key"], json!(key.public().unwrap().id()));
    assert_eq!((&signature["key_name"], &signature["trusted"]), (&json!("release"), &json!(true)));
    assert_eq!(signature["trusted_by"], "organization");
}

#[tokio::test]
async fn an_unsigned_policy_in_force_stays_and_is_not_put_in_force_anew() {
    let world = World::new();
    world.org("acme").await;
    let first = world.send_bytes("POST", &upload("1.0.0", None), COMPONENT.into()).await;
    assert_eq!(first.body["provenance"]["signature"], Value::Null);
    let bind = json!({"plugin": "router@1.0.0"});
    for _ in 0..2 {
        assert_eq!(world.send("PUT", ROUTE, &bind).await.status, StatusCode::OK);
    }
    world.send("PATCH", ORG, &json!({"require_signature": true})).await;
    assert_eq!(world.get(ROUTE).await["plugin"], "router@1.0.0", "it still decides");
    let listed = world.get(KEYS).await;
    assert_eq!(listed["required"], true);
    assert_eq!(listed["unsigned_bindings"][0]["plugin"], "router@1.0.0");
    let rollback = format!("{ROUTE}/rollback");
    for (method, path, body) in [("PUT", ROUTE, &bind), ("POST", &*rollback, &Value::Null)] {
        let refused = world.send(method, path, body).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (409, "not_signed"), "{path}");
        let said = refused.body["error"]["message"].as_str().unwrap();
        assert!(said.contains("signing-keys adds one"), "{said}");
    }
    // The same bytes, signed by now.
    let (key, shown) = key();
    world.send("POST", KEYS, &shown).await;
    let signature = key.sign(COMPONENT).unwrap();
    let path = upload("1.0.0", Some(&signature));
    let signed = world.send_bytes("POST", &path, COMPONENT.into()).await;
    assert_eq!(signed.status, StatusCode::OK, "{}", signed.body);
    assert_eq!(world.send("PUT", ROUTE, &bind).await.status, StatusCode::OK);
    assert_eq!(world.get(KEYS).await["unsigned_bindings"], json!([]));
    // A key that is taken off the list puts nothing out of force, and nothing new into it.
    let gone = format!("{KEYS}/{}", key.public().unwrap().id());
    assert_eq!(world.send("DELETE", &gone, &Value::Null).await.status, StatusCode::NO_CONTENT);
    let shown = world.get(&format!("{PLUGINS}/router/1.0.0")).await;
    assert_eq!(shown["provenance"]["signature"]["trusted"], false);
    let refused = world.send("PUT", ROUTE, &bind).await;
    let said = refused.body["error"]["message"].as_str().unwrap();
    assert!(said.contains("not trusted any more"), "{said}");
    assert_eq!(world.get(ROUTE).await["plugin"], "router@1.0.0");
}

#[tokio::test]
async fn the_list_of_keys_is_bounded_and_takes_public_keys_only() {
    let (world, key) = strict().await;
    let secret = json!({"name": "oops", "public_key": *key.reveal()});
    let refused = world.send("POST", KEYS, &secret).await;
    assert_eq!(refused.body["error"]["field"], "public_key");
    assert!(!refused.body.to_string().contains(&*key.reveal()), "a secret is not repeated");
    let public = key.public().unwrap().to_string();
    let again = world.send("POST", KEYS, &json!({"name": "again", "public_key": public})).await;
    assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "exists"));
    for _ in 1..32 {
        let (_, shown) = self::key();
        assert_eq!(world.send("POST", KEYS, &shown).await.status, StatusCode::CREATED);
    }
    let (_, surplus) = self::key();
    assert_eq!(world.send("POST", KEYS, &surplus).await.code(), "too_many_signing_keys");
    let nobody = format!("{KEYS}/0000000000000000");
    assert_eq!(world.send("DELETE", &nobody, &Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_digest_that_is_given_must_be_that_of_the_bytes() {
    let world = World::new();
    world.org("acme").await;
    let digest = crate::policy::signature::digest_hex(COMPONENT);
    let path = format!("{}&digest=sha256:{digest}", upload("1.0.0", None));
    let mangled = world.send_bytes("POST", &path, b"ok rout".to_vec()).await;
    assert_eq!((mangled.status.as_u16(), mangled.code()), (422, "digest_mismatch"));
    let whole = world.send_bytes("POST", &path, COMPONENT.into()).await;
    assert_eq!(whole.status, StatusCode::CREATED, "{}", whole.body);
}
