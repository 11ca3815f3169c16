//! The sockets of this process, and what a person is told of them.

use std::net::SocketAddr;

use anyhow::Context;
use millrace_http::server::Listener;
use tokio::net::TcpListener;

use crate::config::{Config, PublishAuth};
use crate::roles::Role;
use crate::tls::Tls;

/// Every socket, bound before anything runs.
pub(crate) struct Bound {
    pub(crate) addresses: Addresses,
    pub(crate) http: Vec<Listener>,
    /// None, if this process has no publishers.
    pub(crate) rtmp: Vec<millrace_ingest::Listener>,
    pub(crate) metrics: Listener,
}

/// Where the process really listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) rtmp: Option<SocketAddr>,
    pub(crate) rtmps: Option<SocketAddr>,
    pub(crate) metrics: SocketAddr,
}

impl Bound {
    pub(crate) async fn bind(config: &Config, tls: &Tls) -> anyhow::Result<Self> {
        let (http_addr, tcp) = bind("MILLRACE_HTTP_ADDR", config.http_addr).await?;
        let mut http = vec![Listener { tcp, tls: None, redirect: None }];
        let mut https = None;
        if let Some(addr) = config.https_addr {
            let (bound, tcp) = bind("MILLRACE_HTTPS_ADDR", addr).await?;
            http[0].redirect = tls.redirect(config, bound);
            http.push(Listener { tcp, tls: tls.https(), redirect: None });
            https = Some(bound);
        }
        let mut rtmp = Vec::new();
        let (mut rtmp_addr, mut rtmps) = (None, None);
        if config.roles.contains(&Role::Ingest) {
            let (bound, tcp) = bind("MILLRACE_RTMP_ADDR", config.rtmp_addr).await?;
            rtmp.push(millrace_ingest::Listener { tcp, tls: None });
            rtmp_addr = Some(bound);
            if let Some(addr) = config.rtmps_addr {
                let (bound, tcp) = bind("MILLRACE_RTMPS_ADDR", addr).await?;
                rtmp.push(millrace_ingest::Listener { tcp, tls: tls.rtmps() });
                rtmps = Some(bound);
            }
        }
        let (metrics_addr, tcp) = bind("MILLRACE_METRICS_ADDR", config.metrics_addr).await?;
        let metrics = Listener { tcp, tls: None, redirect: None };
        let addresses = Addresses { http: http_addr, https, rtmp: rtmp_addr, rtmps, metrics: metrics_addr };
        Ok(Self { addresses, http, rtmp, metrics })
    }
}

async fn bind(setting: &str, addr: SocketAddr) -> anyhow::Result<(SocketAddr, TcpListener)> {
    let listener = TcpListener::bind(addr).await.with_context(|| {
        format!("cannot listen on {addr}; free the port or set {setting} to another address")
    })?;
    Ok((listener.local_addr()?, listener))
}

/// Says that the process is ready, and what a person may do now.
pub(crate) fn announce(config: &Config, addresses: &Addresses, setup: Option<&str>) {
    let shown = |addr: Option<SocketAddr>| addr.map(tracing::field::display);
    tracing::info!(
        version = crate::VERSION,
        http.addr = %addresses.http,
        metrics.addr = %addresses.metrics,
        rtmp.addr = shown(addresses.rtmp),
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
    let mut text = format!("\n  Millrace {} is running", crate::VERSION);
    if Role::ALL.iter().all(|role| config.roles.contains(role)) {
        text.push_str(".\n");
    } else {
        let roles: Vec<_> = config.roles.iter().map(|role| role.name()).collect();
        text.push_str(&format!(" as {}.\n", roles.join(", ")));
    }
    if config.roles.contains(&Role::Api) {
        text.push_str(&format!("\n  Watch       {page}/@studio\n  All live    {page}/\n"));
    }
    if let Some(rtmp) = addresses.rtmp {
        let server = config.public_rtmp_url.clone().unwrap_or_else(|| format!("rtmp://{}/live", host(rtmp)));
        let key = match config.publish_auth {
            PublishAuth::Open => "studio        (any name of 3 to 25 characters a-z, 0-9 and _)",
            PublishAuth::Keys => "from the stream manager, after signing in",
        };
        text.push_str(&format!(
            "\n  In OBS, Settings > Stream > Service: Custom...\n  Server      {server}\n  Stream key  {key}\n"
        ));
    }
    text.push_str("\n  Ctrl-C stops it.\n");
    text
}

/// Host and port as a person on this machine types them.
fn host(addr: SocketAddr) -> String {
    if addr.ip().is_unspecified() { format!("localhost:{}", addr.port()) } else { addr.to_string() }
}

/// The address of the web app, without a slash at the end.
fn page(config: &Config, addresses: &Addresses) -> String {
    let page = config.public_url.clone().unwrap_or_else(|| match addresses.https {
        Some(https) => match config.acme.domains.0.first() {
            Some(domain) if https.port() == 443 => format!("https://{domain}"),
            Some(domain) => format!("https://{domain}:{}", https.port()),
            None => format!("https://{}", host(https)),
        },
        None => format!("http://{}", host(addresses.http)),
    });
    page.trim_end_matches('/').to_owned()
}
