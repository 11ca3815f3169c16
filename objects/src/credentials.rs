//! The shared credentials file of AWS tools: secrets that come as a file.

use std::fmt;

/// A key and its secret. The secret is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) key_id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials([redacted])")
    }
}

/// Finds the credentials of a profile in the text of a file.
///
/// ```text
/// [default]
/// aws_access_key_id = AKIA…
/// aws_secret_access_key = …
/// aws_session_token = …        (may be absent)
/// ```
pub(crate) fn find(text: &str, profile: &str) -> Option<Credentials> {
    let (mut key_id, mut secret, mut token) = (None, None, None);
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = section.trim() == profile;
            continue;
        }
        let Some((name, value)) = line.split_once('=').filter(|_| inside) else { continue };
        let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        match name.trim() {
            "aws_access_key_id" => key_id = value,
            "aws_secret_access_key" => secret = value,
            "aws_session_token" => token = value,
            _ => {}
        }
    }
    Some(Credentials { key_id: key_id?, secret: secret?, token })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
        # of the site\n\
        aws_access_key_id = OUTSIDE\n\
        [default]\n\
        aws_access_key_id = KEY\n\
        aws_secret_access_key=abc/def+=1=\n\
        region = eu-west-1\n\
        \n\
        [ other ]\n\
        aws_access_key_id=K2\n\
        aws_secret_access_key = S2\n\
        aws_session_token = T2\n\
        [half]\n\
        aws_access_key_id = K3\n\
        aws_secret_access_key =\n";

    #[test]
    fn a_profile_has_its_own_key_and_nothing_of_another() {
        let found = find(FILE, "default").unwrap();
        assert_eq!((found.key_id.as_str(), found.secret.as_str()), ("KEY", "abc/def+=1="));
        assert_eq!(found.token, None);
        let other = find(FILE, "other").unwrap();
        assert_eq!((other.key_id.as_str(), other.token.as_deref()), ("K2", Some("T2")));
        for none in ["half", "nobody", ""] {
            assert_eq!(find(FILE, none), None, "{none}");
        }
        assert_eq!(find("", "default"), None);
        assert!(!format!("{found:?}").contains("abc"), "{found:?}");
    }
}
