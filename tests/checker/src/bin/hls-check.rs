//! `hls-check URL`: follows a live Low-Latency HLS broadcast and prints every rule it violates.
#![expect(clippy::print_stdout, reason = "a command line tool")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use millrace_hls_checker::{Options, Protocol, Rule, run};

/// Follows a live Low-Latency HLS broadcast and prints every rule it violates.
#[derive(Debug, Parser)]
#[command(name = "hls-check", version)]
struct Arguments {
    /// The multivariant playlist.
    #[arg(required_unless_present = "rules")]
    url: Option<String>,
    /// Seconds to watch.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds to wait for the broadcast to begin.
    #[arg(long, default_value_t = 10)]
    wait: u64,
    /// Speak HTTP/2 in clear text.
    #[arg(long)]
    http2: bool,
    /// Leave out the one-off questions.
    #[arg(long)]
    no_probes: bool,
    /// Keep the media in this folder.
    #[arg(long)]
    save: Option<PathBuf>,
    /// Keep every playlist in this folder.
    #[arg(long)]
    record: Option<PathBuf>,
    /// Print the rules and their clauses, and do nothing else.
    #[arg(long)]
    rules: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.rules {
        for rule in Rule::ALL {
            println!("{:26} {:38} {}", rule.id(), rule.clause(), rule.text());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let protocol = if arguments.http2 { Protocol::Http2PriorKnowledge } else { Protocol::Negotiated };
    let report = run(Options {
        protocol,
        watch: Duration::from_secs(arguments.seconds),
        wait: Duration::from_secs(arguments.wait),
        probes: !arguments.no_probes,
        save: arguments.save,
        record: arguments.record,
        ..Options::new(arguments.url.unwrap_or_default())
    })
    .await?;
    println!("{report}");
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
