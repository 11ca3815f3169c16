//! The command line.

use std::path::PathBuf;

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
    /// Ask a running server on this machine whether it is healthy; the exit code tells.
    Healthcheck(ConfigFile),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether the configuration is valid, and everything that is wrong with it.
    Check(ConfigFile),
    /// Print the configuration as it results from defaults, file and environment.
    Print(ConfigFile),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// The roles this process runs, of: ingest, api. All, if absent.
    #[arg(long, value_delimiter = ',')]
    pub(crate) roles: Option<Vec<crate::roles::Role>>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// Configuration file; `millrace.toml` in the current directory if that exists and this is absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}
