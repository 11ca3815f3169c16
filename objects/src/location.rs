//! Which place a setting means.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest prefix inside a bucket, in bytes. The name of an object has at most 1,024 with it.
const PREFIX_MAX_BYTES: usize = 512;

/// `MILLRACE_OBJECTS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of S3, at the endpoint and with the credentials of the `AWS_*` variables.
    S3 {
        /// Its name.
        bucket: String,
        /// What stands before every name; may be empty.
        prefix: String,
    },
}

/// Why a text says no place for objects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Neither.
    #[error("is no place for objects; write file:///FOLDER, or s3://BUCKET/PREFIX")]
    Unknown,
    /// Somebody's name, perhaps with a password, which is not repeated.
    #[error(
        "carries a name or a password; write s3://BUCKET/PREFIX alone, and the key into AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY"
    )]
    Credentials,
    /// What belongs elsewhere.
    #[error(
        "has a part behind ? or #; write s3://BUCKET/PREFIX alone, and the endpoint into AWS_ENDPOINT_URL"
    )]
    Query,
    /// A folder on another machine, or one of an unclear beginning.
    #[error("names no folder; write file:///srv/objects with three slashes, or file://./objects")]
    Folder,
    /// No name that a bucket can have.
    #[error("names no bucket; it has 3 to 63 characters a-z, 0-9, - and ., as in s3://BUCKET/PREFIX")]
    Bucket,
    /// No prefix that a name can have.
    #[error(
        "has a prefix that cannot be used; write words of letters, digits, -, _ and . with single slashes between"
    )]
    Prefix,
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        if let Some(folder) = text.strip_prefix("file://") {
            let begins = ["/", "./", "../"].iter().any(|begin| folder.starts_with(begin));
            return if begins { Ok(Self::Folder(folder.into())) } else { Err(LocationError::Folder) };
        }
        let rest = text.strip_prefix("s3://").ok_or(LocationError::Unknown)?;
        if rest.contains('@') {
            return Err(LocationError::Credentials);
        }
        if rest.contains(['?', '#']) {
            return Err(LocationError::Query);
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let inner = |c: char| plain(c) || c == '-' || c == '.';
        if !(3..=63).contains(&bucket.len())
            || !bucket.chars().all(inner)
            || !bucket.starts_with(plain)
            || !bucket.ends_with(plain)
        {
            return Err(LocationError::Bucket);
        }
        let word = |word: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !word.is_empty() && word != "." && word != ".." && word.chars().all(plain)
        };
        if !prefix.is_empty() && (prefix.len() > PREFIX_MAX_BYTES || !prefix.split('/').all(word)) {
            return Err(LocationError::Prefix);
        }
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "file://{}", folder.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(bucket: &str, prefix: &str) -> Location {
        Location::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() }
    }

    #[test]
    fn a_folder_or_a_bucket_is_a_place_and_is_written_as_it_is_read() {
        let table = [
            ("file:///srv/objects", Location::Folder("/srv/objects".into())),
            ("file://./data/with space", Location::Folder("./data/with space".into())),
            ("s3://millrace-objects", s3("millrace-objects", "")),
            ("s3://a.b/live/one", s3("a.b", "live/one")),
        ];
        for (text, place) in table {
            assert_eq!(text.parse(), Ok(place.clone()));
            assert_eq!(place.to_string(), text);
        }
        assert_eq!("s3://bucket/".parse(), Ok(s3("bucket", "")));
        assert_eq!("s3://bucket/live/".parse(), Ok(s3("bucket", "live")));
    }

    #[test]
    fn what_is_no_place_is_told_why_and_never_repeated() {
        let long = format!("s3://bucket/{}", "a".repeat(513));
        let table = [
            ("", LocationError::Unknown),
            ("/srv/objects", LocationError::Unknown),
            ("gs://bucket", LocationError::Unknown),
            ("S3://bucket", LocationError::Unknown),
            ("s3://key:secret@bucket/x", LocationError::Credentials),
            ("s3://bucket?endpoint=http://a", LocationError::Query),
            ("file://host/share", LocationError::Folder),
            ("file://", LocationError::Folder),
            ("s3://", LocationError::Bucket),
            ("s3:///prefix", LocationError::Bucket),
            ("s3://ab", LocationError::Bucket),
            ("s3://Bucket", LocationError::Bucket),
            ("s3://-bucket", LocationError::Bucket),
            ("s3://bucket:9000/x", LocationError::Bucket),
            ("s3://bucket//x", LocationError::Prefix),
            ("s3://bucket/a/../b", LocationError::Prefix),
            ("s3://bucket/a b", LocationError::Prefix),
            (&long, LocationError::Prefix),
        ];
        for (text, error) in table {
            let refused = text.parse::<Location>().unwrap_err();
            assert_eq!(refused, error, "{text}");
            assert!(!refused.to_string().contains("secret"), "{refused}");
        }
    }
}
