//! The file of a backup: a gzipped tar whose last entry, `manifest.json`, has the length and the SHA-256 of every other.
//! Any tar program can look into it.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Component, Path};

use aws_lc_rs::digest::{Context, SHA256};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

/// The version of this format.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
/// Most bytes of a manifest: half a million entries.
const MANIFEST_MAX_BYTES: u64 = 64 << 20;
/// What only the owner may read stays so when it is unpacked by hand.
const MODE: u32 = 0o600;

/// Why a file is no backup that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// It cannot be read or written, or is no gzipped tar.
    #[error("the file cannot be read or written, or is no backup")]
    File(#[from] io::Error),
    /// The end is missing.
    #[error("the file is incomplete: it has no manifest; make the backup again, or take an older one")]
    Incomplete,
    /// Its manifest is none.
    #[error("the manifest of the file cannot be read")]
    Manifest(#[source] serde_json::Error),
    /// A newer Millrace made it.
    #[error(
        "the file was made by a newer Millrace (format {format}, {version}); restore it with that one or a newer one"
    )]
    Newer {
        /// Its format.
        format: u32,
        /// Who made it.
        version: String,
    },
    /// It is not what was written.
    #[error("the file is damaged: {name} is not what was written; take another backup")]
    Damaged {
        /// Which part.
        name: String,
    },
    /// It has a part that no backup has.
    #[error("the file is no backup of Millrace: it has {name:?} in it")]
    Foreign {
        /// Which part.
        name: String,
    },
}

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    millrace_backup: u32,
    /// The version that made it.
    pub(crate) version: String,
    /// When, in milliseconds since 1970.
    pub(crate) made_at: i64,
    entries: BTreeMap<String, Entry>,
}

impl Manifest {
    /// How many files there are.
    pub(crate) fn files(&self) -> usize {
        self.entries.len()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

/// Writes a backup.
pub(crate) struct Writer<W: Write> {
    tar: tar::Builder<GzEncoder<W>>,
    made_at: i64,
    entries: BTreeMap<String, Entry>,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(file: W, made_at: i64) -> Self {
        let tar = tar::Builder::new(GzEncoder::new(file, Compression::default()));
        Self { tar, made_at, entries: BTreeMap::new() }
    }

    /// Whether there is a part of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Adds a part of `bytes` bytes.
    ///
    /// # Errors
    /// It has fewer bytes, or the file cannot be written.
    pub(crate) fn add(&mut self, name: &str, bytes: u64, content: impl Read) -> Result<(), ArchiveError> {
        let mut hashed = Hashed::new(content.take(bytes));
        let mut header = self.header(bytes);
        self.tar.append_data(&mut header, name, &mut hashed)?;
        if hashed.bytes != bytes {
            return Err(io::Error::other(format!("{name} became shorter while it was read")).into());
        }
        self.entries.insert(name.to_owned(), hashed.entry());
        Ok(())
    }

    /// Writes the manifest; the file is whole then.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn finish(mut self, version: &str) -> Result<(W, Manifest), ArchiveError> {
        let manifest = Manifest {
            millrace_backup: FORMAT,
            version: version.to_owned(),
            made_at: self.made_at,
            entries: std::mem::take(&mut self.entries),
        };
        let text = serde_json::to_vec_pretty(&manifest).map_err(ArchiveError::Manifest)?;
        let mut header = self.header(text.len() as u64);
        self.tar.append_data(&mut header, MANIFEST, text.as_slice())?;
        Ok((self.tar.into_inner()?.finish()?, manifest))
    }

    fn header(&self, bytes: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(MODE);
        header.set_mtime(u64::try_from(self.made_at / 1000).unwrap_or(0));
        header
    }
}

/// Reads a backup to its end and hands out each part; what it says of itself. Only after this has returned well is what
/// was handed out known to be what was written.
///
/// # Errors
/// Any of [`ArchiveError`], or what `part` returns.
pub(crate) fn read(
    file: impl Read,
    mut part: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<Manifest, ArchiveError> {
    let mut tar = tar::Archive::new(MultiGzDecoder::new(file));
    let mut found = BTreeMap::new();
    let mut manifest = None;
    for entry in tar.entries()? {
        let entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if name == MANIFEST {
            manifest = Some(read_manifest(entry)?);
            break;
        }
        if !is_ours(&name) || !entry.header().entry_type().is_file() {
            return Err(ArchiveError::Foreign { name });
        }
        let mut hashed = Hashed::new(entry);
        part(&name, &mut hashed)?;
        io::copy(&mut hashed, &mut io::sink())?;
        found.insert(name, hashed.entry());
    }
    let manifest = manifest.ok_or(ArchiveError::Incomplete)?;
    // The end of the compressed file has its checksum; a file that was cut there is not whole.
    io::copy(&mut tar.into_inner(), &mut io::sink())?;
    compare(manifest, &found)
}

fn read_manifest(entry: impl Read) -> Result<Manifest, ArchiveError> {
    /// What every format has.
    #[derive(Deserialize)]
    struct Head {
        millrace_backup: u32,
        version: String,
    }
    let mut text = Vec::new();
    entry.take(MANIFEST_MAX_BYTES).read_to_end(&mut text)?;
    let head: Head = serde_json::from_slice(&text).map_err(ArchiveError::Manifest)?;
    if head.millrace_backup != FORMAT {
        return Err(ArchiveError::Newer { format: head.millrace_backup, version: head.version });
    }
    serde_json::from_slice(&text).map_err(ArchiveError::Manifest)
}

fn compare(manifest: Manifest, found: &BTreeMap<String, Entry>) -> Result<Manifest, ArchiveError> {
    let names = manifest.entries.keys().chain(found.keys());
    let differs = |name: &&String| manifest.entries.get(*name) != found.get(*name);
    match names.into_iter().find(differs) {
        Some(name) => Err(ArchiveError::Damaged { name: name.clone() }),
        None => Ok(manifest),
    }
}

/// Whether it is a place inside the folder that it is unpacked into.
fn is_ours(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let first = parts.clone().next();
    let known = [super::STORE, super::OBJECTS, super::ACME];
    parts.all(|part| matches!(part, Component::Normal(_)))
        && matches!(first, Some(Component::Normal(first)) if known.iter().any(|known| first == *known))
}

/// Counts and hashes what is read through it.
struct Hashed<R> {
    inner: R,
    hash: Context,
    bytes: u64,
}

impl<R> Hashed<R> {
    fn new(inner: R) -> Self {
        Self { inner, hash: Context::new(&SHA256), bytes: 0 }
    }

    fn entry(self) -> Entry {
        let sha256 = self.hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Entry { bytes: self.bytes, sha256 }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), 1_790_000_000_000);
        for (name, content) in parts {
            writer.add(name, content.len() as u64, content.as_bytes()).unwrap();
        }
        writer.finish("1.2.3").unwrap().0
    }

    fn all(file: &[u8]) -> Result<(Manifest, Vec<(String, String)>), ArchiveError> {
        let mut found = Vec::new();
        let manifest = read(file, |name, content| {
            let mut text = String::new();
            content.read_to_string(&mut text)?;
            found.push((name.to_owned(), text));
            Ok(())
        })?;
        Ok((manifest, found))
    }

    #[test]
    fn what_is_written_is_read_again() {
        let long = format!("objects/avatars/{}", "a".repeat(200));
        let parts = [("store.jsonl", "{}\n"), (&long, ""), ("acme/ca/account.json", "x")];
        let (manifest, found) = all(&written(&parts)).unwrap();
        assert_eq!(found, parts.map(|(name, content)| (name.to_owned(), content.to_owned())));
        assert_eq!((manifest.version.as_str(), manifest.files()), ("1.2.3", 3));
    }

    #[test]
    fn what_is_not_whole_or_not_what_was_written_is_refused() {
        let good = written(&[("store.jsonl", "kept"), ("objects/a", "picture")]);
        for length in [0, 1, good.len() / 2, good.len() - 9] {
            assert!(all(&good[..length]).is_err(), "{length} of {}", good.len());
        }
        let mut tar = Vec::new();
        MultiGzDecoder::new(good.as_slice()).read_to_end(&mut tar).unwrap();
        let at = tar.windows(7).position(|bytes| bytes == b"picture").unwrap();
        tar[at] = b'P';
        let zipped = |tar: &[u8]| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(tar).unwrap();
            gzip.finish().unwrap()
        };
        let damaged = all(&zipped(&tar)).unwrap_err();
        assert!(matches!(&damaged, ArchiveError::Damaged { name } if name == "objects/a"), "{damaged}");
        // Without the manifest and the end of the tar.
        let at = tar.windows(13).position(|bytes| bytes == b"manifest.json").unwrap();
        let incomplete = all(&zipped(&tar[..at])).unwrap_err();
        assert!(matches!(incomplete, ArchiveError::Incomplete), "{incomplete}");
        let text = String::from_utf8_lossy(&tar).replace("\"millrace_backup\": 1", "\"millrace_backup\": 7");
        let newer = all(&zipped(text.as_bytes())).unwrap_err();
        assert!(newer.to_string().contains("newer Millrace (format 7, 1.2.3)"), "{newer}");
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        for name in ["../x", "objects/../../x", "/etc/passwd", "millrace.sqlite3", ""] {
            assert!(!is_ours(name), "{name}");
        }
        for name in ["store.jsonl", "objects/avatars/a", "acme/ca/certificate.pem"] {
            assert!(is_ours(name), "{name}");
        }
        let foreign = all(&written(&[("millrace.sqlite3", "x")])).unwrap_err();
        assert!(matches!(foreign, ArchiveError::Foreign { .. }), "{foreign}");
    }
}
