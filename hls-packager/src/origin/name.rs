//! Names below `/live/{channel}/{rendition}/`. Sans-IO.

use crate::window::Request;

/// Longest name we could have made.
const MAX_BYTES: usize = 64;

/// A name that is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaName<'a> {
    /// The broadcast's prefix.
    pub prefix: &'a str,
    /// What of it.
    pub request: Request,
}

impl<'a> MediaName<'a> {
    /// Reads `{prefix}-i{n}.mp4`, `{prefix}-p{n}.m4s` or `{prefix}-s{msn}.m4s`; `None` for everything else.
    #[must_use]
    pub fn parse(file: &'a str) -> Option<Self> {
        if file.len() > MAX_BYTES {
            return None;
        }
        let (name, extension) = file.split_once('.')?;
        let (prefix, rest) = name.split_once('-')?;
        let (letter, digits) = rest.split_at_checked(1)?;
        // One spelling per number: caches count spellings.
        let canonical =
            digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        let number = digits.parse().ok().filter(|_| canonical)?;
        let request = match (letter, extension) {
            ("i", "mp4") => Request::Init(number),
            ("p", "m4s") => Request::Part(number),
            ("s", "m4s") => Request::Segment(number),
            _ => return None,
        };
        Some(Self { prefix, request })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_nothing_else() {
        let table = [
            ("r4nd0m-i1.mp4", Some(Request::Init(1))),
            ("r4nd0m-p0.m4s", Some(Request::Part(0))),
            ("r4nd0m-s1795230003.m4s", Some(Request::Segment(1_795_230_003))),
            ("r4nd0m-p18446744073709551615.m4s", Some(Request::Part(u64::MAX))),
            ("r4nd0m-p18446744073709551616.m4s", None),
            ("r4nd0m-p01.m4s", None),
            ("r4nd0m-p+1.m4s", None),
            ("r4nd0m-p.m4s", None),
            ("r4nd0m-p1.mp4", None),
            ("r4nd0m-p1.m4s.m4s", None),
            ("r4nd0m-x1.m4s", None),
            ("r4nd0m-é1.m4s", None),
            ("r4nd0m.m4s", None),
            ("..", None),
            ("", None),
        ];
        for (file, wanted) in table {
            assert_eq!(MediaName::parse(file).map(|name| name.request), wanted, "{file}");
        }
        assert_eq!(MediaName::parse("r4nd0m-i1.mp4").unwrap().prefix, "r4nd0m");
        assert_eq!(MediaName::parse(&format!("{}-i1.mp4", "x".repeat(60))), None);
    }
}
