//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Self-hosted live streaming: RTMP in, Low-Latency HLS out.
#[derive(Debug, Parser)]
#[command(name = "millrace", version = crate::VERSION, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server.
    Serve(Serve),
    /// Check or print the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Write everything that the site is (the store, pictures, certificates) into a new file. The server may run meanwhile.
    Backup(BackupFile),
    /// Put such a file in the place of an empty site. The server must not run meanwhile.
    Restore(RestoreFile),
    /// Move what is kept about people and channels to another store.
    Data {
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Look after what connects the parts of Millrace.
    Bus {
        #[command(subcommand)]
        command: BusCommand,
    },
    /// Make accounts and look after them, without the web page.
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Ask a running server on this machine whether it is healthy; the exit code tells.
    Healthcheck(ConfigFile),
    /// Wait until nobody publishes to the running server on this machine: before it is stopped.
    WaitIdle(WaitIdle),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether the configuration is valid, and everything that is wrong with it.
    Check(ConfigFile),
    /// Print the configuration as it results from defaults, file and environment.
    Print(ConfigFile),
}

#[derive(Debug, Subcommand)]
pub(crate) enum BusCommand {
    /// Events that could not be handled and were put aside.
    Dlq {
        #[command(subcommand)]
        command: DlqCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// Print them with the reasons, one JSON object a line, the oldest first.
    List(DlqArgs),
    /// Publish them again, the oldest first. The server may run meanwhile.
    Redrive(DlqArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DlqArgs {
    /// Only those of this topic, such as millrace.jobs.
    #[arg(long)]
    pub(crate) topic: Option<String>,
    /// At most so many of each topic.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) file: ConfigFile,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Write everything, as it is now, into a new file. The server may run meanwhile.
    Export(DataFile),
    /// Read such a file into a store that is empty. The server must not run meanwhile.
    Import(DataFile),
}

#[derive(Debug, Args)]
pub(crate) struct BackupFile {
    /// The new file, such as backup.tar.gz.
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) file: ConfigFile,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreFile {
    /// The file of a backup.
    pub(crate) path: PathBuf,
    /// Put the site that is there aside, into a folder of the data directory.
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) file: ConfigFile,
}

#[derive(Debug, Args)]
pub(crate) struct DataFile {
    /// The file.
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) file: ConfigFile,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make an account, and print a link with which its person sets the password.
    Create {
        /// The name, of 3 to 25 characters a-z, 0-9 and _.
        name: String,
        /// The person's e-mail address.
        #[arg(long)]
        email: Option<String>,
        /// What the person may do.
        #[arg(long, value_enum, default_value = "streamer")]
        role: UserRole,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Change what a person may do. The person's sessions end.
    SetRole {
        /// Whose.
        name: String,
        /// What.
        #[arg(value_enum)]
        role: UserRole,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Print a link with which a person sets a new password; it works once, for an hour.
    ResetPassword {
        /// Whose.
        name: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum UserRole {
    /// Watches, follows, talks.
    Viewer,
    /// Has channels.
    Streamer,
    /// Everything.
    Admin,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// The roles this process runs, of: ingest, api, chat, worker. All, if absent.
    #[arg(long, value_delimiter = ',')]
    pub(crate) roles: Option<Vec<crate::roles::Role>>,
}

#[derive(Debug, Args)]
pub(crate) struct WaitIdle {
    /// At most so long: 30m, 4h.
    #[arg(long, default_value = "1h", value_parser = millrace_core::config::duration::parse)]
    pub(crate) within: Duration,
    #[command(flatten)]
    pub(crate) file: ConfigFile,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// Configuration file; `millrace.toml` in the current directory if that exists and this is absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}
