//! Builds the roles of this process, runs them, drains them.
#![expect(clippy::disallowed_methods, reason = "shell: starts tasks, makes ids")]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use millrace_api::channels::Owners;
use millrace_api::playback::PlaybackLinks;
use millrace_api::publish::{Granted, KeyAuthority};
use millrace_chat::Node;
use millrace_core::bus::Bus;
use millrace_core::ids::NodeName;
use millrace_core::nodes::Me;
use millrace_hls_packager::{Origin, OriginConfig, PackagerService, SeenElsewhere};
use millrace_http::server::Limits;
use millrace_ingest::{Authorising, PublishAttempt, PublishAuthority, PublishGrant, PublishRefusal};
use millrace_objects::Objects;
use millrace_store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bus::{OpenBus, collections};
use crate::chat::People;
use crate::config::{Config, ConfigError, PublishAuth};
use crate::descriptors::Shares;
use crate::health::Readiness;
use crate::listen::{Addresses, Bound, Listening, announce};
use crate::nodes::{Cluster, ThisNode};
use crate::roles::Role;
use crate::tls::Tls;
use crate::traces::Traces;
use crate::{descriptors, drain, health, metrics};

/// Connections that may ask for metrics at once.
const METRICS_CONNECTIONS: usize = 16;
/// Why nothing is ready any more.
const STOPPING: &str = "the server is stopping";

/// Runs until a signal, then drains.
///
/// # Errors
/// An address cannot be bound, a certificate cannot be read, the runtime cannot start.
pub(crate) fn run(config: Config) -> anyhow::Result<()> {
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
    let tls = Tls::open(&config)?;
    let bound = Bound::bind(&config)?;
    let addresses = bound.addresses;
    let host = host_name();
    let node = node_name(&config, &host, addresses.http)?;
    let traces = match config.traces().map_err(ConfigError)? {
        Some(settings) => Some(Traces::start(settings, node.as_str())?),
        None => None,
    };
    let open_bus = OpenBus::open(&config, &store, node.as_str()).await?;
    let bus = Arc::clone(&open_bus.bus);
    let mut tasks = Tasks::default();

    let cluster = open_bus.is_shared().then(|| {
        let this = ThisNode {
            me: Me { name: node.clone(), boot: uuid::Uuid::now_v7() },
            url: node_url(&config, &host, addresses.http),
            roles: config.roles.iter().map(|role| role.name().to_owned()).collect(),
            lease: config.cluster.lease,
            capacity: or_derived(config.ingest.max_connections, shares.rtmp) as u64,
        };
        Cluster::new(Arc::clone(&bus), this)
    });
    let playback = PlaybackLinks::open(&config.playback, &store)
        .await
        .context("failed to get the secret of playback tokens")?;
    let neighbours = cluster.as_ref().map(Cluster::neighbours);
    let people = if [Role::Api, Role::Chat, Role::Worker].iter().any(|role| config.roles.contains(role)) {
        let objects = config.roles.contains(&Role::Api).then(|| config.open_objects()).transpose()?;
        if let Some(objects) = objects.clone() {
            let watching = health::watch_objects(readiness.clone(), objects, shutdown.clone());
            tasks.add("looking after objects", tokio::spawn(watching));
        }
        let api =
            people(&config, store.clone(), Arc::clone(&bus), &node, &addresses, playback.clone(), objects);
        let api = api.await?;
        Some(api.counting_requests(config.hls.count_requests))
    } else {
        None
    };
    let origin = Origin::new(OriginConfig {
        max_blocked_requests: config.hls.max_blocked_requests,
        counts_requests: config.hls.count_requests,
        playback_keys: Some(playback.keys().clone()),
        elsewhere: neighbours.as_ref().map(|neighbours| neighbours.elsewhere.clone()),
        seen_elsewhere: people
            .clone()
            .map(|api| SeenElsewhere(Arc::new(move |channel, viewer| api.saw_request(channel, viewer)))),
        hop_cache_bytes: config.hls.hop_cache_bytes,
        hop_max_bytes: config.hls.max_stream_bytes,
    });
    let packager = config.roles.contains(&Role::Ingest).then(|| {
        let (hls, bus) = (config.hls.clone(), Arc::clone(&bus));
        PackagerService::new(hls, &config.transcode, origin.clone(), bus, &node, &shutdown)
    });
    // Until ingest has said its last word, so that what ends with the process has its end in the history.
    let recorded = CancellationToken::new();
    let mut setup = None;
    if let Some(api) = &people {
        tasks.add("the upkeep of accounts", tokio::spawn(api.clone().upkeep(shutdown.clone())));
        tasks.add("the directory", tokio::spawn(api.follow(bus.as_ref(), shutdown.clone())));
        tasks.add(
            "showing live channels",
            tokio::spawn(millrace_api::studio::show(api, bus.as_ref(), shutdown.clone())),
        );
    }
    if let Some(cluster) = cluster {
        let joined = cluster.joined();
        let reports = people.is_some();
        let running = cluster.run(packager.clone(), reports, readiness.clone(), shutdown.clone());
        tasks.add("knowing other nodes", tokio::spawn(running));
        joined.await;
    }
    if let Some(api) = people.as_ref().filter(|_| open_bus.is_shared() && config.roles.contains(&Role::Api)) {
        tasks.add("sharing viewers", tokio::spawn(api.clone().share_viewers(shutdown.clone())));
    }
    if let Some(api) = people.as_ref().filter(|_| config.roles.contains(&Role::Worker)) {
        let owners =
            if open_bus.is_shared() { Owners::Nodes(config.cluster.lease) } else { Owners::ThisProcess };
        let history =
            millrace_api::channels::keep_history(api.clone(), Arc::clone(&bus), owners, recorded.clone());
        tasks.add("the history", tokio::spawn(history));
        let said = millrace_api::chat::keep_history(api.clone(), Arc::clone(&bus), recorded.clone());
        tasks.add("the history of chat", tokio::spawn(said));
        let forgetting =
            millrace_api::chat::forget_what_is_old(api.clone(), config.chat.history_days, shutdown.clone());
        tasks.add("forgetting what was said long ago", tokio::spawn(forgetting));
        let timely = millrace_api::chat::keep_time(api.clone(), recorded.clone());
        tasks.add("what is due in chat", tokio::spawn(timely));
        let news = millrace_api::chat::say_what_happens(
            api.clone(),
            Arc::clone(&bus),
            recorded.clone().cancelled_owned(),
        );
        tasks.add("saying in chat what happens", tokio::spawn(news));
        let greeting = millrace_api::chat::say_who_follows(api.clone(), Arc::clone(&bus), recorded.clone());
        tasks.add("saying in chat who follows", tokio::spawn(greeting));
        tasks.add("raids", tokio::spawn(millrace_api::raids::run(api.clone(), shutdown.clone())));
        tasks.add("the delivery of mail", tokio::spawn(api.clone().deliver_mail(shutdown.clone())));
        tasks
            .add("pushing notices", tokio::spawn(millrace_api::push::deliver(api.clone(), shutdown.clone())));
        let gathering = millrace_api::webhooks::gather(api.clone(), Arc::clone(&bus), recorded.clone());
        tasks.add("gathering what webhooks are told", tokio::spawn(gathering));
        let telling = millrace_api::webhooks::deliver(api.clone(), shutdown.clone());
        tasks.add("delivering to webhooks", tokio::spawn(telling));
    }
    tasks.add(
        "looking after the store",
        tokio::spawn(health::watch_store(readiness.clone(), store.clone(), shutdown.clone())),
    );
    tasks.add("metrics upkeep", tokio::spawn(metrics::upkeep(recorder.clone(), shutdown.clone())));

    let mut router =
        health::router(readiness.clone()).merge(millrace_hls_packager::origin::router(origin.clone()));
    if let Some(api) = people.as_ref().filter(|_| config.roles.contains(&Role::Api)) {
        setup = api.setup_token().await.context("failed to look for an admin")?;
        router = router.merge(millrace_api::router(api.clone()));
    }
    let chat = people.as_ref().filter(|_| config.roles.contains(&Role::Chat)).map(|api| {
        let chat = Node::new(
            Arc::new(People(api.clone())),
            Arc::clone(&bus),
            config.chat.clone(),
            &node,
            open_bus.is_shared(),
        );
        tasks.add("hearing what is said in chat", tokio::spawn(chat.clone().run(recorded.clone())));
        router = std::mem::take(&mut router).merge(millrace_chat::router(chat.clone()));
        chat
    });
    let limits = http_limits(&config, &shares);
    if let Some(chat) = &chat {
        shutdown.run_until_cancelled(chat.caught_up()).await;
    }
    let Listening { http, rtmp, irc, metrics: metrics_listener } = bound.listen(&config, &tls)?;
    let (challenges, keepers) = tls.keep(readiness.clone(), addresses.http, addresses.https, &shutdown);
    router = router.merge(challenges);
    for keeper in keepers {
        tasks.add("looking after the certificate", keeper);
    }
    if let Some(chat) = &chat {
        for listener in irc {
            let serving = millrace_chat::irc::serve(listener, chat.clone(), shutdown.clone());
            tasks.add("the IRC listener", tokio::spawn(serving));
        }
    }
    let ingest = packager.clone().map(|packager| {
        let keys = match &people {
            Some(api) => Arc::clone(&api.studio().authority),
            None => Arc::new(KeyAuthority::new(store, config.channels.failed_publishes_per_minute)),
        };
        tasks.add("learning of keys", tokio::spawn(Arc::clone(&keys).follow(bus.as_ref(), shutdown.clone())));
        tasks.add("the origin's access", tokio::spawn(packager.follow(bus.as_ref())));
        let ingest_config = millrace_ingest::Config {
            max_connections: or_derived(config.ingest.max_connections, shares.rtmp),
            ..config.ingest.clone()
        };
        let threads = millrace_ingest::MediaThreads::start(ingest_config.threads, ingest_config.max_pause)
            .context("failed to start the threads that carry media")?;
        let deps = millrace_ingest::Deps {
            authority: authority(config.publish_auth, keys),
            sink: Arc::new(packager),
            bus: Arc::clone(&bus),
            node,
            neighbours,
            media: threads.places(),
        };
        anyhow::Ok((tokio::spawn(millrace_ingest::run(rtmp, ingest_config, deps, shutdown.clone())), threads))
    });
    let ingest = ingest.transpose()?;
    // HTTP outlives ingest, so that viewers get the last part before they are told to come back.
    let http_shutdown = CancellationToken::new();
    let proxies = config.accounts.trusted_proxies.clone();
    let trusted = config.http.trust_traceparent.then(|| {
        Arc::new(move |peer| proxies.iter().any(|proxy| proxy.contains(peer)))
            as Arc<dyn Fn(IpAddr) -> bool + Send + Sync>
    });
    let router = millrace_http::layers::finish(router, trusted);
    let serving =
        millrace_http::server::serve_behind(origin.clone(), http, router, limits, http_shutdown.clone());
    let http = tokio::spawn(serving);
    let metrics_server = serve_metrics(metrics_listener, recorder, limits, http_shutdown.clone());
    let parts: Vec<&'static str> = config.roles.iter().flat_map(|role| parts(*role)).copied().collect();
    for part in &parts {
        readiness.set(part, Ok(()));
    }
    announce(&config, &addresses, setup.as_ref().map(millrace_api::auth::Secret::reveal));

    shutdown.cancelled().await;
    for part in &parts {
        readiness.set(part, Err(STOPPING));
    }
    if let Some(packager) = &packager {
        packager.stop();
    }
    if let Some(chat) = chat {
        chat.stop().await;
    }
    let mut unfinished = 0;
    if let Some((ingest, threads)) = ingest {
        ingest.await.context("the RTMP server failed")?;
        recorded.cancel();
        if let Some(packager) = &packager {
            unfinished = packager.drain(config.shutdown_grace).await;
        }
        drop(threads);
    }
    recorded.cancel();
    origin.catalog().stop();
    http_shutdown.cancel();
    let cut = http.await.context("the HTTP server failed")?;
    let _ = metrics_server.await;
    tasks.ended().await?;
    open_bus.close(config.shutdown_grace).await?;
    if let Some(traces) = traces {
        traces.close(config.shutdown_grace).await;
    }
    if unfinished > 0 {
        tracing::warn!(broadcasts = unfinished, "cut broadcasts that did not flush within the grace period");
    }
    if cut > 0 {
        tracing::warn!(connections = cut, "cut HTTP connections that did not end within the grace period");
    }
    tracing::info!("stopped");
    Ok(())
}

/// What runs beside the servers, until they stop.
#[derive(Default)]
struct Tasks(Vec<(&'static str, JoinHandle<()>)>);

impl Tasks {
    /// `what` completes the sentence "… failed".
    fn add(&mut self, what: &'static str, task: JoinHandle<()>) {
        self.0.push((what, task));
    }

    async fn ended(self) -> anyhow::Result<()> {
        for (what, task) in self.0 {
            task.await.with_context(|| format!("{what} failed"))?;
        }
        Ok(())
    }
}

/// What `/readyz` calls the parts of a role.
fn parts(role: Role) -> &'static [&'static str] {
    match role {
        Role::Ingest => &["rtmp", "hls"],
        Role::Api => &["api"],
        Role::Chat => &["chat"],
        Role::Worker => &["worker"],
    }
}

fn http_limits(config: &Config, shares: &Shares) -> Limits {
    let limits = Limits {
        header_timeout: config.http.header_timeout,
        write_stall: config.http.write_stall,
        max_connections: or_derived(config.http.max_connections, shares.http),
        max_streams: config.http.max_streams,
        grace: config.shutdown_grace,
    };
    tracing::info!(
        descriptors = shares.limit,
        rtmp.max_connections = or_derived(config.ingest.max_connections, shares.rtmp),
        http.max_connections = limits.max_connections,
        "limits derived from the descriptor limit"
    );
    limits
}

fn serve_metrics(
    listener: millrace_http::server::Listener,
    recorder: PrometheusHandle,
    limits: Limits,
    shutdown: CancellationToken,
) -> JoinHandle<usize> {
    let limits = Limits { max_connections: METRICS_CONNECTIONS, ..limits };
    let router = millrace_http::layers::finish(metrics::router(recorder), None);
    tokio::spawn(millrace_http::server::serve(vec![listener], router, limits, shutdown))
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
    node: &NodeName,
    addresses: &Addresses,
    playback: PlaybackLinks,
    objects: Option<Objects>,
) -> anyhow::Result<millrace_api::ApiState> {
    let public_url = config.public_url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
    let secure = match &public_url {
        Some(url) => url.starts_with("https://"),
        None => config.https_addr.is_some(),
    };
    let studio = millrace_api::studio::Studio::new(store.clone(), bus, node.clone(), config.channels.clone());
    let studio = match objects {
        Some(objects) => studio.with_objects(objects),
        None => studio,
    };
    let studio = Arc::new(studio);
    let providers = millrace_api::oauth::Providers::new(&config.oauth)
        .context("failed to read the secret of a sign-in provider")?;
    let mail = millrace_api::mail::Post::new(&config.mail, public_url.as_deref().unwrap_or_default())
        .context("failed to set up mail")?;
    let setup = millrace_api::Setup {
        store,
        accounts: config.accounts.clone(),
        notices: config.notices.clone(),
        webhooks: config.webhooks.clone(),
        providers,
        mail,
        public_url,
        secure,
        site: config.site.clone(),
        ingest: millrace_api::site::IngestAddress {
            public_url: config.public_rtmp_url.clone(),
            // Where no publisher comes in, that of the processes where they do is taken to be the same.
            rtmp_port: addresses.rtmp.unwrap_or(config.rtmp_addr).port(),
            rtmps_port: addresses.rtmps.or(config.rtmps_addr).map(|addr| addr.port()),
        },
        playback,
        ladder: config.transcode.ladder.plan(),
    };
    let state = millrace_api::ApiState::new(setup).await.context("failed to prepare accounts")?;
    Ok(state.with_studio(studio))
}

fn or_derived(setting: usize, derived: usize) -> usize {
    if setting == 0 { derived } else { setting }
}

fn authority(auth: PublishAuth, keys: Arc<KeyAuthority>) -> Arc<dyn PublishAuthority> {
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
struct Keys(Arc<KeyAuthority>);

impl PublishAuthority for Keys {
    fn authorise(&self, attempt: PublishAttempt) -> Authorising<'_> {
        Box::pin(async move {
            match self.0.authorise(attempt.key.expose(), attempt.peer.ip()).await {
                Ok(Granted { channel, key, access, ladder }) => {
                    Ok(PublishGrant { channel, key: Some(key), access, ladder })
                }
                Err(refused) => {
                    Err(PublishRefusal { reason: refused.label(), sentence: refused.to_string() })
                }
            }
        })
    }
}

/// The name of this machine.
fn host_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String =
        host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).take(64).collect();
    if host.is_empty() { "localhost".to_owned() } else { host }
}

/// The name of this process on the bus.
fn node_name(config: &Config, host: &str, http: SocketAddr) -> anyhow::Result<NodeName> {
    match &config.node_name {
        Some(name) => Ok(name.clone()),
        None => format!("{host}:{}", http.port())
            .parse()
            .context("the name of this machine is none for a node; set MILLRACE_NODE_NAME"),
    }
}

/// Where other processes reach this one.
fn node_url(config: &Config, host: &str, http: SocketAddr) -> String {
    match &config.node_url {
        Some(url) => url.clone(),
        None if http.ip().is_unspecified() => format!("http://{host}:{}", http.port()),
        None => format!("http://{http}"),
    }
}
