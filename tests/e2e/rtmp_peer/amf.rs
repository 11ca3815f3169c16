//! As much AMF0 as a publisher needs: writing commands, and reading the strings of answers.

/// A value to write.
#[derive(Debug, Clone)]
pub(crate) enum Amf {
    Number(f64),
    Text(String),
    Null,
    Object(Vec<(&'static str, Amf)>),
}

impl From<&str> for Amf {
    fn from(text: &str) -> Self {
        Amf::Text(text.to_owned())
    }
}

/// Writes values one after the other.
pub(crate) fn write(values: &[Amf]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| put(value, &mut out));
    out
}

fn put(value: &Amf, out: &mut Vec<u8>) {
    match value {
        Amf::Number(number) => {
            out.push(0);
            out.extend(number.to_be_bytes());
        }
        Amf::Text(text) => {
            out.push(2);
            put_name(text, out);
        }
        Amf::Null => out.push(5),
        Amf::Object(members) => {
            out.push(3);
            for (name, value) in members {
                put_name(name, out);
                put(value, out);
            }
            out.extend([0, 0, 9]);
        }
    }
}

fn put_name(text: &str, out: &mut Vec<u8>) {
    out.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text.as_bytes());
}

/// Every string in a command, names of members included, in order. Values of other types are stepped over.
pub(crate) fn strings(mut bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while !bytes.is_empty() && value(&mut bytes, &mut found).is_some() {}
    found
}

/// Steps over one value; `None` where it cannot be read.
fn value(bytes: &mut &[u8], found: &mut Vec<String>) -> Option<()> {
    let marker = take(bytes, 1)?[0];
    match marker {
        0 => drop(take(bytes, 8)?),
        1 => drop(take(bytes, 1)?),
        2 => found.push(text(bytes)?),
        // Object, and ECMA array with its count.
        3 | 8 => {
            if marker == 8 {
                take(bytes, 4)?;
            }
            while !bytes.starts_with(&[0, 0, 9]) {
                found.push(text(bytes)?);
                value(bytes, found)?;
            }
            take(bytes, 3)?;
        }
        5 | 6 => {}
        10 => {
            let count = u32::from_be_bytes(take(bytes, 4)?.try_into().ok()?);
            for _ in 0..count {
                value(bytes, found)?;
            }
        }
        _ => return None,
    }
    Some(())
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    let length = take(bytes, 2)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    Some(String::from_utf8_lossy(take(bytes, length)?).into_owned())
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}
