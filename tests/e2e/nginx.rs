//! Debian's nginx with the configuration that we ship.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::server::scratch;
use crate::wait::until;

const START: Duration = Duration::from_secs(10);

/// A running nginx. Killed when dropped.
pub(crate) struct Nginx {
    _child: Child,
    folder: TempDir,
    address: SocketAddr,
}

impl Nginx {
    /// Starts nginx in front of an origin; `secrets` is the file of playback secrets.
    pub(crate) async fn start(origin: SocketAddr, secrets: &Path) -> Self {
        let (folder, path) = scratch("millrace-nginx");
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker_compose/nginx");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let log = path.join("access.log");
        let site = std::fs::read_to_string(shipped.join("millrace.conf.template"))
            .unwrap()
            .replace("${MILLRACE_ORIGIN}", &origin.to_string())
            .replace("${MILLRACE_LISTEN}", &address.to_string())
            .replace("${MILLRACE_CACHE}", path.join("cache").to_str().unwrap())
            .replace("${MILLRACE_PLAYBACK_SECRETS}", secrets.to_str().unwrap())
            .replace("/dev/stdout", log.to_str().unwrap());
        std::fs::write(path.join("millrace.conf"), site).unwrap();
        std::fs::copy(shipped.join("playback.js"), path.join("playback.js")).unwrap();
        let folder_name = path.display();
        let main = format!(
            "load_module /usr/lib/nginx/modules/ngx_http_js_module.so;\nuser root;\ndaemon off;\nmaster_process off;\n\
             pid {folder_name}/pid;\nerror_log {folder_name}/error.log;\nevents {{}}\nhttp {{\n\
             client_body_temp_path {folder_name}/body;\nproxy_temp_path {folder_name}/proxy;\n\
             fastcgi_temp_path {folder_name}/fastcgi;\nuwsgi_temp_path {folder_name}/uwsgi;\n\
             scgi_temp_path {folder_name}/scgi;\ninclude {folder_name}/millrace.conf;\n}}\n"
        );
        std::fs::write(path.join("nginx.conf"), main).unwrap();
        let child = Command::new("/usr/sbin/nginx")
            .arg("-c")
            .arg(path.join("nginx.conf"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let nginx = Self { _child: child, folder, address };
        until("nginx answers", START, || async {
            crate::http::get(nginx.url("/healthz"))
                .await
                .ok()
                .filter(|answer| answer.status() == 200)
                .map(drop)
        })
        .await;
        nginx
    }

    /// Address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it logged of requests.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let errors = std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default();
            eprintln!("--- nginx\n{}\n{errors}", self.log());
        }
    }
}
