//! `millrace backup` and `millrace restore`: everything that a site is, as one file.
//!
//! | In the file | What |
//! |---|---|
//! | `store.jsonl` | the store, with the secrets that Millrace made, as `millrace data export` writes it |
//! | `objects/…` | pictures, out of a folder or S3 |
//! | `acme/…` | the account and the certificates of automatic HTTPS |
#![expect(clippy::disallowed_methods, reason = "shell: files and the clock")]

mod archive;
mod objects;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use millrace_objects::Objects;
use millrace_store::{Engine, Location, transfer};

use crate::bus::collections;
use crate::cli::{BackupFile, RestoreFile};
use crate::config::Config;
use crate::data::{blocking, create_private, open};
use objects::PutBack;

const STORE: &str = "store.jsonl";
const OBJECTS: &str = "objects";
const ACME: &str = "acme";
/// How deep folders may be.
const DEPTH_MAX: usize = 16;

pub(crate) fn backup(BackupFile { path, file }: &BackupFile) -> anyhow::Result<()> {
    let config = Config::load(file.config.as_deref(), None)?;
    let made = create_private(path)
        .with_context(|| format!("failed to make the file {}; name a new one", path.display()))?;
    let written = blocking(write(&config, path, made));
    if written.is_err() {
        // Half a backup is worse than none.
        let _ = std::fs::remove_file(path);
    }
    let written = written.with_context(|| format!("failed to back up to {}", path.display()))?;
    crate::say(&format!(
        "wrote {} documents and {} files to {}; it holds secrets, keep it as safe as the site",
        written.documents,
        written.files,
        path.display()
    ));
    Ok(())
}

struct Written {
    documents: u64,
    files: usize,
}

async fn write(config: &Config, path: &Path, file: File) -> anyhow::Result<Written> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut archive =
        archive::Writer::new(BufWriter::new(file), i64::try_from(now.as_millis()).unwrap_or_default());
    // Pictures never change under their names, and one is removed after the store has forgotten it: what is there before
    // the store is read, and what has come by its end, is all that the store knows.
    let place = config.open_objects()?;
    let with_objects = || format!("failed to read the objects of {}", place.location());
    objects::add(&mut archive, &place).await.with_context(with_objects)?;
    let mut store = Temporary::beside(path)?;
    let engine = open(config).await?;
    let mut writer = BufWriter::new(&mut store.file);
    let documents = transfer::export(engine.as_ref(), &collections(), &mut writer)
        .await
        .with_context(|| format!("failed to export {}", config.store))?;
    drop(writer);
    let bytes = store.file.seek(SeekFrom::End(0))?;
    store.file.seek(SeekFrom::Start(0))?;
    archive.add(STORE, bytes, &mut store.file)?;
    objects::add(&mut archive, &place).await.with_context(with_objects)?;
    add_folder(&mut archive, &config.data_dir, ACME)?;
    let (writer, manifest) = archive.finish(crate::VERSION)?;
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(Written { documents, files: manifest.files() - 1 })
}

/// Adds the files of a folder that are not in the archive yet. One that is gone by now is nobody's any more.
fn add_folder<W: Write>(archive: &mut archive::Writer<W>, root: &Path, name: &str) -> anyhow::Result<()> {
    for (name, path) in files(&root.join(name), name, DEPTH_MAX)? {
        // What is being written has a name of its own until it is whole.
        if archive.has(&name) || name.ends_with(".new") {
            continue;
        }
        match File::open(&path) {
            Ok(file) => archive.add(&name, file.metadata()?.len(), file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("failed to read {}", path.display())),
        }
    }
    Ok(())
}

/// The files of a folder and of those in it, with their names in the archive, in order. None if there is no folder.
fn files(folder: &Path, name: &str, depth: usize) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("failed to read {}", folder.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, format!("{name}/{}", entry.file_name().to_string_lossy()));
        if kind.is_dir() && depth > 0 {
            found.extend(files(&entry.path(), &name, depth - 1)?);
        } else if kind.is_file() {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

pub(crate) fn restore(RestoreFile { path, replace, file }: &RestoreFile) -> anyhow::Result<()> {
    let config = Config::load(file.config.as_deref(), None)?;
    let data = config.data_dir.display();
    let whole = archive::read(opened(path)?, |_, _| Ok(()))
        .with_context(|| format!("failed to restore {}; nothing was changed", path.display()))?;
    std::fs::create_dir_all(&config.data_dir).with_context(|| {
        format!("cannot make {data}; set MILLRACE_DATA_DIR to a directory that is writable")
    })?;
    if crate::health::ask(config.http_addr).is_ok() {
        bail!("a server answers at {}: stop it before you restore", config.http_addr);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    if let Some(place) = objects_elsewhere(&config)? {
        let is_empty = blocking(async { Ok(place.is_empty().await?) });
        let location = place.location();
        if !is_empty.with_context(|| format!("failed to look into {location}; nothing was changed"))? {
            bail!(
                "there are objects in {location} already: name a prefix or a folder without any in MILLRACE_OBJECTS"
            );
        }
    }
    let there = present(&config);
    if !there.is_empty() && !replace {
        let names = there.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        bail!(
            "there is a site already ({names}): restore into a new MILLRACE_DATA_DIR, or say --replace to put what is \
             there aside"
        );
    }
    if *replace && config.store != Location::Sqlite {
        bail!("--replace is for SQLite: name an empty database in MILLRACE_STORE instead");
    }
    let aside = config.data_dir.join(format!("replaced-{now}"));
    move_aside(&there, &aside)?;
    let unpacked = config.data_dir.join(format!("restoring-{}", std::process::id()));
    let restored = blocking(put_back(&config, path, &unpacked));
    let _ = std::fs::remove_dir_all(&unpacked);
    if restored.is_err() && config.store == Location::Sqlite {
        // There was none before: half a store is worse than that.
        for file in database(&config.data_dir) {
            let _ = std::fs::remove_file(file);
        }
    }
    let count = restored.with_context(|| format!("failed to restore {} into {data}", path.display()))?;
    if !there.is_empty() {
        crate::say(&format!("what was there before is in {}", aside.display()));
    }
    crate::say(&format!(
        "restored {count} documents and {} files of a backup of Millrace {} into {}, {} and {data}",
        whole.files() - 1,
        whole.version,
        config.store,
        config.objects(),
    ));
    Ok(())
}

/// Whether objects are in the data directory, with the rest of the site.
fn objects_are_here(config: &Config) -> bool {
    config.objects() == millrace_objects::Location::Folder(config.data_dir.join(OBJECTS))
}

/// The place for objects, if it is not the folder in the data directory.
fn objects_elsewhere(config: &Config) -> anyhow::Result<Option<Objects>> {
    if objects_are_here(config) { Ok(None) } else { config.open_objects().map(Some) }
}

/// Writes the parts beside their places and the objects into theirs, then the store, then moves the parts: what stops in the
/// middle leaves no half site that looks whole.
async fn put_back(config: &Config, path: &Path, unpacked: &Path) -> anyhow::Result<u64> {
    std::fs::create_dir_all(unpacked)?;
    private(unpacked)?;
    let engine = open(config).await?;
    transfer::expect_empty(engine.as_ref(), &collections()).await?;
    let place = config.open_objects()?;
    let mut back = PutBack::new(&place);
    let read = archive::read(opened(path)?, |name, content| match name.split_once('/') {
        Some((OBJECTS, name)) => back.put(name, content),
        _ => unpack(&unpacked.join(name), content),
    });
    let imported = match (back.failed(), read) {
        (Some(error), _) => {
            Err(error).with_context(|| format!("failed to write objects into {}", place.location()))
        }
        (None, Err(error)) => Err(error.into()),
        (None, Ok(_)) => import(config, engine.as_ref(), unpacked).await,
    };
    if imported.is_err() {
        back.undo().await;
    }
    imported
}

async fn import(config: &Config, engine: &dyn Engine, unpacked: &Path) -> anyhow::Result<u64> {
    let mut store =
        BufReader::new(File::open(unpacked.join(STORE)).context("the backup has no store in it")?);
    let count = transfer::import(engine, &collections(), &mut store).await?;
    if unpacked.join(ACME).is_dir() {
        let place = config.data_dir.join(ACME);
        // An empty one may be there.
        let _ = std::fs::remove_dir(&place);
        std::fs::rename(unpacked.join(ACME), &place)
            .with_context(|| format!("cannot put {} in its place", place.display()))?;
    }
    Ok(count)
}

fn unpack(place: &Path, content: &mut dyn Read) -> io::Result<()> {
    if let Some(folder) = place.parent() {
        std::fs::create_dir_all(folder)?;
        private(folder)?;
    }
    let mut file = create_private(place)?;
    io::copy(content, &mut file)?;
    file.sync_all()
}

/// What a site has left in the data directory.
fn present(config: &Config) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if config.store == Location::Sqlite {
        places.extend(database(&config.data_dir));
    }
    places.retain(|path| path.exists());
    let folders = if objects_are_here(config) { &[OBJECTS, ACME][..] } else { &[ACME] };
    for name in folders {
        let folder = config.data_dir.join(name);
        if files(&folder, name, DEPTH_MAX).map_or(true, |files| !files.is_empty()) {
            places.push(folder);
        }
    }
    places
}

/// The files of SQLite.
fn database(data_dir: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = millrace_store::sqlite_path(data_dir).into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    })
}

fn move_aside(places: &[PathBuf], aside: &Path) -> anyhow::Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    std::fs::create_dir(aside).with_context(|| format!("cannot make {}", aside.display()))?;
    private(aside)?;
    for place in places {
        let name = place.file_name().context("a place in the data directory has a name")?;
        std::fs::rename(place, aside.join(name))
            .with_context(|| format!("cannot put {} aside", place.display()))?;
    }
    Ok(())
}

/// Only its owner may look into it.
fn private(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

fn opened(path: &Path) -> anyhow::Result<BufReader<File>> {
    Ok(BufReader::new(File::open(path).with_context(|| format!("failed to open {}", path.display()))?))
}

/// A file beside the backup that goes away again.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn beside(path: &Path) -> anyhow::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".store-{}", std::process::id()));
        let path = PathBuf::from(name);
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).with_context(|| format!("failed to make {}", path.display()))?;
        Ok(Self { path, file })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
