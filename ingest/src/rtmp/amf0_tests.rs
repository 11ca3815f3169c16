use super::*;
use proptest::prelude::*;

fn limits() -> Amf0Limits {
    Amf0Limits::default()
}

#[test]
fn every_marker_is_a_value_or_an_error_value() {
    let table: Vec<(&str, &[u8], Option<Value>)> = vec![
        ("number", b"\x00\x3f\xf0\0\0\0\0\0\0", Some(Value::Number(1.0))),
        ("boolean", b"\x01\x02", Some(Value::Boolean(true))),
        ("string", b"\x02\0\x02ok", Some("ok".into())),
        ("not utf-8", b"\x02\0\x01\xff", Some("\u{fffd}".into())),
        ("object", b"\x03\0\x01a\x05\0\0\x09", Some(object([("a", Value::Null)]))),
        ("movieclip", b"\x04", None),
        ("null", b"\x05", Some(Value::Null)),
        ("undefined", b"\x06", Some(Value::Undefined)),
        ("reference", b"\x07\0\0", None),
        (
            "ecma array with a wrong count",
            b"\x08\0\0\0\x63\0\x01a\x06\0\0\x09",
            Some(Value::EcmaArray(vec![("a".into(), Value::Undefined)])),
        ),
        ("object end alone", b"\x09", None),
        (
            "strict array",
            b"\x0a\0\0\0\x02\x05\x06",
            Some(Value::StrictArray(vec![Value::Null, Value::Undefined])),
        ),
        ("date", b"\x0b\0\0\0\0\0\0\0\0\xff\xff", Some(Value::Date(0.0, -1))),
        ("long string", b"\x0c\0\0\0\x01z", Some("z".into())),
        ("unsupported", b"\x0d", Some(Value::Undefined)),
        ("recordset", b"\x0e", None),
        ("xml", b"\x0f\0\0\0\x01z", Some("z".into())),
        ("typed object", b"\x10\0\x01C\0\x01a\x05\0\0\x09", Some(object([("a", Value::Null)]))),
        ("switch to amf3", b"\x11\x01", None),
        ("property without a name", b"\x03\0\0\x05\0\0\x09", Some(object([("", Value::Null)]))),
    ];
    for (what, bytes, expected) in table {
        let found = decode(bytes, limits());
        match expected {
            Some(value) => assert_eq!(found, Ok(vec![value]), "{what}"),
            None => assert!(matches!(found, Err(Amf0Error::UnknownMarker { .. })), "{what}: {found:?}"),
        }
        for cut in 1..bytes.len() {
            assert!(decode(&bytes[..cut], limits()).is_err(), "{what} cut at {cut}");
        }
    }
}

#[test]
fn depth_values_and_strings_are_bounded() {
    let nested = |depth: usize| {
        let mut value = Value::Null;
        for _ in 0..depth {
            value = object([("a", value)]);
        }
        encode(&[value])
    };
    assert!(decode(&nested(16), limits()).is_ok());
    assert!(matches!(decode(&nested(17), limits()), Err(Amf0Error::TooDeep { limit: 16, .. })));
    let deep: Vec<u8> = [3, 0, 1, b'a'].repeat(4000);
    assert!(matches!(decode(&deep, limits()), Err(Amf0Error::TooDeep { .. })));
    let arrays: Vec<u8> = [10, 0, 0, 0, 1].repeat(4000);
    assert!(matches!(decode(&arrays, limits()), Err(Amf0Error::TooDeep { .. })));
    assert!(decode(&[5; 1000], limits()).is_ok());
    assert_eq!(decode(&[5; 1001], limits()), Err(Amf0Error::TooManyValues { limit: 1000, at_byte: 1000 }));
    let many = [&[10, 255, 255, 255, 255][..], &[5; 2000]].concat();
    assert!(matches!(decode(&many, limits()), Err(Amf0Error::TooManyValues { .. })));
    let long = encode(&[Value::String("x".repeat(65_537))]);
    assert!(matches!(decode(&long, limits()), Err(Amf0Error::StringTooLong { length: 65_537, .. })));
    assert!(decode(&encode(&[Value::String("x".repeat(65_536))]), limits()).is_ok());
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<f64>().prop_filter("nan is not equal to itself", |n| !n.is_nan()).prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        ".{0,20}".prop_map(Value::String),
        (any::<i32>(), any::<i16>()).prop_map(|(ms, zone)| Value::Date(f64::from(ms), zone)),
        Just(Value::Null),
        Just(Value::Undefined),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        let properties = prop::collection::vec((".{0,8}", inner.clone()), 0..5);
        prop_oneof![
            properties.clone().prop_map(Value::Object),
            properties.prop_map(Value::EcmaArray),
            prop::collection::vec(inner, 0..5).prop_map(Value::StrictArray),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(all in prop::collection::vec(values(), 0..5)) {
        prop_assert_eq!(decode(&encode(&all), limits()).unwrap(), all);
    }

    #[test]
    fn whatever_comes_ends_within_the_limits(bytes in prop::collection::vec(0u8..20, 0..3000)) {
        if let Ok(values) = decode(&bytes, limits()) {
            prop_assert!(values.len() <= 1000);
        }
    }
}
