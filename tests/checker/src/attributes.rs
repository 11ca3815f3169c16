//! Attribute lists (RFC 8216bis §4.2) and the other value syntaxes of tags.

use std::time::Duration;

use crate::rule::{Findings, Rule};

/// One attribute's value as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) text: String,
    pub(crate) quoted: bool,
}

/// A parsed attribute list of a tag in a line.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    tag: &'static str,
    line: usize,
    list: Vec<(String, Value)>,
}

impl Attributes {
    /// Parses the text after the tag's colon. Names that are not `known` are findings and are kept.
    pub(crate) fn parse(
        tag: &'static str,
        text: &str,
        line: usize,
        known: &[&str],
        findings: &mut Findings,
    ) -> Self {
        let mut list: Vec<(String, Value)> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let Some((name, after)) = rest.split_once('=') else {
                findings.add_at(Rule::Attributes, line, format!("{tag}: no = in {rest:?}"));
                break;
            };
            if name.is_empty()
                || !name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-')
            {
                findings.add_at(Rule::Attributes, line, format!("{tag}: bad attribute name {name:?}"));
                break;
            }
            let (value, remaining) = if let Some(inner) = after.strip_prefix('"') {
                let Some(end) = inner.find('"') else {
                    findings.add_at(Rule::Attributes, line, format!("{tag}: {name} is not closed"));
                    break;
                };
                (Value { text: inner[..end].to_owned(), quoted: true }, &inner[end + 1..])
            } else {
                let end = after.find(',').unwrap_or(after.len());
                (Value { text: after[..end].to_owned(), quoted: false }, &after[end..])
            };
            if !value.quoted && (value.text.is_empty() || value.text.contains(char::is_whitespace)) {
                findings.add_at(
                    Rule::Attributes,
                    line,
                    format!("{tag}: {name} has the value {:?}", value.text),
                );
            }
            if list.iter().any(|(n, _)| n == name) {
                findings.add_at(Rule::Attributes, line, format!("{tag}: {name} twice"));
            }
            if !known.contains(&name) {
                findings.add_at(Rule::UnknownAttribute, line, format!("{tag}: {name}"));
            }
            list.push((name.to_owned(), value));
            rest = match remaining.strip_prefix(',') {
                Some("") => {
                    findings.add_at(Rule::Attributes, line, format!("{tag}: ends with a comma"));
                    ""
                }
                Some(next) => next,
                None if remaining.is_empty() => "",
                None => {
                    findings.add_at(Rule::Attributes, line, format!("{tag}: {remaining:?} after {name}"));
                    ""
                }
            };
        }
        Self { tag, line, list }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.list.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    fn wrong(&self, name: &str, want: &str, findings: &mut Findings) {
        let found = self.get(name).map_or("nothing", |v| v.text.as_str());
        findings.add_at(Rule::TagValue, self.line, format!("{}: {name} is {found:?}, not {want}", self.tag));
    }

    /// Says so when a required attribute is absent.
    pub(crate) fn require(&self, names: &[&str], findings: &mut Findings) {
        for name in names {
            if self.get(name).is_none() {
                findings.add_at(Rule::MissingAttribute, self.line, format!("{} has no {name}", self.tag));
            }
        }
    }

    /// A quoted string.
    pub(crate) fn string(&self, name: &str, findings: &mut Findings) -> Option<String> {
        let value = self.get(name)?;
        if !value.quoted {
            self.wrong(name, "a quoted string", findings);
        }
        Some(value.text.clone())
    }

    /// An enumerated string, unquoted.
    pub(crate) fn word(&self, name: &str, findings: &mut Findings) -> Option<String> {
        let value = self.get(name)?;
        if value.quoted {
            self.wrong(name, "an unquoted word", findings);
        }
        Some(value.text.clone())
    }

    /// `YES`, or `NO` where that may be written.
    pub(crate) fn yes(&self, name: &str, findings: &mut Findings) -> bool {
        match self.word(name, findings).as_deref() {
            Some("YES") => true,
            None | Some("NO") => false,
            Some(_) => {
                self.wrong(name, "YES", findings);
                false
            }
        }
    }

    /// A decimal integer.
    pub(crate) fn integer(&self, name: &str, findings: &mut Findings) -> Option<u64> {
        let word = self.word(name, findings)?;
        let parsed = parse_integer(&word);
        if parsed.is_none() {
            self.wrong(name, "a decimal integer", findings);
        }
        parsed
    }

    /// A decimal floating point number of seconds.
    pub(crate) fn seconds(&self, name: &str, findings: &mut Findings) -> Option<Duration> {
        let word = self.word(name, findings)?;
        let parsed = parse_seconds(&word);
        if parsed.is_none() {
            self.wrong(name, "seconds", findings);
        }
        parsed
    }
}

/// `[0-9]+`, at most 2^64 - 1.
pub(crate) fn parse_integer(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// `[0-9]+(\.[0-9]*)?` seconds, exact to the nanosecond (further digits are cut).
pub(crate) fn parse_seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = parse_integer(whole)?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut nanos = 0u32;
    for digit in fraction.bytes().map(|b| u32::from(b - b'0')).chain(std::iter::repeat(0)).take(9) {
        nanos = nanos * 10 + digit;
    }
    (whole < 1 << 40).then(|| Duration::new(whole, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<Rule> {
        let mut findings = Findings::new("x");
        Attributes::parse("EXT-X-PART", text, 3, &["URI", "DURATION", "INDEPENDENT"], &mut findings);
        findings.as_slice().iter().map(|f| f.rule).collect()
    }

    #[test]
    fn attribute_lists_are_read_strictly() {
        assert_eq!(rules(r#"DURATION=0.333,URI="a,b=c",INDEPENDENT=YES"#), []);
        for (text, rule) in [
            (r#"DURATION=1,DURATION=2"#, Rule::Attributes),
            (r#"DURATION=1,URI="open"#, Rule::Attributes),
            (r#"DURATION=1,"#, Rule::Attributes),
            (r#"DURATION="#, Rule::Attributes),
            (r#"DURATION"#, Rule::Attributes),
            (r#"duration=1"#, Rule::Attributes),
            (r#"DURATION=1, URI="a""#, Rule::Attributes),
            (r#"URI="a"x,DURATION=1"#, Rule::Attributes),
            (r#"COLOUR=1"#, Rule::UnknownAttribute),
        ] {
            assert_eq!(rules(text), [rule], "{text}");
        }
    }

    #[test]
    fn seconds_are_exact() {
        assert_eq!(parse_seconds("0.333667"), Some(Duration::from_nanos(333_667_000)));
        assert_eq!(parse_seconds("4"), Some(Duration::from_secs(4)));
        assert_eq!(parse_seconds("4."), Some(Duration::from_secs(4)));
        for bad in ["", ".5", "-1", "+1", "1e3", "0.3 ", "nan", "99999999999999999999", "1.2.3"] {
            assert_eq!(parse_seconds(bad), None, "{bad:?}");
        }
    }
}
