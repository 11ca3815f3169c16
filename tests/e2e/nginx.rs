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
    child: Child,
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
            .replace("${MILLRACE_CHAT}", &origin.to_string())
            .replace("${MILLRACE_LISTEN}", &address.to_string())
            .replace("${MILLRACE_CACHE}", path.join("cache").to_str().unwrap())
            .replace("${MILLRACE_PLAYBACK_SECRETS}", secrets.to_str().unwrap())
            .replace("/dev/stdout", log.to_str().unwrap());
        std::fs::write(path.join("millrace.conf"), site).unwrap();
        std::fs::copy(shipped.join("playback.js"), path.join("playback.js")).unwrap();
        let folder_name = path.display();
        // Two workers, as on a machine with two processors: the cache and its lock are theirs together.
        let main = format!(
            "load_module /usr/lib/nginx/modules/ngx_http_js_module.so;\nuser root;\ndaemon off;\nworker_processes 2;\n\
             pid {folder_name}/pid;\nerror_log {folder_name}/error.log;\nevents {{ worker_connections 4096; }}\n\
             http {{\n\
             client_body_temp_path {folder_name}/body;\nproxy_temp_path {folder_name}/proxy;\n\
             fastcgi_temp_path {folder_name}/fastcgi;\nuwsgi_temp_path {folder_name}/uwsgi;\n\
             scgi_temp_path {folder_name}/scgi;\ninclude {folder_name}/millrace.conf;\n}}\n"
        );
        std::fs::write(path.join("nginx.conf"), main).unwrap();
        Self::run(folder, address).await
    }

    /// Starts the nginx that is set up in a folder: `nginx.conf` does not become a daemon, and logs into `access.log`.
    pub(crate) async fn run(folder: TempDir, address: SocketAddr) -> Self {
        let nginx = Self { child: spawn(folder.path()), folder, address };
        nginx.answers().await;
        nginx
    }

    async fn answers(&self) {
        until("nginx answers", START, || async {
            crate::http::get(self.url("/healthz"))
                .await
                .ok()
                .filter(|answer| answer.status() == 200)
                .map(drop)
        })
        .await;
    }

    /// Kills it and all its workers without warning, and starts it again with the cache that it left.
    pub(crate) async fn restart_after_kill(&mut self) {
        self.kill();
        self.child.wait().await.unwrap();
        self.child = spawn(self.folder.path());
        self.answers().await;
    }

    /// Puts new workers in the place of those that run, which end what they have begun: nobody is turned away. As
    /// `nginx -s reload` does.
    pub(crate) async fn reload(&self) {
        let master = self.child.id().expect("it runs").to_string();
        let old = workers(&master);
        signal("-HUP", [master.clone()]);
        until("all workers that take connections are new", START, || async {
            let now = workers(&master);
            let is_leaving = |worker: &String| {
                let name = std::fs::read_to_string(format!("/proc/{worker}/cmdline")).unwrap_or_default();
                name.is_empty() || name.contains("shutting down")
            };
            let left = old.iter().all(is_leaving);
            (left && now.iter().any(|worker| !old.contains(worker))).then_some(())
        })
        .await;
    }

    fn kill(&self) {
        let Some(id) = self.child.id() else { return };
        let master = id.to_string();
        // The workers would outlive their master, which goes first: it would replace them.
        let workers = workers(&master);
        signal("-9", [master].into_iter().chain(workers));
    }

    /// Address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it logged of requests.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default()
    }
}

/// The processes that a master has.
fn workers(master: &str) -> Vec<String> {
    let children = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children"));
    children.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// What is gone already need not be told.
fn signal(name: &str, processes: impl IntoIterator<Item = String>) {
    let _ = std::process::Command::new("kill").arg(name).args(processes).stderr(Stdio::null()).status();
}

/// Starts the nginx that is set up in a folder.
fn spawn(folder: &Path) -> Child {
    Command::new("/usr/sbin/nginx")
        .arg("-c")
        .arg(folder.join("nginx.conf"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let errors = std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default();
            eprintln!("--- nginx\n{}\n{errors}", self.log());
        }
    }
}
