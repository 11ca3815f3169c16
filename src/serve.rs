//! Builds the roles of this process, runs them, drains them.
#![expect(clippy::disallowed_methods, reason = "shell: binds sockets and starts tasks")]

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use millrace_api::publish::Granted;
use millrace_core::bus::Bus;
use millrace_hls_packager::{Origin, OriginConfig, PackagerService};
use millrace_http::server::{Limits, Listener};
use millrace_ingest::{Authorising, PublishAttempt, PublishAuthority, PublishGrant, PublishRefusal};
use millrace_store::Store;
use tokio::net::TcpListener;

use crate::bus::{OpenBus, collections};
use crate::config::{Config, PublishAuth};
use crate::health::Readiness;
use crate::{descriptors, drain, health, metrics};

/// Connections that may ask for metrics at once.
const METRICS_CONNECTIONS: usize = 16;

/// Runs until a signal, then drains.
///
/// # Errors
/// An address cannot be bound, a certificate cannot be read, the runtime cannot start.
pub(crate) fn run(config: Config) -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?
        .block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let shutdown = drain::on_signals().context("failed to set up signal handlers")?;
    let shares = descriptors::share_out();
    let recorder = metrics::start()?;
    let readiness = Readiness::default();
    let store = open_store(&config).await?;
    let bound = Bound::bind(&config).await?;
    let node = node_name(bound.http);
    let open_bus = OpenBus::open(&config, &store, &node).await?;
    let bus = Arc::clone(&open_bus.bus);

    let api = people(&config, store, Arc::clone(&bus), &node, &bound)
        .await?
        .counting_requests(config.hls.count_requests);
    let origin = Origin::new(OriginConfig {
        max_blocked_requests: config.hls.max_blocked_requests,
        counts_requests: config.hls.count_requests,
        playback_keys: Some(api.playback().keys().clone()),
    });
    let packager =
        PackagerService::new(config.hls.clone(), origin.clone(), Arc::clone(&bus), &node, &shutdown);
    let access = tokio::spawn(packager.follow(bus.as_ref()));
    // Until ingest has said its last word, so that what ends with the process has its end in the history.
    let recorded = tokio_util::sync::CancellationToken::new();
    let history = tokio::spawn(millrace_api::studio::record(&api, bus.as_ref(), recorded.clone()));
    let keys = Arc::clone(&api.studio().authority);
    let accounts = tokio::spawn(api.clone().upkeep(shutdown.clone()));
    let mail = tokio::spawn(api.clone().deliver_mail(shutdown.clone()));
    let push = tokio::spawn(millrace_api::push::deliver(api.clone(), shutdown.clone()));
    let setup = api.setup_token().await.context("failed to look for an admin")?;
    let directory = tokio::spawn(api.follow(bus.as_ref(), shutdown.clone()));
    let store_watch =
        tokio::spawn(health::watch_store(readiness.clone(), api.store().clone(), shutdown.clone()));
    let upkeep = tokio::spawn(metrics::upkeep(recorder.clone(), shutdown.clone()));

    let router = millrace_http::layers::finish(
        health::router(readiness.clone())
            .merge(millrace_hls_packager::origin::router(origin))
            .merge(millrace_api::router(api)),
    );
    let limits = Limits {
        header_timeout: config.http.header_timeout,
        write_stall: config.http.write_stall,
        max_connections: or_derived(config.http.max_connections, shares.http),
        max_streams: config.http.max_streams,
        grace: config.shutdown_grace,
    };
    let ingest_config = millrace_ingest::Config {
        max_connections: or_derived(config.ingest.max_connections, shares.rtmp),
        ..config.ingest.clone()
    };
    tracing::info!(
        descriptors = shares.limit,
        rtmp.max_connections = ingest_config.max_connections,
        http.max_connections = limits.max_connections,
        "limits derived from the descriptor limit"
    );
    let media = millrace_ingest::MediaThreads::start(ingest_config.threads, ingest_config.max_pause)
        .context("failed to start the threads that carry media")?;
    let deps = millrace_ingest::Deps {
        authority: authority(config.publish_auth, keys),
        sink: Arc::new(packager.clone()),
        bus: Arc::clone(&bus),
        node,
        media: media.places(),
    };
    let addresses = bound.addresses();
    let ingest =
        tokio::spawn(millrace_ingest::run(bound.rtmp_listeners, ingest_config, deps, shutdown.clone()));
    // HTTP outlives ingest, so that viewers get the last part before they are told to come back.
    let http_shutdown = tokio_util::sync::CancellationToken::new();
    let http = tokio::spawn(millrace_http::server::serve(
        bound.http_listeners,
        router,
        limits,
        http_shutdown.clone(),
    ));
    let metrics_limits = Limits { max_connections: METRICS_CONNECTIONS, ..limits };
    let metrics_server = tokio::spawn(millrace_http::server::serve(
        vec![bound.metrics_listener],
        millrace_http::layers::finish(metrics::router(recorder)),
        metrics_limits,
        http_shutdown.clone(),
    ));
    for part in ["rtmp", "hls", "api"] {
        readiness.set(part, Ok(()));
    }
    announce(&config, &addresses, setup.as_ref().map(millrace_api::auth::Secret::reveal));

    shutdown.cancelled().await;
    packager.stop();
    for part in ["rtmp", "hls", "api"] {
        readiness.set(part, Err("the server is stopping"));
    }
    ingest.await.context("the RTMP server failed")?;
    recorded.cancel();
    history.await.context("the history failed")?;
    let unfinished = packager.drain(config.shutdown_grace).await;
    drop(media);
    http_shutdown.cancel();
    let cut = http.await.context("the HTTP server failed")?;
    let _ = metrics_server.await;
    directory.await.context("the directory failed")?;
    access.await.context("the origin's access failed")?;
    upkeep.await.context("metrics upkeep failed")?;
    store_watch.await.context("looking after the store failed")?;
    accounts.await.context("the upkeep of accounts failed")?;
    mail.await.context("the delivery of mail failed")?;
    push.await.context("pushing notices failed")?;
    open_bus.close(config.shutdown_grace).await?;
    if unfinished > 0 {
        tracing::warn!(broadcasts = unfinished, "cut broadcasts that did not flush within the grace period");
    }
    if cut > 0 {
        tracing::warn!(connections = cut, "cut HTTP connections that did not end within the grace period");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Opens the store, with the collections of every part.
async fn open_store(config: &Config) -> anyhow::Result<Store> {
    std::fs::create_dir_all(&config.data_dir).with_context(|| {
        format!(
            "cannot make {}; set MILLRACE_DATA_DIR to a directory that is writable",
            config.data_dir.display()
        )
    })?;
    let failed = || format!("failed to open the store {}", config.store);
    let engine = millrace_store::open(&config.store, &config.data_dir).await.with_context(failed)?;
    Store::new(engine, &collections()).await.with_context(failed)
}

/// The API on the store.
async fn people(
    config: &Config,
    store: Store,
    bus: Arc<dyn Bus>,
    node: &str,
    bound: &Bound,
) -> anyhow::Result<millrace_api::ApiState> {
    let public_url = config.public_url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
    let secure = match &public_url {
        Some(url) => url.starts_with("https://"),
        None => config.https_addr.is_some(),
    };
    let avatars = config.data_dir.join("objects").join("avatars");
    let studio = millrace_api::studio::Studio::new(store.clone(), bus, node, config.channels.clone());
    let studio = Arc::new(studio.with_avatars(avatars));
    let providers = millrace_api::oauth::Providers::new(&config.oauth)
        .context("failed to read the secret of a sign-in provider")?;
    let mail = millrace_api::mail::Post::new(&config.mail, public_url.as_deref().unwrap_or_default())
        .context("failed to set up mail")?;
    let playback = millrace_api::playback::PlaybackLinks::open(&config.playback, &store)
        .await
        .context("failed to get the secret of playback tokens")?;
    let setup = millrace_api::Setup {
        store,
        accounts: config.accounts.clone(),
        notices: config.notices.clone(),
        providers,
        mail,
        public_url,
        secure,
        site: config.site.clone(),
        ingest: millrace_api::site::IngestAddress {
            public_url: config.public_rtmp_url.clone(),
            rtmp_port: bound.rtmp.port(),
            rtmps_port: bound.rtmps.map(|addr| addr.port()),
        },
        playback,
    };
    let state = millrace_api::ApiState::new(setup).await.context("failed to prepare accounts")?;
    Ok(state.with_studio(studio))
}

fn or_derived(setting: usize, derived: usize) -> usize {
    if setting == 0 { derived } else { setting }
}

fn authority(
    auth: PublishAuth,
    keys: Arc<millrace_api::publish::KeyAuthority>,
) -> Arc<dyn millrace_ingest::PublishAuthority> {
    match auth {
        PublishAuth::Open => {
            tracing::warn!(
                "MILLRACE_PUBLISH_AUTH=open: whoever reaches the RTMP port may publish to any channel. Use this on \
                 trusted networks only"
            );
            Arc::new(millrace_ingest::OpenAuthority)
        }
        PublishAuth::Keys => Arc::new(Keys(keys)),
    }
}

/// `MILLRACE_PUBLISH_AUTH=keys`: the API knows the keys, ingest asks.
struct Keys(Arc<millrace_api::publish::KeyAuthority>);

impl PublishAuthority for Keys {
    fn authorise(&self, attempt: PublishAttempt) -> Authorising<'_> {
        Box::pin(async move {
            match self.0.authorise(attempt.key.expose(), attempt.peer.ip()).await {
                Ok(Granted { channel, key, access }) => Ok(PublishGrant { channel, key: Some(key), access }),
                Err(refused) => {
                    Err(PublishRefusal { reason: refused.label(), sentence: refused.to_string() })
                }
            }
        })
    }
}

/// The name of this process on the bus.
fn node_name(http: SocketAddr) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String =
        host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).take(64).collect();
    format!("{}:{}", if host.is_empty() { "localhost" } else { &host }, http.port())
}

/// Every socket, bound before anything runs.
struct Bound {
    http: SocketAddr,
    https: Option<SocketAddr>,
    rtmp: SocketAddr,
    rtmps: Option<SocketAddr>,
    metrics: SocketAddr,
    http_listeners: Vec<Listener>,
    rtmp_listeners: Vec<millrace_ingest::Listener>,
    metrics_listener: Listener,
}

/// Where the process really listens.
struct Addresses {
    http: SocketAddr,
    https: Option<SocketAddr>,
    rtmp: SocketAddr,
    rtmps: Option<SocketAddr>,
    metrics: SocketAddr,
}

impl Bound {
    async fn bind(config: &Config) -> anyhow::Result<Self> {
        let tls = |alpn: &[&[u8]]| match (&config.tls_cert, &config.tls_key) {
            (Some(cert), Some(key)) => Ok(Some(millrace_http::tls::server_config(cert, key, alpn)?)),
            _ => anyhow::Ok(None),
        };
        let (http, plain) = bind("MILLRACE_HTTP_ADDR", config.http_addr).await?;
        let mut http_listeners = vec![Listener { tcp: plain, tls: None }];
        let mut https = None;
        if let Some(addr) = config.https_addr {
            let (bound, tcp) = bind("MILLRACE_HTTPS_ADDR", addr).await?;
            http_listeners.push(Listener { tcp, tls: tls(&[b"h2", b"http/1.1"])? });
            https = Some(bound);
        }
        let (rtmp, plain) = bind("MILLRACE_RTMP_ADDR", config.rtmp_addr).await?;
        let mut rtmp_listeners = vec![millrace_ingest::Listener { tcp: plain, tls: None }];
        let mut rtmps = None;
        if let Some(addr) = config.rtmps_addr {
            let (bound, tcp) = bind("MILLRACE_RTMPS_ADDR", addr).await?;
            rtmp_listeners.push(millrace_ingest::Listener { tcp, tls: tls(&[])? });
            rtmps = Some(bound);
        }
        let (metrics, tcp) = bind("MILLRACE_METRICS_ADDR", config.metrics_addr).await?;
        let metrics_listener = Listener { tcp, tls: None };
        Ok(Self { http, https, rtmp, rtmps, metrics, http_listeners, rtmp_listeners, metrics_listener })
    }

    fn addresses(&self) -> Addresses {
        let Self { http, https, rtmp, rtmps, metrics, .. } = *self;
        Addresses { http, https, rtmp, rtmps, metrics }
    }
}

async fn bind(setting: &str, addr: SocketAddr) -> anyhow::Result<(SocketAddr, TcpListener)> {
    let listener = TcpListener::bind(addr).await.with_context(|| {
        format!("cannot listen on {addr}; free the port or set {setting} to another address")
    })?;
    Ok((listener.local_addr()?, listener))
}

fn announce(config: &Config, addresses: &Addresses, setup: Option<&str>) {
    let shown = |addr: Option<SocketAddr>| addr.map(tracing::field::display);
    tracing::info!(
        version = crate::VERSION,
        http.addr = %addresses.http,
        rtmp.addr = %addresses.rtmp,
        metrics.addr = %addresses.metrics,
        https.addr = shown(addresses.https),
        rtmps.addr = shown(addresses.rtmps),
        "ready"
    );
    if config.log_format == crate::config::LogFormat::Text {
        crate::print(&welcome(config, addresses));
    }
    if let Some(token) = setup {
        // Never in the log: who has it owns the site. In the fragment, so that no other log gets it either.
        crate::print(&format!(
            "  Nobody owns this site yet. Make your account:\n  {}/setup#{token}\n",
            page(config, addresses)
        ));
    }
}

/// What a person needs to go live.
fn welcome(config: &Config, addresses: &Addresses) -> String {
    let page = page(config, addresses);
    let server =
        config.public_rtmp_url.clone().unwrap_or_else(|| format!("rtmp://{}/live", host(addresses.rtmp)));
    let key = match config.publish_auth {
        PublishAuth::Open => "studio        (any name of 3 to 25 characters a-z, 0-9 and _)",
        PublishAuth::Keys => "from the stream manager, after signing in",
    };
    format!(
        "\n  Millrace {} is running.\n\n  Watch       {page}/@studio\n  All live    {page}/\n\n  In OBS, Settings > \
         Stream > Service: Custom...\n  Server      {server}\n  Stream key  {key}\n\n  Ctrl-C stops it.\n",
        crate::VERSION,
    )
}

/// Host and port as a person on this machine types them.
fn host(addr: SocketAddr) -> String {
    if addr.ip().is_unspecified() { format!("localhost:{}", addr.port()) } else { addr.to_string() }
}

/// The address of the web app, without a slash at the end.
fn page(config: &Config, addresses: &Addresses) -> String {
    let page = config.public_url.clone().unwrap_or_else(|| match addresses.https {
        Some(https) => format!("https://{}", host(https)),
        None => format!("http://{}", host(addresses.http)),
    });
    page.trim_end_matches('/').to_owned()
}
