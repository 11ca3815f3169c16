//! Objects by name, wherever they are.
#![expect(clippy::disallowed_methods, reason = "shell: nothing waits for ever")]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Error, ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Semaphore, watch};

use crate::s3::Variables;
use crate::{Location, ObjectsError, SettingError, Trouble, error};

/// Small objects that are read or written at once; more wait for their turn, within the same patience.
const AT_ONCE: usize = 64;
/// A larger object is sent in parts of this size: 10,000 of them are 80 GB.
const PART_BYTES: usize = 8 << 20;
/// Parts of one object on their way at once.
const PARTS_AT_ONCE: usize = 2;

/// A place for objects. Clones share it.
#[derive(Clone)]
pub struct Objects {
    engine: Arc<dyn ObjectStore>,
    location: Location,
    timeout: Duration,
    turns: Arc<Semaphore>,
    trouble: watch::Sender<Option<Trouble>>,
}

/// The engine knows credentials.
impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Objects").field(&self.location).finish()
    }
}

/// An object that is being read.
pub struct Reading {
    /// How long it is.
    pub bytes: u64,
    stream: BoxStream<'static, Result<Bytes, Error>>,
    objects: Objects,
}

/// An object that is being written; there is none of this name until it is whole.
pub struct Writer {
    writer: BufWriter,
    objects: Objects,
}

impl Objects {
    /// Opens a place. Nobody is asked yet; a folder that is not there is made. `timeout` bounds what is done with a small
    /// object, retries and all, and the wait for each piece of a larger one.
    ///
    /// # Errors
    /// What cannot be right, whatever the other side says.
    pub fn open(
        location: &Location,
        environment: impl IntoIterator<Item = (String, String)>,
        timeout: Duration,
    ) -> Result<Self, SettingError> {
        let engine: Arc<dyn ObjectStore> = match location {
            Location::Folder(path) => {
                let failed = |source| SettingError::Folder { path: path.clone(), source };
                std::fs::create_dir_all(path).map_err(failed)?;
                let folder = LocalFileSystem::new_with_prefix(path);
                let folder = folder.map_err(|error| failed(std::io::Error::other(error.to_string())))?;
                Arc::new(folder.with_fsync(true))
            }
            Location::S3 { bucket, prefix } => {
                let client = Variables::read(environment)?.client(bucket, timeout)?;
                if prefix.is_empty() {
                    Arc::new(client)
                } else {
                    Arc::new(PrefixStore::new(client, prefix.as_str()))
                }
            }
        };
        let (location, turns) = (location.clone(), Arc::new(Semaphore::new(AT_ONCE)));
        Ok(Self { engine, location, timeout, turns, trouble: watch::Sender::new(None) })
    }

    /// Where they are.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// What the last operation met, and every change of that.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Option<Trouble>> {
        self.trouble.subscribe()
    }

    /// Asks whether objects can be listed; what is found is told to [`Self::trouble`], too.
    ///
    /// # Errors
    /// Any [`Trouble`] of the place.
    pub async fn check(&self) -> Result<(), ObjectsError> {
        let first = async { self.engine.list(None).try_next().await.map(drop) };
        let done = self.within("check", first).await?;
        self.there(done)
    }

    /// Whether there is none.
    ///
    /// # Errors
    /// Any [`Trouble`] of the place.
    pub async fn is_empty(&self) -> Result<bool, ObjectsError> {
        Ok(self.list().try_next().await?.is_none())
    }

    /// Writes a small object.
    ///
    /// # Errors
    /// Any [`Trouble`] of the place, or of the name.
    pub async fn put(&self, name: &str, content: Bytes) -> Result<(), ObjectsError> {
        let path = path(name)?;
        let put = self.within("put", async { self.engine.put(&path, content.into()).await.map(drop) });
        self.there(put.await?)
    }

    /// Reads an object of at most `max_bytes`; `None` if there is none.
    ///
    /// # Errors
    /// Any [`Trouble`].
    pub async fn get(&self, name: &str, max_bytes: u64) -> Result<Option<Bytes>, ObjectsError> {
        let path = path(name)?;
        let read = async {
            let found = self.engine.get(&path).await?;
            if found.meta.size > max_bytes {
                return Ok(Err(found.meta.size));
            }
            found.bytes().await.map(Ok)
        };
        match self.within("get", read).await? {
            None => Ok(None),
            Some(Ok(bytes)) => Ok(Some(bytes)),
            Some(Err(bytes)) => {
                let said = format!("{name} has {bytes} bytes, and at most {max_bytes} are taken");
                Err(ObjectsError::new(Trouble::TooLarge, said))
            }
        }
    }

    /// Removes an object. One that is not there is removed already.
    ///
    /// # Errors
    /// Any [`Trouble`] of the place, or of the name.
    pub async fn delete(&self, name: &str) -> Result<(), ObjectsError> {
        let path = path(name)?;
        self.within("delete", self.engine.delete(&path)).await.map(drop)
    }

    /// The names of all objects, in no order, a page at a time. What is being written is not among them.
    pub fn list(&self) -> BoxStream<'static, Result<String, ObjectsError>> {
        let (objects, names) = (self.clone(), self.engine.list(None));
        let steps = futures_util::stream::unfold(Some((objects, names)), |state| async {
            let (objects, mut names) = state?;
            let next = objects.within("list", names.try_next()).await;
            match next.and_then(|next| objects.there(next)) {
                Ok(None) => None,
                Ok(Some(meta)) => Some((Ok(meta.location.to_string()), Some((objects, names)))),
                Err(error) => Some((Err(error), None)),
            }
        });
        // Consoles make objects without a name to show a prefix as a folder.
        steps.try_filter(|name| std::future::ready(!name.is_empty())).boxed()
    }

    /// Begins to read an object of any size; `None` if there is none.
    ///
    /// # Errors
    /// Any [`Trouble`] of the place, or of the name.
    pub async fn read(&self, name: &str) -> Result<Option<Reading>, ObjectsError> {
        let path = path(name)?;
        let found = self.within("read", self.engine.get(&path)).await?;
        Ok(found.map(|found| Reading {
            bytes: found.meta.size,
            stream: found.into_stream(),
            objects: self.clone(),
        }))
    }

    /// Begins to write an object of any size.
    ///
    /// # Errors
    /// [`Trouble::Name`].
    pub fn write(&self, name: &str) -> Result<Writer, ObjectsError> {
        let writer = BufWriter::with_capacity(Arc::clone(&self.engine), path(name)?, PART_BYTES);
        Ok(Writer { writer: writer.with_max_concurrency(PARTS_AT_ONCE), objects: self.clone() })
    }

    /// Does it within the patience; `None` if it says that there is no such object.
    async fn within<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, ObjectsError> {
        let patient = tokio::time::timeout(self.timeout, async {
            let _turn = self.turns.acquire().await;
            work.await
        });
        let done = match patient.await {
            Ok(Ok(value)) => Ok(Some(value)),
            Ok(Err(error)) => match error::of(&error, self.is_folder()) {
                Some(error) => Err(error),
                None => Ok(None),
            },
            Err(_) => {
                let trouble = if self.is_folder() { Trouble::Folder } else { Trouble::Away };
                Err(ObjectsError::new(trouble, format!("nothing came within {:?}", self.timeout)))
            }
        };
        self.note(operation, done.as_ref().err().map(|error| error.trouble));
        done
    }

    fn note(&self, operation: &'static str, met: Option<Trouble>) {
        let outcome = met.map_or("done", Trouble::label);
        metrics::counter!("millrace_object_operations_total", "operation" => operation, "outcome" => outcome)
            .increment(1);
        self.trouble.send_if_modified(|trouble| {
            let changed = *trouble != met;
            *trouble = met;
            changed
        });
    }

    /// For what names no object that may be missing: then the place is.
    fn there<T>(&self, done: Option<T>) -> Result<T, ObjectsError> {
        let trouble = if self.is_folder() { Trouble::Folder } else { Trouble::NoBucket };
        done.ok_or_else(|| {
            self.trouble.send_replace(Some(trouble));
            ObjectsError::new(trouble, "it is not there")
        })
    }

    fn is_folder(&self) -> bool {
        matches!(self.location, Location::Folder(_))
    }
}

impl Reading {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// Any [`Trouble`] of the place.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ObjectsError> {
        Ok(self.objects.within("read", self.stream.try_next()).await?.flatten())
    }
}

impl Writer {
    /// Adds a piece.
    ///
    /// # Errors
    /// Any [`Trouble`] of the place; then there is no such object, and [`Self::abort`] clears away what was sent of it.
    pub async fn push(&mut self, piece: Bytes) -> Result<(), ObjectsError> {
        let done = self.objects.within("write", self.writer.put(piece)).await?;
        self.objects.there(done)
    }

    /// Makes it an object.
    ///
    /// # Errors
    /// Any [`Trouble`] of the place; then there is no such object.
    pub async fn finish(mut self) -> Result<(), ObjectsError> {
        let finished = async {
            self.writer.shutdown().await.map_err(|error| {
                let inner = error.downcast::<Error>();
                inner.unwrap_or_else(|error| Error::Generic { store: "", source: error.into() })
            })
        };
        let done = self.objects.within("write", finished).await?;
        self.objects.there(done)
    }

    /// Throws away what was sent.
    pub async fn abort(mut self) {
        // What cannot be thrown away now is for the rule of the bucket that ends unfinished uploads.
        let _ = self.objects.within("write", self.writer.abort()).await;
    }
}

/// What programs for S3 advise against in names, and what a folder gives to what is being written (`#`).
const NOT_IN_NAMES: &str = "\\{}^%`[]\"<>~#|*?";

fn path(name: &str) -> Result<Path, ObjectsError> {
    let is_word = |word: &str| {
        let bad = |c: char| c.is_control() || NOT_IN_NAMES.contains(c);
        !word.is_empty() && word != "." && word != ".." && !word.contains(bad)
    };
    let parsed = Path::parse(name).ok().filter(|_| name.split('/').all(is_word));
    parsed.ok_or_else(|| ObjectsError::new(Trouble::Name, format!("{name:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite;
    use std::future::ready;
    use std::os::unix::fs::PermissionsExt;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn folder(path: &std::path::Path) -> Objects {
        Objects::open(&Location::Folder(path.to_owned()), [], PATIENCE).unwrap()
    }

    #[tokio::test]
    async fn a_folder_does_what_every_place_does() {
        let root = tempfile::tempdir().unwrap();
        let mut number = 0;
        suite::all(|| {
            number += 1;
            ready(folder(&root.path().join(format!("not there/{number}"))))
        })
        .await;
    }

    #[tokio::test]
    async fn an_object_is_a_file_of_its_name_and_the_other_way_round() {
        let root = tempfile::tempdir().unwrap();
        let objects = folder(root.path());
        objects.put("avatars/1", Bytes::from_static(b"picture")).await.unwrap();
        assert_eq!(std::fs::read(root.path().join("avatars/1")).unwrap(), b"picture");
        // As older versions wrote it, and what one that was killed had begun.
        std::fs::write(root.path().join("avatars/2"), b"older").unwrap();
        std::fs::write(root.path().join("avatars/3#1"), b"ol").unwrap();
        assert_eq!(objects.get("avatars/2", 100).await, Ok(Some("older".into())));
        let mut names: Vec<_> = objects.list().try_collect().await.unwrap();
        names.sort();
        assert_eq!(names, ["avatars/1", "avatars/2"]);
        let left = std::fs::read_dir(root.path().join("avatars")).unwrap().count();
        assert_eq!(left, 3, "nothing is left of what was written");
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_or_used_says_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = Objects::open(&Location::Folder(file.join("below")), [], PATIENCE).unwrap_err();
        assert!(
            refused.to_string().contains("set MILLRACE_OBJECTS to a folder that is writable"),
            "{refused}"
        );

        let objects = folder(&root.path().join("objects"));
        // Whatever may write everywhere cannot write below a file.
        std::fs::write(root.path().join("objects/avatars"), "").unwrap();
        let mut trouble = objects.trouble();
        let error = objects.put("avatars/1", Bytes::new()).await.unwrap_err();
        assert_eq!(error.trouble, Trouble::Folder);
        assert!(error.to_string().contains("look at its permissions"), "{error}");
        assert_eq!(*trouble.borrow_and_update(), Some(Trouble::Folder));
        objects.check().await.unwrap();
        assert!(trouble.has_changed().unwrap() && trouble.borrow().is_none());
        let mode = std::fs::metadata(root.path().join("objects")).unwrap().permissions().mode();
        assert_eq!(mode & 0o700, 0o700);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_the_patience_and_the_rest_wait_for_their_turn() {
        let root = tempfile::tempdir().unwrap();
        let objects = folder(root.path());
        let _all = objects.turns.acquire_many(AT_ONCE as u32).await.unwrap();
        let begun = tokio::time::Instant::now();
        let error = objects.get("a", 1).await.unwrap_err();
        assert_eq!((error.trouble, begun.elapsed()), (Trouble::Folder, PATIENCE));
    }
}
