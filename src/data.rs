//! `millrace data`: everything into a file, and out of it.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use millrace_store::{Engine, transfer};

use crate::bus::collections;
use crate::cli::{DataCommand, DataFile};
use crate::config::Config;

pub(crate) fn run(command: DataCommand) -> anyhow::Result<()> {
    blocking(async {
        match command {
            DataCommand::Export(file) => export(&file).await,
            DataCommand::Import(file) => import(&file).await,
        }
    })
}

/// Does it with a runtime of its own.
pub(crate) fn blocking<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?
        .block_on(work)
}

async fn export(DataFile { path, file }: &DataFile) -> anyhow::Result<()> {
    let config = Config::load(file.config.as_deref(), None)?;
    let engine = open(&config).await?;
    let name = path.display();
    let made =
        create_private(path).with_context(|| format!("failed to make the file {name}; name a new one"))?;
    let mut writer = BufWriter::new(made);
    let result = transfer::export(engine.as_ref(), &collections(), &mut writer).await;
    let written = result.and_then(|count| {
        writer.get_ref().sync_all()?;
        Ok(count)
    });
    if written.is_err() {
        // Half a backup is worse than none.
        let _ = std::fs::remove_file(path);
    }
    let count = written.with_context(|| format!("failed to export {} to {name}", config.store))?;
    crate::say(&format!("wrote {count} documents to {name}; it holds secrets, keep it as safe as the store"));
    Ok(())
}

async fn import(DataFile { path, file }: &DataFile) -> anyhow::Result<()> {
    let config = Config::load(file.config.as_deref(), None)?;
    let engine = open(&config).await?;
    let name = path.display();
    let found = File::open(path).with_context(|| format!("failed to open {name}"))?;
    let mut reader = BufReader::new(found);
    let count = transfer::import(engine.as_ref(), &collections(), &mut reader)
        .await
        .with_context(|| format!("failed to import {name} into {}", config.store))?;
    crate::say(&format!("read {count} documents from {name} into {}", config.store));
    Ok(())
}

/// Opens the store, with the collections of every part.
pub(crate) async fn open(config: &Config) -> anyhow::Result<Arc<dyn Engine>> {
    let opened = millrace_store::open(&config.store, &config.data_dir).await;
    let engine = opened.with_context(|| format!("failed to open the store {}", config.store))?;
    engine.prepare(&collections()).await.context("failed to prepare the store")?;
    Ok(engine)
}

/// A new file that only its owner can read.
pub(crate) fn create_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_api::accounts::{COLLECTIONS, User};
    use millrace_store::Store;

    fn user(number: u32) -> User {
        let id = format!("01932c5e-0000-7000-8000-{number:012}");
        let name = format!("person_{number}");
        let user = serde_json::json!({
            "id": id, "name": name, "display_name": "A 'person' \u{1f431}", "role": "viewer", "created_at": i64::MAX,
        });
        serde_json::from_value(user).unwrap()
    }

    /// A configuration with a data folder of its own.
    fn configured(folder: &Path, name: &str, path: &str) -> DataFile {
        let file = folder.join(format!("{name}.toml"));
        std::fs::write(&file, format!("data_dir = {:?}", folder.join(name))).unwrap();
        DataFile { path: folder.join(path), file: crate::cli::ConfigFile { config: Some(file) } }
    }

    /// Runs a test that reads the configuration while no other changes the environment of the process.
    #[expect(clippy::result_large_err, reason = "figment's own error type")]
    fn in_a_still_environment(test: impl Future<Output = ()>) {
        figment::Jail::expect_with(|_| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(test);
            Ok(())
        });
    }

    #[test]
    fn a_backup_is_restored_into_an_empty_store_only() {
        in_a_still_environment(restored());
    }

    async fn restored() {
        let folder = tempfile::tempdir().unwrap();
        let first = configured(folder.path(), "first", "backup.jsonl");
        {
            let config = Config::load(first.file.config.as_deref(), None).unwrap();
            let engine = open(&config).await.unwrap();
            let store = Store::new(engine, COLLECTIONS).await.unwrap();
            for number in 0..3 {
                store.insert(&user(number)).await.unwrap();
            }
        }
        export(&first).await.unwrap();
        let kept = std::fs::read(&first.path).unwrap();
        export(&first).await.expect_err("an older backup is not overwritten");
        assert_eq!(std::fs::read(&first.path).unwrap(), kept);

        import(&configured(folder.path(), "second", "backup.jsonl")).await.unwrap();
        let second = configured(folder.path(), "second", "again.jsonl");
        export(&second).await.unwrap();
        assert_eq!(std::fs::read(&second.path).unwrap(), kept);
        let full = import(&configured(folder.path(), "second", "backup.jsonl")).await.unwrap_err();
        assert!(format!("{full:#}").contains("not empty: there are users"), "{full:#}");
    }

    #[test]
    #[cfg(unix)]
    fn a_backup_is_its_owners() {
        in_a_still_environment(owned());
    }

    #[cfg(unix)]
    async fn owned() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = configured(folder.path(), "first", "backup.jsonl");
        export(&file).await.unwrap();
        assert_eq!(std::fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
