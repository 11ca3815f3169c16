//! Clients of the server.

/// A client builder; TLS needs a provider even where nothing is encrypted.
pub(crate) fn client() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

/// One request of a client that all tests share.
pub(crate) async fn get(url: impl reqwest::IntoUrl) -> reqwest::Result<reqwest::Response> {
    static CLIENT: std::sync::OnceLock<reqwest::Client> = std::sync::OnceLock::new();
    // A connection belongs to the runtime of the test that opened it, so none is kept.
    let client = CLIENT.get_or_init(|| client().pool_max_idle_per_host(0).build().unwrap());
    client.get(url).send().await
}
