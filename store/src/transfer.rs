//! Everything as one file, to keep it or to move it to another engine.
//!
//! JSON lines: a head with the schema version of each collection, a line for each document, and a last line that
//! counts them, so that a file that lacks its end is not taken.
//!
//! ```text
//! {"millrace_export":1,"collections":{"users":0}}
//! {"collection":"users","id":"0190…","version":3,"document":{…}}
//! {"documents":1}
//! ```

use std::collections::BTreeMap;
use std::io::{BufRead, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Collection, Engine, Query, StoreError, Stored, Version};

/// The version of this format.
const FORMAT: u32 = 1;
/// Documents read or written at once.
const PAGE: usize = 500;

/// Why a file was not written or not taken.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The file cannot be read or written.
    #[error("the file cannot be read or written")]
    File(#[from] std::io::Error),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A line is not what it should be.
    #[error("line {line} of the file cannot be read")]
    Line {
        /// From 1.
        line: u64,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It was written by a Millrace that knows more.
    #[error("the file was written by a newer Millrace ({what}); import it with that one or a newer one")]
    Newer {
        /// What we do not know.
        what: String,
    },
    /// The end is missing.
    #[error(
        "the file is incomplete: it has {found} documents and no line that counts as many; export it again"
    )]
    Incomplete {
        /// Documents in it.
        found: u64,
    },
    /// There is something already.
    #[error("the store is not empty: there are {collection}; import into a new one")]
    NotEmpty {
        /// Where.
        collection: &'static str,
    },
    /// Some of it was written.
    #[error("the import stopped in the middle: throw this store away before you import again")]
    Stopped(#[source] StoreError),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    millrace_export: u32,
    collections: BTreeMap<String, u32>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Document(Record),
    End { documents: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    collection: String,
    id: String,
    version: i64,
    document: Value,
}

/// Writes all documents of these collections as they are at one moment; how many.
///
/// # Errors
/// [`TransferError::Store`], [`TransferError::File`].
pub async fn export(
    engine: &dyn Engine,
    collections: &[&'static Collection],
    file: &mut (dyn Write + Send),
) -> Result<u64, TransferError> {
    let schemas = collections.iter().map(|one| (one.name.to_owned(), one.schema())).collect();
    write_line(file, &Head { millrace_export: FORMAT, collections: schemas })?;
    let mut snapshot = engine.snapshot().await?;
    let mut documents = 0;
    for collection in collections {
        let mut after: Option<String> = None;
        loop {
            let page = snapshot.page(collection, after.as_deref(), PAGE).await?;
            after = page.last().map(|last| last.id.clone());
            let is_last = page.len() < PAGE;
            documents += page.len() as u64;
            for Stored { id, version: Version(version), document } in page {
                let collection = collection.name.to_owned();
                write_line(file, &Line::Document(Record { collection, id, version, document }))?;
            }
            if is_last {
                break;
            }
        }
    }
    write_line(file, &Line::End { documents })?;
    file.flush()?;
    Ok(documents)
}

/// Looks whether there is nothing yet.
///
/// # Errors
/// [`TransferError::NotEmpty`], [`TransferError::Store`].
pub async fn expect_empty(
    engine: &dyn Engine,
    collections: &[&'static Collection],
) -> Result<(), TransferError> {
    for collection in collections {
        if !engine.find(collection, &Query::first(1)).await?.is_empty() {
            return Err(TransferError::NotEmpty { collection: collection.name });
        }
    }
    Ok(())
}

/// Writes the documents of a file into an empty store, migrated to the newest schema; how many. The file is read once
/// to the end before anything is written.
///
/// # Errors
/// Any of [`TransferError`]. After [`TransferError::Stopped`] the store holds a part.
pub async fn import(
    engine: &dyn Engine,
    collections: &[&'static Collection],
    file: &mut (impl BufRead + Seek + Send),
) -> Result<u64, TransferError> {
    expect_empty(engine, collections).await?;
    let mut whole = Reader::open(file, collections)?;
    while whole.next()?.is_some() {}
    let documents = whole.documents;
    file.seek(SeekFrom::Start(0))?;
    let mut reader = Reader::open(file, collections)?;
    let mut batch: Vec<Stored> = Vec::with_capacity(PAGE);
    let mut of: Option<&'static Collection> = None;
    while let Some((collection, stored)) = reader.next()? {
        if let Some(before) = of
            && (batch.len() == PAGE || before.name != collection.name)
        {
            engine.load(before, std::mem::take(&mut batch)).await.map_err(TransferError::Stopped)?;
        }
        of = Some(collection);
        batch.push(stored);
    }
    if let Some(collection) = of {
        engine.load(collection, batch).await.map_err(TransferError::Stopped)?;
    }
    Ok(documents)
}

fn write_line(file: &mut (dyn Write + Send), line: &impl Serialize) -> Result<(), TransferError> {
    serde_json::to_writer(&mut *file, line).map_err(std::io::Error::from)?;
    Ok(file.write_all(b"\n")?)
}

/// Reads a file from its beginning to its end.
struct Reader<'a, F> {
    file: &'a mut F,
    head: Head,
    collections: &'a [&'static Collection],
    line: u64,
    documents: u64,
}

impl<'a, F: BufRead> Reader<'a, F> {
    fn open(file: &'a mut F, collections: &'a [&'static Collection]) -> Result<Self, TransferError> {
        let mut text = String::new();
        file.read_line(&mut text)?;
        let head: Head =
            serde_json::from_str(&text).map_err(|source| TransferError::Line { line: 1, source })?;
        if head.millrace_export != FORMAT {
            return Err(TransferError::Newer { what: format!("format {}", head.millrace_export) });
        }
        for (name, schema) in &head.collections {
            let known = collections.iter().find(|collection| collection.name == name);
            if known.is_none_or(|collection| *schema > collection.schema()) {
                return Err(TransferError::Newer { what: format!("{name} with schema version {schema}") });
            }
        }
        Ok(Self { file, head, collections, line: 1, documents: 0 })
    }

    /// The next document; `None` at an end that counts right.
    fn next(&mut self) -> Result<Option<(&'static Collection, Stored)>, TransferError> {
        let mut text = String::new();
        self.line += 1;
        let incomplete = TransferError::Incomplete { found: self.documents };
        if self.file.read_line(&mut text)? == 0 || !text.ends_with('\n') {
            return Err(incomplete);
        }
        let line = self.line;
        let unreadable = |source| TransferError::Line { line, source };
        let record = match serde_json::from_str(&text).map_err(unreadable)? {
            Line::Document(record) => record,
            Line::End { documents } if documents == self.documents => return Ok(None),
            Line::End { .. } => return Err(incomplete),
        };
        let Record { collection, id, version, document } = record;
        let known = self.collections.iter().find(|known| known.name == collection);
        let (Some(known), Some(schema)) = (known, self.head.collections.get(&collection)) else {
            let problem = format!("the head does not name the collection {collection:?}");
            return Err(unreadable(serde::de::Error::custom(problem)));
        };
        if !document.is_object() {
            return Err(unreadable(serde::de::Error::custom("the document is no object")));
        }
        self.documents += 1;
        let document = known.migrated(document, *schema);
        Ok(Some((known, Stored { id, version: Version(version), document })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine;
    use crate::sqlite::Sqlite;
    use serde_json::json;
    use std::io::Cursor;

    static SOUNDS: Collection = Collection {
        name: "sounds",
        indexes: &[],
        words: &[],
        migrations: &[|mut document| {
            document["loud"] = true.into();
            document
        }],
    };

    async fn empty() -> (tempfile::TempDir, Sqlite) {
        let folder = tempfile::tempdir().unwrap();
        let engine = Sqlite::open(&folder.path().join("test.sqlite3")).await.unwrap();
        engine.prepare(&[&SOUNDS]).await.unwrap();
        (folder, engine)
    }

    async fn imported(text: &str) -> Result<u64, TransferError> {
        let (_folder, engine) = empty().await;
        let result = import(&engine, &[&SOUNDS], &mut Cursor::new(text)).await;
        if result.is_err() {
            assert_eq!(engine.count(&SOUNDS, &Query::default()).await.unwrap(), 0, "a part was written");
        }
        result
    }

    #[tokio::test]
    async fn what_is_exported_is_imported_and_exported_the_same() {
        let (_folder, engine) = empty().await;
        // More than a page.
        for number in 0..PAGE + 7 {
            let insert = engine::Write::Insert { id: format!("{number:04}"), document: json!({"n": number}) };
            engine.commit(vec![(&SOUNDS, insert)]).await.unwrap();
        }
        let mut file = Vec::new();
        let count = export(&engine, &[&SOUNDS], &mut file).await.unwrap();
        assert_eq!(count, PAGE as u64 + 7);
        let (_folder, other) = empty().await;
        assert_eq!(import(&other, &[&SOUNDS], &mut Cursor::new(&file)).await.unwrap(), count);
        let mut again = Vec::new();
        export(&other, &[&SOUNDS], &mut again).await.unwrap();
        assert_eq!(String::from_utf8(again).unwrap(), String::from_utf8(file.clone()).unwrap());
        let full = import(&other, &[&SOUNDS], &mut Cursor::new(&file)).await.unwrap_err();
        assert!(matches!(full, TransferError::NotEmpty { collection: "sounds" }), "{full}");
    }

    #[tokio::test]
    async fn documents_of_an_older_schema_are_migrated() {
        let (_folder, engine) = empty().await;
        let text = "{\"millrace_export\":1,\"collections\":{\"sounds\":0}}\n\
                    {\"collection\":\"sounds\",\"id\":\"1\",\"version\":4,\"document\":{}}\n{\"documents\":1}\n";
        import(&engine, &[&SOUNDS], &mut Cursor::new(text)).await.unwrap();
        let stored = engine.get(&SOUNDS, "1").await.unwrap().unwrap();
        assert_eq!((stored.document, stored.version), (json!({"loud": true}), Version(4)));
    }

    #[tokio::test]
    async fn a_file_that_is_not_whole_or_not_ours_changes_nothing() {
        let head = "{\"millrace_export\":1,\"collections\":{\"sounds\":1}}\n";
        let one = "{\"collection\":\"sounds\",\"id\":\"1\",\"version\":1,\"document\":{}}\n";
        let end = "{\"documents\":1}\n";
        assert_eq!(imported(&format!("{head}{one}{end}")).await.unwrap(), 1);
        for (text, expected) in [
            (String::new(), "line 1"),
            ("{}\n".to_owned(), "line 1"),
            (head.replace(":1,", ":2,"), "newer Millrace (format 2)"),
            (head.replace("\"sounds\":1", "\"sounds\":2"), "sounds with schema version 2"),
            (head.replace("sounds", "smells"), "smells with schema version 1"),
            (format!("{head}{one}"), "incomplete"),
            (format!("{head}{one}{one}{end}"), "incomplete"),
            (format!("{head}{end}"), "incomplete"),
            (format!("{head}{one}{}", end.trim()), "incomplete"),
            (format!("{head}{}", &one[..20]), "incomplete"),
            (format!("{head}{}{end}", one.replace("{}", "[]")), "line 2"),
            (format!("{head}{}{end}", one.replace("sounds", "smells")), "line 2"),
            (format!("{head}{one}nonsense\n{end}"), "line 3"),
        ] {
            let err = imported(&text).await.unwrap_err().to_string();
            assert!(err.contains(expected), "{text:?}: {err}");
        }
    }

    #[tokio::test]
    async fn an_import_that_stops_in_the_middle_says_so() {
        let (_folder, engine) = empty().await;
        let one = "{\"collection\":\"sounds\",\"id\":\"1\",\"version\":1,\"document\":{}}\n";
        let text = format!(
            "{{\"millrace_export\":1,\"collections\":{{\"sounds\":1}}}}\n{one}{one}{{\"documents\":2}}\n"
        );
        let err = import(&engine, &[&SOUNDS], &mut Cursor::new(text)).await.unwrap_err();
        assert!(matches!(err, TransferError::Stopped(StoreError::Conflict { index: "id", .. })), "{err}");
    }
}
