//! AMF0 (Adobe AMF 0 specification, 2007): the values of commands and metadata.
//!
//! The decoder is ours because input nests as deep as its sender likes, and because one byte of input may become a
//! value of tens of bytes: depth, values and strings have limits, and nothing recurses beyond the depth. The
//! encoder keeps the order of properties, so that the same session always answers with the same bytes.

use super::limits::Amf0Limits;

mod marker {
    pub(super) const NUMBER: u8 = 0;
    pub(super) const BOOLEAN: u8 = 1;
    pub(super) const STRING: u8 = 2;
    pub(super) const OBJECT: u8 = 3;
    pub(super) const NULL: u8 = 5;
    pub(super) const UNDEFINED: u8 = 6;
    pub(super) const ECMA_ARRAY: u8 = 8;
    pub(super) const OBJECT_END: u8 = 9;
    pub(super) const STRICT_ARRAY: u8 = 10;
    pub(super) const DATE: u8 = 11;
    pub(super) const LONG_STRING: u8 = 12;
    pub(super) const UNSUPPORTED: u8 = 13;
    pub(super) const XML_DOCUMENT: u8 = 15;
    pub(super) const TYPED_OBJECT: u8 = 16;
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A double.
    Number(f64),
    /// A truth value.
    Boolean(bool),
    /// A string, long string or XML document. What is no UTF-8 is replaced by U+FFFD.
    String(String),
    /// Properties in the order they came; a typed object has lost its class name.
    Object(Vec<(String, Value)>),
    /// An associative array.
    EcmaArray(Vec<(String, Value)>),
    /// An array.
    StrictArray(Vec<Value>),
    /// Milliseconds since 1970 and the time zone, which is to be ignored (§2.13).
    Date(f64, i16),
    /// Nothing.
    Null,
    /// Nothing, or something the sender could not write.
    Undefined,
}

/// Why bytes are no values. `at_byte` counts from the start of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Amf0Error {
    /// The message ends inside a value.
    #[error("value needs {needed} bytes, {left} are left, at byte {at_byte}")]
    Truncated {
        /// Bytes the value needs.
        needed: usize,
        /// Bytes there are.
        left: usize,
        /// Where.
        at_byte: usize,
    },
    /// A marker that is reserved, refers elsewhere, or switches to AMF3.
    #[error("marker {marker} is not supported, at byte {at_byte}")]
    UnknownMarker {
        /// The marker.
        marker: u8,
        /// Where.
        at_byte: usize,
    },
    /// Too deep.
    #[error("values nest deeper than {limit}, at byte {at_byte}")]
    TooDeep {
        /// `max_depth`.
        limit: usize,
        /// Where.
        at_byte: usize,
    },
    /// Too many.
    #[error("more than {limit} values, at byte {at_byte}")]
    TooManyValues {
        /// `max_values`.
        limit: usize,
        /// Where.
        at_byte: usize,
    },
    /// Too long.
    #[error("string of {length} bytes, limit {limit}, at byte {at_byte}")]
    StringTooLong {
        /// Its length.
        length: usize,
        /// `max_string_bytes`.
        limit: usize,
        /// Where.
        at_byte: usize,
    },
}

impl Value {
    /// The number, if it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if it is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The properties, if it is an object or an associative array.
    #[must_use]
    pub fn properties(&self) -> &[(String, Value)] {
        match self {
            Self::Object(properties) | Self::EcmaArray(properties) => properties,
            _ => &[],
        }
    }

    /// The first property of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.properties().iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// Builds an object.
#[must_use]
pub fn object<const N: usize>(properties: [(&str, Value); N]) -> Value {
    Value::Object(properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// Every value of a message.
///
/// # Errors
/// [`Amf0Error`].
pub fn decode(bytes: &[u8], limits: Amf0Limits) -> Result<Vec<Value>, Amf0Error> {
    let mut decoder = Decoder { bytes, at: 0, values: 0, limits };
    let mut values = Vec::new();
    while decoder.at < bytes.len() {
        values.push(decoder.value(0)?);
    }
    Ok(values)
}

/// The first value of a message and the bytes it takes.
///
/// # Errors
/// [`Amf0Error`].
pub fn decode_first(bytes: &[u8], limits: Amf0Limits) -> Result<(Value, usize), Amf0Error> {
    let mut decoder = Decoder { bytes, at: 0, values: 0, limits };
    let value = decoder.value(0)?;
    Ok((value, decoder.at))
}

struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    values: usize,
    limits: Amf0Limits,
}

impl<'a> Decoder<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        let at_byte = self.at;
        if self.values >= self.limits.max_values {
            return Err(Amf0Error::TooManyValues { limit: self.limits.max_values, at_byte });
        }
        self.values += 1;
        let [marker] = self.array()?;
        Ok(match marker {
            marker::NUMBER => Value::Number(f64::from_be_bytes(self.array()?)),
            marker::BOOLEAN => Value::Boolean(self.array::<1>()? != [0]),
            marker::STRING => Value::String(self.short_string()?),
            marker::LONG_STRING | marker::XML_DOCUMENT => {
                let length = u32::from_be_bytes(self.array()?) as usize;
                Value::String(self.string(length)?)
            }
            marker::OBJECT => Value::Object(self.properties(depth, at_byte)?),
            marker::TYPED_OBJECT => {
                self.short_string()?;
                Value::Object(self.properties(depth, at_byte)?)
            }
            marker::ECMA_ARRAY => {
                // The count is a hint (§2.10), and encoders get it wrong; the end marker decides.
                self.array::<4>()?;
                Value::EcmaArray(self.properties(depth, at_byte)?)
            }
            marker::STRICT_ARRAY => {
                self.check_depth(depth, at_byte)?;
                let count = u32::from_be_bytes(self.array()?);
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(depth + 1)?);
                }
                Value::StrictArray(values)
            }
            marker::DATE => Value::Date(f64::from_be_bytes(self.array()?), i16::from_be_bytes(self.array()?)),
            marker::NULL => Value::Null,
            marker::UNDEFINED | marker::UNSUPPORTED => Value::Undefined,
            marker => return Err(Amf0Error::UnknownMarker { marker, at_byte }),
        })
    }

    fn check_depth(&self, depth: usize, at_byte: usize) -> Result<(), Amf0Error> {
        if depth >= self.limits.max_depth {
            return Err(Amf0Error::TooDeep { limit: self.limits.max_depth, at_byte });
        }
        Ok(())
    }

    fn properties(&mut self, depth: usize, at_byte: usize) -> Result<Vec<(String, Value)>, Amf0Error> {
        self.check_depth(depth, at_byte)?;
        let mut properties = Vec::new();
        loop {
            let name = self.short_string()?;
            if name.is_empty() && self.bytes.get(self.at) == Some(&marker::OBJECT_END) {
                self.at += 1;
                return Ok(properties);
            }
            properties.push((name, self.value(depth + 1)?));
        }
    }

    fn short_string(&mut self) -> Result<String, Amf0Error> {
        let length = u16::from_be_bytes(self.array()?);
        self.string(usize::from(length))
    }

    fn string(&mut self, length: usize) -> Result<String, Amf0Error> {
        let limit = self.limits.max_string_bytes;
        if length > limit {
            return Err(Amf0Error::StringTooLong { length, limit, at_byte: self.at });
        }
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Amf0Error> {
        let at_byte = self.at;
        let left = self.bytes.len() - self.at;
        let array = self.bytes.get(at_byte..).and_then(<[u8]>::first_chunk::<N>);
        let array = array.ok_or(Amf0Error::Truncated { needed: N, left, at_byte })?;
        self.at += N;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Amf0Error> {
        let left = self.bytes.len() - self.at;
        let truncated = Amf0Error::Truncated { needed: length, left, at_byte: self.at };
        let end = self.at.checked_add(length).ok_or(truncated)?;
        let bytes = self.bytes.get(self.at..end).ok_or(truncated)?;
        self.at = end;
        Ok(bytes)
    }
}

/// The bytes of `values`, one after the other.
#[must_use]
pub fn encode(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        write_value(&mut out, value);
    }
    out
}

/// Writes one value. A property name beyond 65,535 bytes is cut at a character.
fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Number(number) => {
            out.push(marker::NUMBER);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Boolean(truth) => out.extend_from_slice(&[marker::BOOLEAN, u8::from(*truth)]),
        Value::String(text) => match u16::try_from(text.len()) {
            Ok(length) => {
                out.push(marker::STRING);
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Err(_) => {
                out.push(marker::LONG_STRING);
                out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        },
        Value::Object(properties) => {
            out.push(marker::OBJECT);
            write_properties(out, properties);
        }
        Value::EcmaArray(properties) => {
            out.push(marker::ECMA_ARRAY);
            out.extend_from_slice(&u32::try_from(properties.len()).unwrap_or(u32::MAX).to_be_bytes());
            write_properties(out, properties);
        }
        Value::StrictArray(values) => {
            out.push(marker::STRICT_ARRAY);
            out.extend_from_slice(&u32::try_from(values.len()).unwrap_or(u32::MAX).to_be_bytes());
            for value in values {
                write_value(out, value);
            }
        }
        Value::Date(millis, zone) => {
            out.push(marker::DATE);
            out.extend_from_slice(&millis.to_be_bytes());
            out.extend_from_slice(&zone.to_be_bytes());
        }
        Value::Null => out.push(marker::NULL),
        Value::Undefined => out.push(marker::UNDEFINED),
    }
}

fn write_properties(out: &mut Vec<u8>, properties: &[(String, Value)]) {
    for (name, value) in properties {
        let name = &name[..name.floor_char_boundary(usize::from(u16::MAX))];
        out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(name.as_bytes());
        write_value(out, value);
    }
    out.extend_from_slice(&[0, 0, marker::OBJECT_END]);
}

#[cfg(test)]
#[path = "amf0_tests.rs"]
mod tests;
