//! The `_HLS_…` delivery directives of a playlist request (RFC 8216bis §6.2.5).

use std::borrow::Cow;

/// What a request asks for. Parameters that are not ours are ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Directives {
    /// `_HLS_msn`: a playlist that lists this segment or one of its parts.
    pub msn: Option<u64>,
    /// `_HLS_part`: a playlist that lists this part of that segment.
    pub part: Option<u64>,
    /// `_HLS_skip=YES` or `v2`: a delta update will do.
    pub skip: bool,
}

/// A directive that cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DirectiveError {
    /// Not a decimal integer from 0 to 2^64-1 (RFC 8216bis §4.2).
    #[error("{name} is not a whole number")]
    NotANumber {
        /// The parameter.
        name: &'static str,
    },
    /// Which of them counts?
    #[error("{name} is given more than once")]
    Repeated {
        /// The parameter.
        name: &'static str,
    },
    /// Neither `YES` nor `v2`.
    #[error("_HLS_skip is neither YES nor v2")]
    UnknownSkip,
}

impl DirectiveError {
    /// The parameter it is about.
    #[must_use]
    pub fn parameter(self) -> &'static str {
        match self {
            Self::NotANumber { name } | Self::Repeated { name } => name,
            Self::UnknownSkip => "_HLS_skip",
        }
    }
}

impl Directives {
    /// Parses the query of a playlist URL, without its question mark.
    ///
    /// # Errors
    /// [`DirectiveError`] for a directive that is malformed or given twice.
    pub fn parse(query: &str) -> Result<Self, DirectiveError> {
        let mut found = Self::default();
        let mut skip_given = false;
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match decoded(name).as_ref() {
                "_HLS_msn" => set(&mut found.msn, "_HLS_msn", value)?,
                "_HLS_part" => set(&mut found.part, "_HLS_part", value)?,
                "_HLS_skip" => {
                    if std::mem::replace(&mut skip_given, true) {
                        return Err(DirectiveError::Repeated { name: "_HLS_skip" });
                    }
                    found.skip = match decoded(value).as_ref() {
                        "YES" | "v2" => true,
                        _ => return Err(DirectiveError::UnknownSkip),
                    };
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

fn set(slot: &mut Option<u64>, name: &'static str, value: &str) -> Result<(), DirectiveError> {
    if slot.is_some() {
        return Err(DirectiveError::Repeated { name });
    }
    let value = decoded(value);
    // `parse` alone would take a plus sign.
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DirectiveError::NotANumber { name });
    }
    *slot = Some(value.parse().map_err(|_| DirectiveError::NotANumber { name })?);
    Ok(())
}

/// Undoes percent-encoding. What is not valid encoding or UTF-8 stays as it is: it is no directive of ours.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let hex = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
        match (byte, hex(ahead.next()), hex(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits are a byte"));
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_and_everything_else_is_ignored() {
        let asks = |msn, part, skip| Ok(Directives { msn, part, skip });
        let number = |name| Err(DirectiveError::NotANumber { name });
        let table = [
            ("", asks(None, None, false)),
            ("&&=&token=1&_hls_msn=x&_HLS_report=../a&_HLS_future=x", asks(None, None, false)),
            ("_HLS_msn=273&_HLS_part=2", asks(Some(273), Some(2), false)),
            ("_HLS_part=0", asks(None, Some(0), false)),
            ("_HLS_skip=YES", asks(None, None, true)),
            ("_HLS_msn=1&_HLS_skip=v2", asks(Some(1), None, true)),
            ("%5fHLS_msn=%31%32", asks(Some(12), None, false)),
            ("_HLS_msn=18446744073709551615", asks(Some(u64::MAX), None, false)),
            ("_HLS_msn=18446744073709551616", number("_HLS_msn")),
            ("_HLS_msn", number("_HLS_msn")),
            ("_HLS_msn=", number("_HLS_msn")),
            ("_HLS_msn=-1", number("_HLS_msn")),
            ("_HLS_msn=+1", number("_HLS_msn")),
            ("_HLS_msn=1.5", number("_HLS_msn")),
            ("_HLS_msn=0x10", number("_HLS_msn")),
            ("_HLS_msn=%zz", number("_HLS_msn")),
            ("_HLS_msn=%", number("_HLS_msn")),
            ("_HLS_msn=1%ff", number("_HLS_msn")),
            ("_HLS_msn=1&_HLS_part=two", number("_HLS_part")),
            ("_HLS_msn=1&_HLS_msn=1", Err(DirectiveError::Repeated { name: "_HLS_msn" })),
            ("_HLS_skip=YES&_HLS_skip=YES", Err(DirectiveError::Repeated { name: "_HLS_skip" })),
            ("_HLS_skip=yes", Err(DirectiveError::UnknownSkip)),
            ("_HLS_skip", Err(DirectiveError::UnknownSkip)),
        ];
        for (query, wanted) in table {
            assert_eq!(Directives::parse(query), wanted, "{query}");
        }
    }
}
