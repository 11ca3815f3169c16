//! The `millrace` binary: arguments, logging, configuration, run, drain, exit code.

mod backup;
mod bus;
mod chat;
mod cli;
mod config;
mod data;
mod descriptors;
mod dlq;
mod drain;
mod health;
mod idle;
mod listen;
mod logging;
mod metrics;
mod nodes;
mod process;
mod roles;
mod serve;
mod tls;
mod traces;
mod user;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{BusCommand, Cli, Command, ConfigCommand};
use crate::config::{Config, ConfigError};

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
pub(crate) const COMMIT: &str = env!("BUILD_COMMIT");

/// Usage or configuration is wrong (sysexits.h, `EX_USAGE`).
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    // Before anything can speak TLS: there is one provider for all that do.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        say("millrace: a TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors.
            let code = if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
            let _ = error.print();
            return code;
        }
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("millrace: {error:#}"));
            if error.is::<ConfigError>() { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(serve) => {
            let config = Config::load(serve.file.config.as_deref(), serve.roles)?;
            logging::start(&config);
            serve::run(config)
        }
        Command::Config { command: ConfigCommand::Check(file) } => {
            Config::load(file.config.as_deref(), None)?;
            say("the configuration is valid");
            Ok(())
        }
        Command::Config { command: ConfigCommand::Print(file) } => {
            print(&toml::to_string(&Config::load(file.config.as_deref(), None)?)?);
            Ok(())
        }
        Command::Bus { command: BusCommand::Dlq { command } } => dlq::run(command),
        Command::Backup(file) => backup::backup(&file),
        Command::Restore(file) => backup::restore(&file),
        Command::Data { command } => data::run(command),
        Command::User { command } => user::run(command),
        Command::WaitIdle(args) => idle::wait(&args),
        Command::Healthcheck(file) => health::ask(Config::load(file.config.as_deref(), None)?.http_addr),
    }
}

/// For the person at the terminal; the log is elsewhere. Nobody may be listening.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The output of a command. Nobody may be listening.
pub(crate) fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
