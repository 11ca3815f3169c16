//! What goes wrong with objects, in words that tell an operator what to do and never hold a credential.

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// S3 does not answer, or not in time, or says that it is overloaded.
    Away,
    /// S3 answers, and refuses us.
    Refused,
    /// There is no such bucket.
    NoBucket,
    /// The folder cannot be read or written.
    Folder,
    /// The object is larger than who asks for it takes.
    TooLarge,
    /// No object can have this name.
    Name,
}

impl Trouble {
    /// What is the matter and what to do next, for logs and `/readyz`.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Away => {
                "S3 (MILLRACE_OBJECTS) does not answer: pictures wait for it, everything else goes on; look whether \
                 AWS_ENDPOINT_URL is right, and whether it can be reached and gives or takes credentials"
            }
            Self::Refused => {
                "S3 (MILLRACE_OBJECTS) refuses us: pictures wait, everything else goes on; check AWS_ACCESS_KEY_ID, \
                 AWS_SECRET_ACCESS_KEY, AWS_REGION, the clock, and that the key may get, put, delete and list objects"
            }
            Self::NoBucket => {
                "the bucket of MILLRACE_OBJECTS does not exist: pictures wait, everything else goes on; make it, or name \
                 another one"
            }
            Self::Folder => {
                "the folder of MILLRACE_OBJECTS cannot be read or written: pictures wait, everything else goes on; look \
                 at its permissions and at the space on its disk"
            }
            Self::TooLarge => "an object is larger than it can be; look at who wrote it",
            Self::Name => "no object can have this name",
        }
    }

    /// Whether it is about the whole place, and not about one object.
    #[must_use]
    pub const fn is_of_the_place(self) -> bool {
        !matches!(self, Self::TooLarge | Self::Name)
    }

    /// As a label of metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Refused => "refused",
            Self::NoBucket => "no_bucket",
            Self::Folder => "folder",
            Self::TooLarge => "too_large",
            Self::Name => "name",
        }
    }
}

/// Something was not done with an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} ({said})", .trouble.sentence())]
pub struct ObjectsError {
    /// What kind of trouble it is.
    pub trouble: Trouble,
    /// The status and code of the answer, or what the system said.
    pub said: String,
}

impl ObjectsError {
    pub(crate) fn new(trouble: Trouble, said: impl Into<String>) -> Self {
        Self { trouble, said: said.into() }
    }
}

/// Longest text that is kept of what the other side said, in bytes.
const SAID_MAX_BYTES: usize = 200;

/// Makes an error of that of the engine; `None` if it says that there is no such object.
///
/// An answer of S3 repeats what it was signed with, so only its status and its code are kept.
pub(crate) fn of(error: &object_store::Error, is_folder: bool) -> Option<ObjectsError> {
    let (text, last) = texts(error);
    if is_folder {
        let gone = matches!(error, object_store::Error::NotFound { .. });
        return (!gone).then(|| ObjectsError::new(Trouble::Folder, last));
    }
    let status = after(&text, "status code: ", |c| c.is_ascii_digit());
    let code = after(&text, "<Code>", |c| c.is_ascii_alphanumeric());
    let answered = status.is_some() || code.is_some();
    let trouble = match error {
        _ if code == Some("NoSuchBucket") => Trouble::NoBucket,
        object_store::Error::NotFound { .. } => return None,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            Trouble::Refused
        }
        // A redirect is one to another region.
        _ if text.contains("redirect") => Trouble::Refused,
        // 408 and 429 say: later.
        _ if status.is_some_and(|status| status.starts_with('4') && !["408", "429"].contains(&status)) => {
            Trouble::Refused
        }
        _ => Trouble::Away,
    };
    let said = if answered {
        let parts = [status, code].into_iter().flatten().collect::<Vec<_>>();
        parts.join(" ")
    } else {
        last
    };
    Some(ObjectsError::new(trouble, said))
}

/// All that an error and its causes say, and what the last cause says.
fn texts(error: &dyn std::error::Error) -> (String, String) {
    let (mut all, mut last) = (error.to_string(), error.to_string());
    let mut cause = error.source();
    while let Some(inner) = cause {
        last = inner.to_string();
        all.push('\n');
        all.push_str(&last);
        cause = inner.source();
    }
    if last.len() > SAID_MAX_BYTES {
        let end = (0..=SAID_MAX_BYTES).rev().find(|at| last.is_char_boundary(*at)).unwrap_or(0);
        last.truncate(end);
    }
    (all, last)
}

/// The run of such characters behind the first place of a mark.
fn after<'a>(text: &'a str, mark: &str, taken: impl Fn(char) -> bool) -> Option<&'a str> {
    let (_, rest) = text.split_once(mark)?;
    let found = &rest[..rest.find(|c| !taken(c)).unwrap_or(rest.len())];
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::Error;

    /// As the client words it.
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Said(&'static str);

    fn generic(text: &'static str) -> Error {
        Error::Generic { store: "S3", source: Box::new(Said(text)) }
    }

    fn found(error: &Error) -> Option<(Trouble, String)> {
        of(error, false).map(|error| (error.trouble, error.said))
    }

    #[test]
    fn an_answer_of_s3_is_known_by_status_and_code_and_nothing_of_it_is_repeated() {
        let signature = "Server returned non-2xx status code: 403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code>\
                         <AWSAccessKeyId>KEY</AWSAccessKeyId><StringToSign>AWS4-HMAC-SHA256</StringToSign></Error>";
        let refused = Error::PermissionDenied { path: "a".into(), source: Box::new(Said(signature)) };
        assert_eq!(found(&refused), Some((Trouble::Refused, "403 SignatureDoesNotMatch".into())));
        let bucket = "Server returned non-2xx status code: 404 Not Found: <Code>NoSuchBucket</Code>";
        let bucket = Error::NotFound { path: "a".into(), source: Box::new(Said(bucket)) };
        assert_eq!(found(&bucket), Some((Trouble::NoBucket, "404 NoSuchBucket".into())));
        let gone = "Server returned non-2xx status code: 404 Not Found: <Code>NoSuchKey</Code>";
        assert_eq!(found(&Error::NotFound { path: "a".into(), source: Box::new(Said(gone)) }), None);
        let table = [
            ("Server returned non-2xx status code: 503 : <Code>SlowDown</Code>", Trouble::Away),
            ("Server returned non-2xx status code: 429 Too Many Requests: ", Trouble::Away),
            (
                "Server returned non-2xx status code: 400 : <Code>AuthorizationHeaderMalformed</Code>",
                Trouble::Refused,
            ),
            (
                "Received redirect without LOCATION, this normally indicates an incorrectly configured region",
                Trouble::Refused,
            ),
            ("Server returned error response: <Code>InternalError</Code>", Trouble::Away),
            ("connection refused", Trouble::Away),
        ];
        for (text, trouble) in table {
            assert_eq!(found(&generic(text)).unwrap().0, trouble, "{text}");
        }
        assert_eq!(found(&generic("connection refused")).unwrap().1, "connection refused");
    }

    #[test]
    fn a_folder_says_what_the_system_says() {
        let full = Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull)),
        };
        let error = of(&full, true).unwrap();
        assert_eq!(error.trouble, Trouble::Folder);
        assert!(error.to_string().contains("no storage space"), "{error}");
        let gone = Error::NotFound { path: "a".into(), source: Box::new(Said("not there")) };
        assert_eq!(of(&gone, true), None);
    }
}
