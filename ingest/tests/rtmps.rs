//! RTMPS: the same over TLS, and TLS handshakes have their time as well.

#[path = "support/server.rs"]
mod server;
#[path = "support/wire.rs"]
mod wire;

use std::sync::Arc;
use std::time::Duration;

use millrace_ingest::{Config, OpenAuthority};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use server::{Publisher, Server};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wire::{AVC_HEADER, AVC_KEYFRAME};

fn certificate() -> (CertificateDer<'static>, Arc<rustls::ServerConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("they belong together");
    (certificate, Arc::new(config))
}

#[tokio::test]
async fn rtmps_publishes_the_same() {
    let (certificate, tls) = certificate();
    let mut server = Server::start_with(Config::default(), Arc::new(OpenAuthority), Some(tls)).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("a root");
    let client = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tcp = TcpStream::connect(server.address).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(client)).connect(name, tcp).await.expect("TLS");
    let mut publisher = Publisher::new(stream);
    publisher.open("studio").await;
    assert_eq!(publisher.status().await.0, "NetStream.Publish.Start");
    publisher.media(0, AVC_HEADER).await;
    publisher.media(40, AVC_KEYFRAME).await;
    server.opened().await.expect(&["joined 1", "header 0", "key 40"]).await;
    drop(publisher);
    server.stop().await;
}

#[tokio::test]
async fn a_silent_or_plain_peer_of_rtmps_is_cut() {
    let config = Config { handshake_timeout: Duration::from_millis(200), ..Config::default() };
    let server = Server::start_with(config, Arc::new(OpenAuthority), Some(certificate().1)).await;
    let mut silent = server.connect().await;
    let mut bytes = Vec::new();
    assert_eq!(silent.stream.read_to_end(&mut bytes).await.unwrap_or(0), 0);
    let mut plain = server.connect().await;
    plain.write(&wire::hello()).await;
    // A TLS alert at most, and the end.
    let _ = plain.stream.read_to_end(&mut bytes).await;
    assert!(bytes.len() < 100);
    server.stop().await;
}
