//! `millrace bus dlq`: what consumers refused, and publishing it again. The server may run meanwhile.
#![expect(clippy::disallowed_methods, reason = "shell: the clock")]

use std::time::SystemTime;

use anyhow::Context;
use millrace_bus::{BusLocation, KafkaBus, StoreJournal};
use millrace_core::bus::journal::Journal;
use millrace_core::bus::{Bus, Topic};
use millrace_store::Store;

use crate::bus::{collections, kafka_settings};
use crate::cli::{DlqArgs, DlqCommand};
use crate::config::Config;

pub(crate) fn run(command: DlqCommand) -> anyhow::Result<()> {
    let (DlqCommand::List(args) | DlqCommand::Redrive(args)) = &command;
    let config = Config::load(args.file.config.as_deref(), None)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?
        .block_on(execute(&command, &config))
}

fn topics(args: &DlqArgs) -> anyhow::Result<Vec<Topic>> {
    let Some(name) = &args.topic else { return Ok(Topic::ALL.to_vec()) };
    let known = || Topic::ALL.map(Topic::name).join(", ");
    let topic =
        Topic::named(name).with_context(|| format!("there is no topic {name}; there are {}", known()))?;
    Ok(vec![topic])
}

async fn execute(command: &DlqCommand, config: &Config) -> anyhow::Result<()> {
    let (DlqCommand::List(args) | DlqCommand::Redrive(args)) = command;
    let topics = topics(args)?;
    let failed = || format!("failed to open the store {}", config.store);
    let engine = millrace_store::open(&config.store, &config.data_dir).await.with_context(failed)?;
    let store = Store::new(engine, &collections()).await.with_context(failed)?;
    match &config.bus {
        BusLocation::Memory => {
            let journal = StoreJournal::new(store);
            for topic in topics {
                match command {
                    DlqCommand::List(_) => print(&journal.dead_letters(topic, args.limit).await?)?,
                    DlqCommand::Redrive(_) => {
                        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
                        let now = i64::try_from(now.as_millis())?;
                        let count = journal.request_redrive(topic, args.limit, now).await?;
                        said(topic, count, "are published again by the server, now or when it starts");
                    }
                }
            }
        }
        BusLocation::Kafka(brokers) => {
            let node = format!("bus-dlq-{}", std::process::id());
            let bus = KafkaBus::connect(kafka_settings(config, brokers, &node)?, store)
                .await
                .with_context(|| format!("failed to connect to {}", config.bus))?;
            for topic in topics {
                match command {
                    DlqCommand::List(_) => print(&bus.dead_letters(topic, args.limit).await?)?,
                    DlqCommand::Redrive(_) => {
                        said(topic, bus.redrive(topic, args.limit).await?, "were published again");
                    }
                }
            }
        }
    }
    Ok(())
}

/// One JSON object a line.
fn print(letters: &[millrace_core::bus::DeadLetter]) -> anyhow::Result<()> {
    for letter in letters {
        crate::print(&serde_json::to_string(letter)?);
    }
    Ok(())
}

fn said(topic: Topic, count: usize, what: &str) {
    if count > 0 {
        crate::say(&format!("{count} events of {topic} {what}"));
    }
}
