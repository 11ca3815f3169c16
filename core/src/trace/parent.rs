//! A place in a trace, as it is written between processes.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

/// A span of some process: W3C Trace Context, `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace.
    pub trace: NonZeroU128,
    /// The span in it.
    pub span: NonZeroU64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

/// A text is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no traceparent (W3C Trace Context §3.2)")]
pub struct TraceParentError;

/// Bytes of version 00: `00-` trace `-` span `-` flags.
const LENGTH: usize = 55;
/// The bit of the flags that says "recorded".
const SAMPLED: u8 = 1;

impl TraceParent {
    /// The id of the trace as 32 hexadecimal digits, for logs.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    /// Reads version 00, and of later ones what they have in common with it (§3.2.4).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (known, rest) = text.split_at_checked(LENGTH)?;
            let mut fields = known.split('-');
            let version = hex(fields.next()?, 2)?;
            let trace = NonZeroU128::new(hex(fields.next()?, 32)?)?;
            let span = NonZeroU64::new(u64::try_from(hex(fields.next()?, 16)?).ok()?)?;
            let flags = u8::try_from(hex(fields.next()?, 2)?).ok()?;
            let good = match version {
                0 => rest.is_empty(),
                0xff => false,
                _ => rest.is_empty() || rest.starts_with('-'),
            };
            (good && fields.next().is_none()).then_some(Self { trace, span, sampled: flags & SAMPLED != 0 })
        };
        parse().ok_or(TraceParentError)
    }
}

/// So many digits in lower case.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let good = text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    good.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let parent: TraceParent = EXAMPLE.parse().unwrap();
        assert_eq!(parent.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent.span.get(), 0xb7ad_6b71_6920_3331);
        assert!(parent.sampled);
        assert_eq!(parent.to_string(), EXAMPLE);
        let unsampled: TraceParent = EXAMPLE.replace("-01", "-00").parse().unwrap();
        assert!(!unsampled.sampled);
    }

    #[test]
    fn of_a_later_version_the_known_beginning_is_read() {
        let later = EXAMPLE.replacen("00", "cc", 1);
        let same: TraceParent = EXAMPLE.parse().unwrap();
        for text in [later.clone(), format!("{later}-what-the-future-will-be-like")] {
            assert_eq!(text.parse(), Ok(same), "{text}");
        }
        assert!(format!("{later}.7").parse::<TraceParent>().is_err());
    }

    #[test]
    fn what_is_none_is_refused() {
        for wrong in [
            "",
            "00",
            "00-4bf9",
            &EXAMPLE.to_uppercase(),
            &EXAMPLE.replacen("00", "ff", 1),
            &format!("{EXAMPLE}-more"),
            &EXAMPLE.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &EXAMPLE.replace("b7ad6b7169203331", &"0".repeat(16)),
            &EXAMPLE.replacen("0af7", "+af7", 1),
            &EXAMPLE.replacen('-', "_", 1),
        ] {
            assert!(wrong.parse::<TraceParent>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(trace in 1_u128.., span in 1_u64.., sampled: bool) {
            let parent = TraceParent {
                trace: NonZeroU128::new(trace).unwrap(),
                span: NonZeroU64::new(span).unwrap(),
                sampled,
            };
            prop_assert_eq!(parent.to_string().parse(), Ok(parent));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = text.parse::<TraceParent>();
        }
    }
}
