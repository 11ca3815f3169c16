//! Objects into a backup and out of it, a piece at a time.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use futures_util::TryStreamExt;
use millrace_objects::{Objects, ObjectsError, Reading};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::{OBJECTS, archive};

/// What is read of the file at once.
const PIECE_BYTES: usize = 256 << 10;

/// Adds the objects that are not in the archive yet. One that is gone by now is nobody's any more.
pub(super) async fn add<W: Write>(archive: &mut archive::Writer<W>, objects: &Objects) -> anyhow::Result<()> {
    let mut names = objects.list();
    while let Some(name) = names.try_next().await? {
        let part = format!("{OBJECTS}/{name}");
        if archive.has(&part) {
            continue;
        }
        let reading = match objects.read(&name).await {
            Err(error) if !error.trouble.is_of_the_place() => {
                crate::say(&format!("left out of the backup: {error}"));
                continue;
            }
            reading => reading?,
        };
        if let Some(reading) = reading {
            let bytes = reading.bytes;
            let mut pieces = Pieces { reading, piece: Bytes::new(), failed: None };
            let added = block_in_place(|| archive.add(&part, bytes, &mut pieces));
            if let Some(error) = pieces.failed {
                return Err(error.into());
            }
            added?;
        }
    }
    Ok(())
}

/// An object as who writes archives reads it.
struct Pieces {
    reading: Reading,
    piece: Bytes,
    failed: Option<ObjectsError>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match Handle::current().block_on(self.reading.next()) {
                Ok(Some(piece)) => self.piece = piece,
                Ok(None) => return Ok(0),
                Err(error) => {
                    self.failed = Some(error.clone());
                    return Err(io::Error::other(error));
                }
            }
        }
        let count = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// Objects that come out of a backup, into a place that had none.
pub(super) struct PutBack<'a> {
    objects: &'a Objects,
    written: Vec<String>,
    failed: Option<ObjectsError>,
}

impl<'a> PutBack<'a> {
    pub(super) fn new(objects: &'a Objects) -> Self {
        Self { objects, written: Vec::new(), failed: None }
    }

    /// Writes one of them.
    pub(super) fn put(&mut self, name: &str, content: &mut dyn Read) -> io::Result<()> {
        self.written.push(name.to_owned());
        let written = block_in_place(|| Handle::current().block_on(write(self.objects, name, content)));
        written.map_err(|error| match error {
            Failed::Objects(error) => {
                self.failed = Some(error.clone());
                io::Error::other(error)
            }
            Failed::File(error) => error,
        })
    }

    /// What went wrong at the place for objects, if it was that.
    pub(super) fn failed(&mut self) -> Option<ObjectsError> {
        self.failed.take()
    }

    /// Removes what was written: there was none before.
    pub(super) async fn undo(self) {
        for name in self.written {
            let Err(error) = self.objects.delete(&name).await else { continue };
            if error.trouble.is_of_the_place() {
                crate::say(&format!(
                    "{name}, and what came after it, stays in {}: {error}",
                    self.objects.location()
                ));
                return;
            }
        }
    }
}

enum Failed {
    Objects(ObjectsError),
    File(io::Error),
}

impl From<ObjectsError> for Failed {
    fn from(error: ObjectsError) -> Self {
        Self::Objects(error)
    }
}

async fn write(objects: &Objects, name: &str, content: &mut dyn Read) -> Result<(), Failed> {
    let mut writer = objects.write(name)?;
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = content.take(PIECE_BYTES as u64).read_to_end(&mut piece);
        let pushed = match read {
            Ok(0) => return Ok(writer.finish().await?),
            Ok(_) => writer.push(piece.into()).await.map_err(Failed::Objects),
            Err(error) => Err(Failed::File(error)),
        };
        if let Err(failed) = pushed {
            writer.abort().await;
            return Err(failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_objects::Location;
    use std::time::Duration;

    fn folder(path: &std::path::Path) -> Objects {
        Objects::open(&Location::Folder(path.to_owned()), [], Duration::from_secs(20)).unwrap()
    }

    async fn names(objects: &Objects) -> Vec<String> {
        let mut names: Vec<_> = objects.list().try_collect().await.unwrap();
        names.sort();
        names
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_there_comes_back_once_and_what_fails_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let first = folder(&root.path().join("first"));
        let large: Vec<u8> = (0..2 * PIECE_BYTES + 7).map(|at| (at / 3) as u8).collect();
        first.put("avatars/1", Bytes::from_static(b"picture")).await.unwrap();
        first.put("avatars/empty", Bytes::new()).await.unwrap();
        first.put("recordings/2", large.clone().into()).await.unwrap();
        std::fs::write(root.path().join("first/avatars/what is this?"), "of somebody else").unwrap();
        let mut writer = archive::Writer::new(Vec::new(), 0);
        add(&mut writer, &first).await.unwrap();
        // What came meanwhile is added, and nothing twice.
        first.put("avatars/3", Bytes::from_static(b"late")).await.unwrap();
        add(&mut writer, &first).await.unwrap();
        let (file, manifest) = writer.finish("1.2.3").unwrap();
        assert_eq!(manifest.files(), 4);

        let second = folder(&root.path().join("second"));
        let mut back = PutBack::new(&second);
        let named = |part: &str| part.strip_prefix("objects/").unwrap().to_owned();
        archive::read(file.as_slice(), |part, content| back.put(&named(part), content)).unwrap();
        assert!(back.failed().is_none());
        assert_eq!(names(&second).await, ["avatars/1", "avatars/3", "avatars/empty", "recordings/2"]);
        assert_eq!(second.get("recordings/2", 1 << 20).await.unwrap().unwrap(), large);

        let third = folder(&root.path().join("third"));
        let mut back = PutBack::new(&third);
        back.put("a/whole", &mut b"x".as_slice()).unwrap();
        let mut broken = Read::chain(large.as_slice(), Broken);
        assert_eq!(back.put("a/broken", &mut broken).unwrap_err().to_string(), "torn");
        assert!(back.failed().is_none(), "it is the file");
        assert_eq!(names(&third).await, ["a/whole"]);
        back.put("a//b", &mut b"x".as_slice()).unwrap_err();
        assert!(back.failed().is_some(), "it is the name");
        back.put("a/last", &mut b"x".as_slice()).unwrap();
        back.undo().await;
        assert_eq!(names(&third).await, Vec::<String>::new());
    }

    /// A file that ends too soon.
    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("torn"))
        }
    }
}
