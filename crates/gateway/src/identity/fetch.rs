//! A small answer over HTTPS, or none: bounded in time, in size and in where it may lead.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url, redirect};
use rustls::ClientConfig;

use super::trust::roots;

/// For the whole of one request, redirects and body included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A discovery document or a key set is a few KiB.
const MAX_BODY: usize = 256 * 1024;
const MAX_REDIRECTS: usize = 3;

pub(super) struct Fetcher {
    client: Client,
}

/// Why there is no answer: for the log of the gateway, not for clients.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("`{url}` cannot be fetched: {}", chain(source))]
    Request { url: Url, source: reqwest::Error },
    #[error("`{url}` answers with status {status}")]
    Status { url: Url, status: u16 },
    #[error("`{url}` answers with more than {MAX_BODY} bytes")]
    TooLarge { url: Url },
    #[error("`{url}` does not answer with what was asked for: {why}")]
    Malformed { url: Url, why: String },
}

impl Fetcher {
    /// `ca_file` replaces the system's certificates.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Fetcher, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots(ca_file).map_err(|e| e.to_string())?)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::custom(follow))
            .no_proxy()
            .user_agent("chaperone")
            .build()
            .map_err(|e| chain(&e))?;
        Ok(Fetcher { client })
    }

    /// The JSON at `url`.
    pub(super) async fn json<T: serde::de::DeserializeOwned>(&self, url: &Url) -> Result<T, FetchError> {
        let failed = |source: reqwest::Error| FetchError::Request { url: url.clone(), source: source.without_url() };
        let mut response = self.client.get(url.clone()).send().await.map_err(failed)?;
        let status = response.status();
        if !status.is_success() {
            return Err(FetchError::Status { url: url.clone(), status: status.as_u16() });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len().saturating_add(chunk.len()) > MAX_BODY {
                return Err(FetchError::TooLarge { url: url.clone() });
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|e| FetchError::Malformed { url: url.clone(), why: e.to_string() })
    }
}

/// Only within the origin that was asked: elsewhere nobody vouches for what is found.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let same = attempt.previous().last().is_some_and(|before| before.origin() == attempt.url().origin());
    if same && attempt.previous().len() <= MAX_REDIRECTS { attempt.follow() } else { attempt.stop() }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |e| e.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
