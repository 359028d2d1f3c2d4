//! Pulls from a registry that speaks the protocol over a real socket: with a token, with a redirect
//! to its storage, and with everything that one must not believe.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0 a component";
const USER: &str = "Basic bWU6c2VjcmV0";

/// What the registry has, and how it behaves.
#[derive(Clone)]
struct Shelf {
    manifest: String,
    blob: Vec<u8>,
    /// Whether it wants a token for everything.
    token: bool,
    /// Where it sends for a blob.
    storage: Option<String>,
}

impl Shelf {
    fn holding(kind: &str) -> Self {
        let (digest, size) = (digest_hex(COMPONENT), COMPONENT.len());
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.wasm.config.v0+json"}},
               "layers":[{{"mediaType":"{kind}","digest":"sha256:{digest}","size":{size}}}]}}"#
        );
        Self { manifest, blob: COMPONENT.to_vec(), token: false, storage: None }
    }

    fn answer(&self, own: &str, path: &str, authorization: &str) -> (String, Vec<u8>) {
        let ok = |body: &[u8]| ("200 OK".to_owned(), body.to_vec());
        if path.starts_with("/token?") {
            let asked = path.contains("scope=repository:acme/policy:pull")
                && path.contains("service=my%20registry")
                && authorization == USER;
            return if asked {
                ok(br#"{"token":"t0"}"#)
            } else {
                ("403 No".to_owned(), Vec::new())
            };
        }
        if path.starts_with("/storage/") {
            // A token of the registry's is nobody else's.
            return if authorization.is_empty() { ok(&self.blob) } else { ok(b"leaked") };
        }
        if self.token && authorization != "Bearer t0" {
            let realm = format!("http://{own}/token");
            let challenge = format!("Bearer realm=\"{realm}\",service=\"my registry\"");
            return (format!("401 No\r\nwww-authenticate: {challenge}"), Vec::new());
        }
        if path.starts_with("/v2/acme/policy/manifests/sha256:") {
            return ok(self.manifest.as_bytes());
        }
        match &self.storage {
            _ if !path.starts_with("/v2/acme/policy/blobs/sha256:") => {
                ("404 No".to_owned(), Vec::new())
            }
            Some(place) => (format!("307 There\r\nlocation: {place}"), Vec::new()),
            None => ok(&self.blob),
        }
    }
}

struct Served {
    place: String,
    paths: Arc<Mutex<Vec<String>>>,
}

fn serve(shelf: Shelf) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let paths = Arc::new(Mutex::new(Vec::new()));
    let (own, seen) = (place.clone(), Arc::clone(&paths));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (path, authorization, mut stream) = read(stream.unwrap());
            seen.lock().push(path.clone());
            let (head, body) = shelf.answer(&own, &path, &authorization);
            let length = body.len();
            let head =
                format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            // Who has refused the body may have hung up.
            drop(stream.write_all(&body));
        }
    });
    Served { place, paths }
}

fn read(mut stream: TcpStream) -> (String, String, TcpStream) {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
        text.push(byte[0]);
    }
    let text = String::from_utf8(text).unwrap();
    let path = text.split(' ').nth(1).unwrap().to_owned();
    let authorization = text.lines().find_map(|line| line.strip_prefix("authorization: "));
    (path, authorization.unwrap_or_default().to_owned(), stream)
}

async fn pull(served: &Served, registry: &str, digest: &str) -> Result<Bytes, PullRefused> {
    let text = format!(
        "[registries.{registry:?}]\nplain = true\nusername = \"me\"\npassword = \"secret\"\n"
    );
    let config = config::Config::parse("turnpike.toml", &text, std::iter::empty()).unwrap();
    let registries = Registries::new(&config).unwrap();
    registries.pull(&format!("{}/acme/policy@sha256:{digest}", served.place)).await
}

async fn pulled(shelf: Shelf) -> Result<Bytes, PullRefused> {
    let digest = digest_hex(shelf.manifest.as_bytes());
    let served = serve(shelf);
    pull(&served, &served.place, &digest).await
}

#[tokio::test]
async fn both_kinds_of_layer_are_pulled_with_a_token_or_without() {
    for kind in LAYERS {
        for token in [false, true] {
            let shelf = Shelf { token, ..Shelf::holding(kind) };
            assert_eq!(pulled(shelf).await.unwrap(), COMPONENT, "{kind} {token}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_followed_and_no_credential_with_it() {
    // The same server by another name is another place.
    let elsewhere = serve(Shelf::holding(LAYERS[0]));
    let shelf = |storage: String| Shelf {
        token: true,
        storage: Some(storage),
        ..Shelf::holding(LAYERS[0])
    };
    let private = pulled(shelf(format!("http://{}/storage/x", elsewhere.place))).await;
    let Err(PullRefused::Registry(why)) = private else { panic!("{private:?}") };
    assert!(why.contains("public internet"), "{why}");
    assert!(elsewhere.paths.lock().is_empty(), "nobody came");
    let loops = pulled(shelf("/v2/acme/policy/blobs/sha256:x".to_owned())).await;
    assert!(matches!(loops, Err(PullRefused::Registry(why)) if why.contains("more than 3")));
}

#[tokio::test]
async fn what_does_not_hash_to_what_was_asked_for_is_not_taken() {
    let other =
        Shelf { blob: b"\0asm\x0d\0\x01\0 b component".to_vec(), ..Shelf::holding(LAYERS[0]) };
    let refused = pulled(other).await;
    assert!(matches!(refused, Err(PullRefused::Registry(why)) if why.contains("other bytes")));
    let served = serve(Shelf::holding(LAYERS[0]));
    let refused = pull(&served, &served.place, &"0".repeat(64)).await;
    assert!(matches!(refused, Err(PullRefused::Registry(why)) if why.contains("the manifest")));
    let long = Shelf { blob: vec![0; 99_999], ..Shelf::holding(LAYERS[0]) };
    assert!(matches!(pulled(long).await, Err(PullRefused::Registry(_))));
}

#[tokio::test]
async fn what_is_no_component_is_said_to_be_none() {
    let image = Shelf::holding("application/vnd.oci.image.layer.v1.tar+gzip");
    let index = Shelf { manifest: r#"{"manifests":[{}]}"#.to_owned(), ..image.clone() };
    let huge = Shelf::holding(LAYERS[0])
        .manifest
        .replace(&format!(":{}}}", COMPONENT.len()), ":99999999}");
    let huge = Shelf { manifest: huge, ..image.clone() };
    for (shelf, words) in [(image, "tar+gzip"), (index, "index"), (huge, "99999999 bytes")] {
        let refused = pulled(shelf).await;
        let Err(PullRefused::Reference(why)) = refused else { panic!("{refused:?}") };
        assert!(why.contains(words), "{why}");
    }
}

#[tokio::test]
async fn only_registries_of_the_configuration_are_asked() {
    let served = serve(Shelf::holding(LAYERS[0]));
    let refused = pull(&served, "registry.example", &"0".repeat(64)).await;
    assert!(matches!(refused, Err(PullRefused::Reference(why)) if why.contains("not among")));
    assert!(served.paths.lock().is_empty());
}
