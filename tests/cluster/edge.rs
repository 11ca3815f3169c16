//! nginx before the processes, with the files that `docker_compose/split.yaml` gives it.

use std::net::SocketAddr;
use std::path::Path;

use super::nodes::Addresses;
use crate::nginx::Nginx;
use crate::server::scratch;

/// Starts nginx for pages, HLS and RTMP. Of what is shipped, only addresses and folders are others.
pub(crate) async fn start(addresses: &Addresses, secrets: &Path) -> Nginx {
    let (folder, path) = scratch("millrace-cluster-edge");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker_compose/nginx");
    let read = |name: &str| std::fs::read_to_string(shipped.join(name)).unwrap();
    let folder_name = path.display().to_string();
    let http = addresses.http("edge");

    let mut main = read("split.conf")
        // Debian keeps the modules elsewhere, and `stream` is one.
        .replace(
            "load_module modules/ngx_http_js_module.so;",
            "load_module /usr/lib/nginx/modules/ngx_http_js_module.so;\n\
             load_module /usr/lib/nginx/modules/ngx_stream_module.so;\nuser root;\ndaemon off;",
        )
        // The limit of this machine may be lower.
        .replace("worker_rlimit_nofile 65536;", "")
        .replace("worker_connections 16384;", "worker_connections 4096;")
        .replace("mime.types", "/etc/nginx/mime.types")
        .replace("/tmp/nginx.pid", "FOLDER/pid")
        .replace("/tmp/", "FOLDER/")
        .replace("/dev/stderr", "FOLDER/error.log")
        // Last: our folder may be in /tmp itself.
        .replace("FOLDER", &folder_name)
        .replace("listen 1935", &format!("listen {}", addresses.rtmp("edge")));
    for node in ["ingest-1", "ingest-2", "ingest-3"] {
        let named = format!("server {node}:1935");
        assert!(main.contains(&named), "split.conf does not name {node}");
        main = main.replace(&named, &format!("server {}", addresses.rtmp(node)));
    }
    std::fs::write(path.join("nginx.conf"), main).unwrap();

    // `origin:8080` is the name of both processes of the API there, and `chat:8080` of those of chat: nginx takes each
    // address it has as a server.
    let template = read("millrace.conf.template");
    let mut all = String::new();
    for line in template.lines() {
        let servers =
            [("${MILLRACE_ORIGIN}", ["api-1", "api-2"]), ("${MILLRACE_CHAT}", ["chat-1", "chat-2"])];
        match servers.iter().find(|(name, _)| line.contains(name)) {
            Some((name, nodes)) => {
                for node in nodes {
                    all += &line.replace(name, &addresses.http(node).to_string());
                    all.push('\n');
                }
            }
            None => all.extend([line, "\n"]),
        }
    }
    let site = all
        .replace("${MILLRACE_LISTEN}", &http.to_string())
        .replace("${MILLRACE_CACHE}", &format!("{folder_name}/cache"))
        .replace("${MILLRACE_PLAYBACK_SECRETS}", secrets.to_str().unwrap())
        .replace("/dev/stdout", &format!("{folder_name}/access.log"));
    std::fs::write(path.join("millrace.conf"), site).unwrap();
    std::fs::copy(shipped.join("playback.js"), path.join("playback.js")).unwrap();
    Nginx::run(folder, http).await
}

/// An address of this machine where nothing else listens.
pub(crate) fn is_free(address: SocketAddr) -> bool {
    std::net::TcpListener::bind(address).is_ok()
}
