//! Keeps a server process, and ends it when this process ends, even by a signal that cannot be caught.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// Starts and kills the server as it is told, line by line. The end of its input is the end of us: then it kills the
/// server and removes the folder.
const SCRIPT: &str = r#"
folder=$1; shift
trap '' INT TERM HUP
pid=
while read -r order; do
    case $order in
    start) "$@" >>"$folder/log" 2>&1 </dev/null & pid=$! ;;
    kill) kill -9 "$pid"; wait "$pid" 2>/dev/null; pid= ;;
    stop)
        kill -STOP "$pid"
        # Each of its threads stops when it has its turn.
        while grep -h '^State' /proc/"$pid"/task/*/status 2>/dev/null | grep -qv 'T (stopped)'; do sleep 0.01; done ;;
    continue) kill -CONT "$pid" ;;
    esac
    echo done
done
[ -z "$pid" ] || { kill -9 "$pid"; wait "$pid" 2>/dev/null; }
rm -rf "$folder"
"#;

/// A server that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: TempDir,
}

impl Keeper {
    /// Starts `program` in a process that watches over it. Its output is in `folder/log`.
    pub(crate) fn start<S: AsRef<OsStr>>(folder: TempDir, program: S, arguments: &[S]) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "keeper"])
            .arg(folder.path())
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell can be started");
        let orders = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().expect("its output is a pipe"));
        let mut keeper = Self { shell, orders, answers, folder };
        keeper.order("start");
        keeper
    }

    /// Says `start`, `kill`, `stop` or `continue`, and waits until it is done.
    pub(crate) fn order(&mut self, order: &str) {
        let orders = self.orders.as_mut().expect("it is there until the end");
        writeln!(orders, "{order}").expect("the keeper reads");
        self.answers.read_line(&mut String::new()).expect("the keeper answers");
    }

    /// What the server said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.orders = None;
        // The folder must not go before the server.
        let _ = self.shell.wait();
    }
}
