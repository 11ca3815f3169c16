//! S3 as the usual `AWS_*` variables describe it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, ClientOptions, HeaderValue, RetryConfig};

use crate::Location;
use crate::credentials::{self, Credentials};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a request is tried again that met a 5xx, a broken connection or no answer.
const RETRIES: usize = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("millrace/", env!("CARGO_PKG_VERSION")));
/// Where the endpoint may be named; the first one counts.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];

/// What cannot be right with how the place for objects is set.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// A folder that is not there cannot be made.
    #[error("cannot make {}; set MILLRACE_OBJECTS to a folder that is writable, as file:///srv/objects", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Half a credential.
    #[error(
        "{0} is missing: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY together, or AWS_SHARED_CREDENTIALS_FILE, or \
         none of them where the machine itself has a role"
    )]
    HalfKey(&'static str),
    /// It cannot be read.
    #[error("cannot read {}, which AWS_SHARED_CREDENTIALS_FILE names", path.display())]
    CredentialsFile {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It has no such credentials.
    #[error(
        "{} has no aws_access_key_id and aws_secret_access_key in its section [{profile}]; write them there, or name \
         another section in AWS_PROFILE", path.display()
    )]
    Profile {
        /// The file.
        path: PathBuf,
        /// The section.
        profile: String,
    },
    /// No address.
    #[error("{0} is no address of S3; write it as https://HOST:PORT")]
    Endpoint(&'static str),
    /// Somebody's name, perhaps with a password, which is not repeated.
    #[error(
        "{0} carries a name or a password; write it as https://HOST:PORT, and the key into AWS_ACCESS_KEY_ID"
    )]
    EndpointCredentials(&'static str),
    /// No TLS.
    #[error(
        "{0} is without TLS; write https://, or set AWS_ALLOW_HTTP=true on a network that is yours alone"
    )]
    WithoutTls(&'static str),
    /// Something else that the client does not take.
    #[error("an AWS_ variable cannot be used: {0}")]
    Variable(String),
}

/// Says whether objects could be kept there with this environment, without asking anybody.
///
/// # Errors
/// What cannot be right, whatever the other side says.
pub fn check(
    location: &Location,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<(), SettingError> {
    match location {
        Location::Folder(_) => Ok(()),
        Location::S3 { .. } => Variables::read(environment).map(drop),
    }
}

/// The `AWS_*` variables that say something.
pub(crate) struct Variables {
    named: BTreeMap<String, String>,
    keys: Option<Credentials>,
}

/// They hold secrets.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.named.keys()).finish()
    }
}

impl Variables {
    pub(crate) fn read(
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingError> {
        let set = |(name, value): &(String, String)| name.starts_with("AWS_") && !value.is_empty();
        let named: BTreeMap<_, _> = environment.into_iter().filter(set).collect();
        let get = |name: &str| named.get(name).map(String::as_str);
        match (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
            (Some(_), None) => return Err(SettingError::HalfKey("AWS_SECRET_ACCESS_KEY")),
            (None, Some(_)) => return Err(SettingError::HalfKey("AWS_ACCESS_KEY_ID")),
            _ => {}
        }
        if let Some((name, endpoint)) = ENDPOINTS.iter().find_map(|name| Some((*name, get(name)?))) {
            let is_open = get("AWS_ALLOW_HTTP").is_some_and(|allow| allow.eq_ignore_ascii_case("true"));
            check_endpoint(name, endpoint, is_open)?;
        }
        let file = get("AWS_SHARED_CREDENTIALS_FILE").filter(|_| get("AWS_ACCESS_KEY_ID").is_none());
        let keys =
            file.map(|path| from_file(path.into(), get("AWS_PROFILE").unwrap_or("default"))).transpose()?;
        Ok(Self { named, keys })
    }

    /// A client of a bucket. Nothing waits longer than `timeout` for the next byte; whole operations are bounded by who
    /// asks for them.
    pub(crate) fn client(self, bucket: &str, timeout: Duration) -> Result<AmazonS3, SettingError> {
        let mut builder = AmazonS3Builder::new();
        let mut options = ClientOptions::new();
        for (name, value) in self.named {
            match name.to_ascii_lowercase().parse() {
                Ok(AmazonS3ConfigKey::Client(key)) => options = options.with_config(key, value),
                Ok(key) => builder = builder.with_config(key, value),
                // Other programs have variables, too.
                Err(_) => {}
            }
        }
        if let Some(keys) = self.keys {
            builder = builder.with_access_key_id(keys.key_id).with_secret_access_key(keys.secret);
            builder = match keys.token {
                Some(token) => builder.with_token(token),
                None => builder,
            };
        }
        let bulk = AmazonS3ConfigKey::DisableBulkDelete;
        if builder.get_config_value(&bulk).is_none_or(|set| set == "false") {
            // One object goes at a time, and not every S3 knows the request for many.
            builder = builder.with_config(bulk, "true");
        }
        let options = options
            .with_user_agent(USER_AGENT)
            .with_timeout_disabled()
            .with_connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .with_read_timeout(timeout);
        let retries = RetryConfig {
            max_retries: RETRIES,
            retry_timeout: timeout,
            backoff: BackoffConfig { init_backoff: FIRST_PAUSE, max_backoff: LONGEST_PAUSE, base: 2.0 },
        };
        let built = builder.with_bucket_name(bucket).with_client_options(options).with_retry(retries).build();
        built.map_err(|error| SettingError::Variable(error.to_string()))
    }
}

fn check_endpoint(name: &'static str, endpoint: &str, is_open: bool) -> Result<(), SettingError> {
    let (scheme, rest) = endpoint.split_once("://").ok_or(SettingError::Endpoint(name))?;
    let host = rest.split('/').next().unwrap_or_default();
    if endpoint.contains('@') {
        return Err(SettingError::EndpointCredentials(name));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if host.is_empty() || !host.chars().all(plain) || rest.contains(['?', '#']) {
        return Err(SettingError::Endpoint(name));
    }
    match scheme {
        "https" => Ok(()),
        "http" if is_open => Ok(()),
        "http" => Err(SettingError::WithoutTls(name)),
        _ => Err(SettingError::Endpoint(name)),
    }
}

fn from_file(path: PathBuf, profile: &str) -> Result<Credentials, SettingError> {
    match std::fs::read_to_string(&path) {
        Ok(text) => credentials::find(&text, profile)
            .ok_or_else(|| SettingError::Profile { path, profile: profile.to_owned() }),
        Err(source) => Err(SettingError::CredentialsFile { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Variables, SettingError> {
        Variables::read(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    const KEY: (&str, &str) = ("AWS_ACCESS_KEY_ID", "key");
    const SECRET: (&str, &str) = ("AWS_SECRET_ACCESS_KEY", "hush-hush");

    #[test]
    fn what_cannot_be_right_is_told_with_the_remedy_and_without_the_secret() {
        let table: [(&[(&str, &str)], &str); 10] = [
            (&[KEY], "AWS_SECRET_ACCESS_KEY is missing"),
            (&[SECRET, ("AWS_ACCESS_KEY_ID", "")], "AWS_ACCESS_KEY_ID is missing"),
            (&[("AWS_ENDPOINT_URL", "minio:9000")], "AWS_ENDPOINT_URL is no address"),
            (&[("AWS_ENDPOINT_URL", "s3://minio")], "AWS_ENDPOINT_URL is no address"),
            (&[("AWS_ENDPOINT_URL", "https://")], "AWS_ENDPOINT_URL is no address"),
            (&[("AWS_ENDPOINT_URL", "https://key:hush-hush@minio")], "AWS_ENDPOINT_URL carries a name"),
            (&[("AWS_ENDPOINT_URL_S3", "http://minio:9000")], "set AWS_ALLOW_HTTP=true"),
            (&[("AWS_ENDPOINT", "http://minio"), ("AWS_ALLOW_HTTP", "false")], "AWS_ENDPOINT is without TLS"),
            (&[("AWS_ENDPOINT_URL", "https://minio?a=b")], "is no address"),
            (&[("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")], "cannot read /nowhere"),
        ];
        for (variables, expected) in table {
            let error = read(variables).unwrap_err().to_string();
            assert!(error.contains(expected), "{variables:?}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn what_may_be_right_is_taken_and_its_secrets_are_not_printed() {
        let table: [&[(&str, &str)]; 5] = [
            &[],
            &[KEY, SECRET],
            &[KEY, SECRET, ("AWS_ENDPOINT_URL", "http://[::1]:9000"), ("AWS_ALLOW_HTTP", "true")],
            &[("AWS_ENDPOINT_URL", "https://minio.example.org/base"), ("AWS_ENDPOINT_URL_S3", "")],
            // Of other programs.
            &[("AWS_PAGER", "less"), ("AWS_SHARED_CREDENTIALS_FILE", ""), ("HOME", "/nowhere")],
        ];
        for variables in table {
            let read = read(variables).unwrap();
            assert!(!format!("{read:?}").contains("hush"), "{read:?}");
        }
    }

    #[test]
    fn a_secret_may_come_as_a_file_and_the_environment_beats_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        std::fs::write(&path, "[default]\naws_access_key_id = a\naws_secret_access_key = b\n").unwrap();
        let file = ("AWS_SHARED_CREDENTIALS_FILE", path.to_str().unwrap());
        assert_eq!(read(&[file]).unwrap().keys.unwrap().key_id, "a");
        assert_eq!(read(&[file, KEY, SECRET]).unwrap().keys, None);
        let other = read(&[file, ("AWS_PROFILE", "live")]).unwrap_err().to_string();
        assert!(other.contains("in its section [live]"), "{other}");
    }
}
