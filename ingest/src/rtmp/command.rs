//! Commands (RTMP 1.0 §7.2): reading them, and the answers OBS, ffmpeg and FMLE expect.

use millrace_core::ids::StreamKey;

use super::amf0::{self, Amf0Error, Value, object};
use super::limits::Amf0Limits;

/// The one application there is: `rtmp://HOST/live`.
pub const APP: &str = "live";
/// Longest encoder name that is kept, in characters.
const MAX_ENCODER_CHARS: usize = 128;
/// Enhanced RTMP v2, `FourCcInfoMask.CanForward`.
const CAN_FORWARD: f64 = 4.0;

/// A command message. Its `Debug` leaves the values out: they may hold a stream key.
#[derive(Clone, PartialEq)]
pub struct Command {
    /// Its name.
    pub name: String,
    /// Its transaction id; 0 wants no answer.
    pub transaction: f64,
    /// The command object; null if there is none.
    pub object: Value,
    /// What follows.
    pub arguments: Vec<Value>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a message is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Not AMF0, or too much of it.
    #[error("command is not valid AMF0")]
    Amf0(#[from] Amf0Error),
    /// The first value is no string.
    #[error("command has no name")]
    NoName,
    /// A message in AMF3 wrapping that does not begin with 0 (Flash wraps AMF0 behind that byte).
    #[error("message begins with AMF3 format {found}, expected 0")]
    Amf3 {
        /// The byte, or -1 for none.
        found: i16,
    },
}

/// Removes the format byte of message types 15 and 17.
///
/// # Errors
/// [`CommandError::Amf3`].
pub fn unwrap_amf3(payload: &[u8]) -> Result<&[u8], CommandError> {
    match payload.split_first() {
        Some((0, rest)) => Ok(rest),
        Some((&found, _)) => Err(CommandError::Amf3 { found: i16::from(found) }),
        None => Err(CommandError::Amf3 { found: -1 }),
    }
}

impl Command {
    /// Reads a command. A short one has transaction 0 and a null object.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn decode(payload: &[u8], limits: Amf0Limits) -> Result<Self, CommandError> {
        let mut values = amf0::decode(payload, limits)?.into_iter();
        let Some(Value::String(name)) = values.next() else { return Err(CommandError::NoName) };
        let transaction = values.next().and_then(|value| value.as_number()).unwrap_or(0.0);
        let object = values.next().unwrap_or(Value::Null);
        Ok(Self { name, transaction, object, arguments: values.collect() })
    }

    /// Argument `index` as text, if it is a string.
    #[must_use]
    pub fn text(&self, index: usize) -> Option<&str> {
        self.arguments.get(index).and_then(Value::as_str)
    }
}

/// What a publisher said in `connect`. Keeps every property; its `Debug` shows none of them.
#[derive(Clone, PartialEq)]
pub struct Connect {
    /// First segment of the path: the application.
    pub app: String,
    /// The rest of the path, for an `rtmp://HOST/live/KEY` address; a secret.
    path: String,
    /// What followed a `?`.
    query: Option<String>,
    /// All properties as they came; `app` and `tcUrl` may hold the key.
    properties: Value,
}

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connect").field("app", &self.app).finish_non_exhaustive()
    }
}

impl Connect {
    /// Reads the command object. The application comes from `app`, or from `tcUrl` if there is no `app`.
    #[must_use]
    pub fn new(properties: Value) -> Self {
        let app = properties.get("app").and_then(Value::as_str).unwrap_or_default();
        let url = properties.get("tcUrl").and_then(Value::as_str).unwrap_or_default();
        let from_url = || {
            let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
            after_scheme.split_once('/').map_or("", |(_, path)| path)
        };
        let address = if app.is_empty() { from_url() } else { app };
        let (path, query) = split_query(address);
        let path = path.trim_matches('/');
        let (app, path) = path.split_once('/').unwrap_or((path, ""));
        let (app, path) = (app.to_owned(), path.trim_matches('/').to_owned());
        let query = query.map(ToOwned::to_owned);
        Self { app, path, query, properties }
    }

    /// A property of the command object.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.properties.get(name)
    }

    /// The encoder's name in `flashVer`.
    #[must_use]
    pub fn encoder(&self) -> Option<String> {
        self.property("flashVer").and_then(Value::as_str).and_then(encoder_name)
    }

    /// Key and query of a publish under this connection. The key is the stream's name, or what the address has
    /// behind the application when the name is empty; both, joined, when both are there.
    #[must_use]
    pub fn address(&self, name: &str) -> (StreamKey, Option<StreamKey>) {
        let (name, query) = split_query(name);
        let name = name.trim_matches('/');
        // What players of the old days put for "no instance".
        let path = if self.path == "_definst_" { "" } else { self.path.as_str() };
        let key = match (path, name) {
            ("", name) => StreamKey::new(name),
            (path, "") => StreamKey::new(path),
            (path, name) => StreamKey::new(&format!("{path}/{name}")),
        };
        (key, query.or(self.query.as_deref()).map(StreamKey::new))
    }
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (text, None),
    }
}

/// An encoder's name without control characters, at most 128 characters; `None` if nothing is left.
#[must_use]
pub fn encoder_name(text: &str) -> Option<String> {
    let name: String = text.chars().filter(|c| !c.is_control()).take(MAX_ENCODER_CHARS).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Status codes: those OBS acts on, and those of success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// The publish runs.
    PublishStart,
    /// The publish has ended as asked.
    UnpublishSuccess,
    /// This publish is not allowed.
    PublishDenied,
    /// This publish was allowed and is no more.
    PublishRejected,
    /// Something else about the stream.
    StreamFailed,
    /// Nothing is played here.
    PlayFailed,
    /// There is no such application.
    InvalidApp,
    /// The connection cannot go on.
    ConnectClosed,
    /// A command cannot be carried out.
    CallFailed,
}

impl Status {
    /// The code on the wire.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::PublishStart => "NetStream.Publish.Start",
            Self::UnpublishSuccess => "NetStream.Unpublish.Success",
            Self::PublishDenied => "NetStream.Publish.Denied",
            Self::PublishRejected => "NetStream.Publish.Rejected",
            Self::StreamFailed => "NetStream.Failed",
            Self::PlayFailed => "NetStream.Play.Failed",
            Self::InvalidApp => "NetConnection.Connect.InvalidApp",
            Self::ConnectClosed => "NetConnection.Connect.Closed",
            Self::CallFailed => "NetConnection.Call.Failed",
        }
    }

    fn level(self) -> &'static str {
        match self {
            Self::PublishStart | Self::UnpublishSuccess => "status",
            _ => "error",
        }
    }

    /// The information object.
    #[must_use]
    pub fn info(self, sentence: &str) -> Value {
        object([
            ("level", self.level().into()),
            ("code", self.code().into()),
            ("description", sentence.into()),
        ])
    }
}

/// `onStatus`.
#[must_use]
pub fn on_status(status: Status, sentence: &str) -> Vec<u8> {
    amf0::encode(&["onStatus".into(), 0.0.into(), Value::Null, status.info(sentence)])
}

/// `_result` with a command object and one value.
#[must_use]
pub fn result(transaction: f64, object: Value, value: Value) -> Vec<u8> {
    amf0::encode(&["_result".into(), transaction.into(), object, value])
}

/// `_error`.
#[must_use]
pub fn error(transaction: f64, status: Status, sentence: &str) -> Vec<u8> {
    amf0::encode(&["_error".into(), transaction.into(), Value::Null, status.info(sentence)])
}

/// `onFCPublish` and `onFCUnpublish`, which FMLE waits for.
#[must_use]
pub fn on_fc(name: &str, status: Status) -> Vec<u8> {
    amf0::encode(&[name.into(), 0.0.into(), Value::Null, status.info("")])
}

/// The answer to `connect`. The Enhanced RTMP properties name what is forwarded today and claim nothing else; they
/// stand in both objects, because clients differ in where they look.
#[must_use]
pub fn connect_result(transaction: f64) -> Vec<u8> {
    let enhanced = || {
        [
            ("fourCcList", Value::StrictArray(vec!["avc1".into(), "mp4a".into()])),
            ("videoFourCcInfoMap", object([("avc1", CAN_FORWARD.into())])),
            ("audioFourCcInfoMap", object([("mp4a", CAN_FORWARD.into())])),
            ("capsEx", 0.0.into()),
        ]
    };
    let with_enhanced = |value: Value| match value {
        Value::Object(mut properties) => {
            properties.extend(enhanced().map(|(key, value)| (key.to_owned(), value)));
            Value::Object(properties)
        }
        other => other,
    };
    let properties =
        object([("fmsVer", "FMS/3,5,3,824".into()), ("capabilities", 127.0.into()), ("mode", 1.0.into())]);
    let info = object([
        ("level", "status".into()),
        ("code", "NetConnection.Connect.Success".into()),
        ("description", "Connection succeeded.".into()),
        ("objectEncoding", 0.0.into()),
    ]);
    result(transaction, with_enhanced(properties), with_enhanced(info))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(app: &str, url: &str) -> Connect {
        Connect::new(object([("app", app.into()), ("tcUrl", url.into()), ("odd", 7.0.into())]))
    }

    #[test]
    fn every_form_of_address_gives_app_key_and_query() {
        // (app, tcUrl, stream name, app found, key, query)
        let table = [
            ("live", "rtmp://h/live", "studio", "live", "studio", None),
            ("live/", "rtmp://h/live/", "studio", "live", "studio", None),
            ("live", "rtmp://h/live", "studio?token=1&x=a?b", "live", "studio", Some("token=1&x=a?b")),
            ("live", "rtmp://h/live", "/studio/", "live", "studio", None),
            ("live/studio", "rtmp://h/live/studio", "", "live", "studio", None),
            ("live/studio/", "rtmp://h/live/studio/", "", "live", "studio", None),
            ("live/studio?a=1", "rtmp://h/live/studio?a=1", "", "live", "studio", Some("a=1")),
            ("live?a=1", "rtmp://h/live?a=1", "studio", "live", "studio", Some("a=1")),
            ("live/_definst_", "rtmp://h/live/_definst_", "studio", "live", "studio", None),
            ("live/one", "rtmp://h/live/one", "two", "live", "one/two", None),
            ("", "rtmp://h:1935/live/studio", "", "live", "studio", None),
            ("", "rtmp://h", "studio", "", "studio", None),
            ("other", "rtmp://h/other", "studio", "other", "studio", None),
            ("live", "rtmp://h/live", "", "live", "", None),
        ];
        for (app, url, name, expected_app, expected_key, expected_query) in table {
            let connect = connect(app, url);
            let (key, query) = connect.address(name);
            assert_eq!(connect.app, expected_app, "{app} {name}");
            assert_eq!(key.expose(), expected_key, "{app} {name}");
            assert_eq!(query.as_ref().map(StreamKey::expose), expected_query, "{app} {name}");
            assert_eq!(connect.property("odd"), Some(&Value::Number(7.0)));
        }
    }

    #[test]
    fn short_and_odd_commands_are_commands_or_errors() {
        let limits = Amf0Limits::default();
        let short = Command::decode(&amf0::encode(&["connect".into()]), limits).unwrap();
        assert_eq!((short.transaction, short.object), (0.0, Value::Null));
        assert_eq!(Command::decode(&[], limits), Err(CommandError::NoName));
        assert_eq!(Command::decode(&amf0::encode(&[1.0.into()]), limits), Err(CommandError::NoName));
        assert_eq!(unwrap_amf3(&[3, 5]), Err(CommandError::Amf3 { found: 3 }));
        assert_eq!(unwrap_amf3(&[]), Err(CommandError::Amf3 { found: -1 }));
    }

    #[test]
    fn encoder_names_are_cleaned_and_cut() {
        assert_eq!(encoder_name(" OBS\r\n 29\u{7f} ").as_deref(), Some("OBS 29"));
        assert_eq!(encoder_name("\u{1}\u{2}"), None);
        assert_eq!(encoder_name(&"x".repeat(500)).unwrap().len(), 128);
    }
}
