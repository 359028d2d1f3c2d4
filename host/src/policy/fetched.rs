//! The `fetch` import: a policy's way to the network, where it is granted. The guest waits while
//! its clock stands still; how long is bounded by what its request may wait in all.

use super::guest::Guest;
use super::home::{WebAnswer, WebRequest};
use super::session::Session;
use super::v0_1::turnpike::policy::fetch;

impl Session {
    /// How often the request's policies asked the network, and microseconds that it waited for it.
    pub fn fetched(&self) -> (u64, u64) {
        self.fetches.as_ref().map(|fetches| fetches.made()).unwrap_or_default()
    }
}

type Post = Option<(String, Vec<u8>)>;

impl Guest {
    async fn fetch(&mut self, url: &str, post: Post) -> Result<fetch::Response, String> {
        let view = self.view.as_ref();
        let reach = view.and_then(|view| Some((view.home.as_ref()?, view.fetches.as_ref()?)));
        let (Some(view), Some((home, fetches))) = (view, reach) else {
            return Err("there is no network while the policy starts or is configured".to_owned());
        };
        if view.aside && post.is_some() {
            return Err("a policy that is asked beside another one changes nothing".to_owned());
        }
        let answer = home.fetch(url, WebRequest::read(url, post)?, fetches).await;
        answer.map(|WebAnswer { status, body }| fetch::Response { status, body })
    }
}

impl fetch::Host for Guest {
    async fn get(&mut self, url: String) -> Result<fetch::Response, String> {
        self.fetch(&url, None).await
    }

    async fn post(
        &mut self,
        url: String,
        content_type: String,
        body: Vec<u8>,
    ) -> Result<fetch::Response, String> {
        self.fetch(&url, Some((content_type, body))).await
    }
}
