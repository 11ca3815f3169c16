//! The sockets of this process, and what a person is told of them.

use std::net::SocketAddr;

use anyhow::Context;
use millrace_http::server::Listener;
use tokio::net::{TcpListener, TcpSocket};

use crate::config::{Config, PublishAuth};
use crate::roles::Role;
use crate::tls::Tls;

/// Connections that the operating system keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// Every socket, bound before anything runs: an address that is taken is noticed at once. Nobody can connect yet, so
/// that a proxy asks another process while this one begins.
pub(crate) struct Bound {
    pub(crate) addresses: Addresses,
    http: Socket,
    https: Option<Socket>,
    /// None, if this process has no publishers.
    rtmp: Option<Socket>,
    rtmps: Option<Socket>,
    /// None, if this process has no chat.
    irc: Option<Socket>,
    ircs: Option<Socket>,
    metrics: Socket,
}

/// Every socket, open for connections.
pub(crate) struct Listening {
    pub(crate) http: Vec<Listener>,
    pub(crate) rtmp: Vec<millrace_ingest::Listener>,
    pub(crate) irc: Vec<millrace_chat::irc::Listener>,
    pub(crate) metrics: Listener,
}

/// Where the process really listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) rtmp: Option<SocketAddr>,
    pub(crate) rtmps: Option<SocketAddr>,
    pub(crate) irc: Option<SocketAddr>,
    pub(crate) ircs: Option<SocketAddr>,
    pub(crate) metrics: SocketAddr,
}

impl Bound {
    pub(crate) fn bind(config: &Config) -> anyhow::Result<Self> {
        let http = Socket::bind("MILLRACE_HTTP_ADDR", config.http_addr)?;
        let https = config.https_addr.map(|addr| Socket::bind("MILLRACE_HTTPS_ADDR", addr)).transpose()?;
        let publishes = config.roles.contains(&Role::Ingest);
        let rtmp = publishes.then(|| Socket::bind("MILLRACE_RTMP_ADDR", config.rtmp_addr)).transpose()?;
        let rtmps = config.rtmps_addr.filter(|_| publishes);
        let rtmps = rtmps.map(|addr| Socket::bind("MILLRACE_RTMPS_ADDR", addr)).transpose()?;
        let chats = config.roles.contains(&Role::Chat);
        let irc = config.irc_addr.filter(|_| chats);
        let irc = irc.map(|addr| Socket::bind("MILLRACE_IRC_ADDR", addr)).transpose()?;
        let ircs = config.ircs_addr.filter(|_| chats);
        let ircs = ircs.map(|addr| Socket::bind("MILLRACE_IRCS_ADDR", addr)).transpose()?;
        let metrics = Socket::bind("MILLRACE_METRICS_ADDR", config.metrics_addr)?;
        let of = |socket: &Option<Socket>| socket.as_ref().map(|socket| socket.addr);
        let addresses = Addresses {
            http: http.addr,
            https: of(&https),
            rtmp: of(&rtmp),
            rtmps: of(&rtmps),
            irc: of(&irc),
            ircs: of(&ircs),
            metrics: metrics.addr,
        };
        Ok(Self { addresses, http, https, rtmp, rtmps, irc, ircs, metrics })
    }

    /// Takes connections from now on.
    pub(crate) fn listen(self, config: &Config, tls: &Tls) -> anyhow::Result<Listening> {
        let redirect = self.https.as_ref().and_then(|https| tls.redirect(config, https.addr));
        let mut http = vec![Listener { tcp: self.http.listen()?, tls: None, redirect }];
        if let Some(https) = self.https {
            http.push(Listener { tcp: https.listen()?, tls: tls.https(), redirect: None });
        }
        let mut rtmp = Vec::new();
        if let Some(plain) = self.rtmp {
            rtmp.push(millrace_ingest::Listener { tcp: plain.listen()?, tls: None });
        }
        if let Some(rtmps) = self.rtmps {
            rtmp.push(millrace_ingest::Listener { tcp: rtmps.listen()?, tls: tls.plain() });
        }
        let mut irc = Vec::new();
        if let Some(plain) = self.irc {
            irc.push(millrace_chat::irc::Listener { tcp: plain.listen()?, tls: None });
        }
        if let Some(ircs) = self.ircs {
            irc.push(millrace_chat::irc::Listener { tcp: ircs.listen()?, tls: tls.plain() });
        }
        let metrics = Listener { tcp: self.metrics.listen()?, tls: None, redirect: None };
        Ok(Listening { http, rtmp, irc, metrics })
    }
}

/// An address that is this process's.
struct Socket {
    setting: &'static str,
    addr: SocketAddr,
    socket: TcpSocket,
}

impl Socket {
    fn bind(setting: &'static str, addr: SocketAddr) -> anyhow::Result<Self> {
        let bind = || -> std::io::Result<_> {
            let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // Who was here before may have left connections that the operating system remembers for a minute.
            socket.set_reuseaddr(true)?;
            socket.bind(addr)?;
            Ok((socket.local_addr()?, socket))
        };
        let (bound, socket) = bind().with_context(|| taken(setting, addr))?;
        Ok(Self { setting, addr: bound, socket })
    }

    fn listen(self) -> anyhow::Result<TcpListener> {
        // Two that begin at the same moment may both have bound it.
        self.socket.listen(BACKLOG).with_context(|| taken(self.setting, self.addr))
    }
}

fn taken(setting: &str, addr: SocketAddr) -> String {
    format!("cannot listen on {addr}; free the port or set {setting} to another address")
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
        irc.addr = shown(addresses.irc),
        ircs.addr = shown(addresses.ircs),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_taken_at_once_and_nobody_gets_in_before_there_is_somebody_to_answer() {
        let socket = Socket::bind("A_SETTING", "127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = socket.addr;
        let early = tokio::net::TcpStream::connect(addr).await;
        assert_eq!(early.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        let tcp = socket.listen().unwrap();
        assert_eq!(tcp.local_addr().unwrap(), addr);
        tokio::net::TcpStream::connect(addr).await.unwrap();
        let again = Socket::bind("A_SETTING", addr).err().unwrap().to_string();
        assert_eq!(
            again,
            format!("cannot listen on {addr}; free the port or set A_SETTING to another address")
        );
    }
}
