//! The formats of Kafka's own (de)serializers, byte for byte.

use super::*;

fn check<T, S, D>(serializer: &S, deserializer: &D, value: &T, bytes: &[u8])
where
    T: PartialEq + std::fmt::Debug,
    S: Serializer<T>,
    D: Deserializer<T>,
{
    let written = serializer.serialize("t", value).unwrap().unwrap();
    assert_eq!(written, bytes);
    assert_eq!(deserializer.deserialize("t", &written).unwrap(), *value);
}

#[test]
fn numbers_are_big_endian_and_of_one_length() {
    check(&ShortSerializer, &ShortDeserializer, &-2_i16, b"\xff\xfe");
    check(
        &IntegerSerializer,
        &IntegerDeserializer,
        &0x0102_0304_i32,
        b"\x01\x02\x03\x04",
    );
    check(
        &LongSerializer,
        &LongDeserializer,
        &1_i64,
        b"\0\0\0\0\0\0\0\x01",
    );
    check(
        &FloatSerializer,
        &FloatDeserializer,
        &1.0_f32,
        b"\x3f\x80\0\0",
    );
    check(
        &DoubleSerializer,
        &DoubleDeserializer,
        &-2.5_f64,
        b"\xc0\x04\0\0\0\0\0\0",
    );
    let error = ShortDeserializer
        .deserialize("t", &Bytes::from_static(b"123"))
        .unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "3 bytes instead of 2");
}

#[test]
fn texts_bytes_and_nothing() {
    check(
        &StringSerializer,
        &StringDeserializer,
        &"\u{e9}".to_owned(),
        b"\xc3\xa9",
    );
    let text: &str = "plain";
    assert_eq!(
        StringSerializer.serialize("t", text).unwrap().unwrap(),
        "plain"
    );
    assert!(
        StringDeserializer
            .deserialize("t", &Bytes::from_static(b"\xff"))
            .is_err()
    );
    check(
        &BytesSerializer,
        &BytesDeserializer,
        &Bytes::from_static(b"\0x"),
        b"\0x",
    );
    check(
        &ByteArraySerializer,
        &ByteArrayDeserializer,
        &vec![7, 0],
        b"\x07\0",
    );
    check(&BooleanSerializer, &BooleanDeserializer, &true, b"\x01");
    assert!(
        BooleanDeserializer
            .deserialize("t", &Bytes::from_static(b"\x02"))
            .is_err()
    );
    assert_eq!(VoidSerializer.serialize("t", &()).unwrap(), None);
    assert!(VoidDeserializer.deserialize("t", &Bytes::new()).is_err());
}

#[test]
fn uuids_are_text() {
    let uuid = std::array::from_fn(|at| u8::try_from(at).unwrap() * 16 + 10);
    let text = b"0a1a2a3a-4a5a-6a7a-8a9a-aabacadaeafa";
    check(&UUIDSerializer, &UUIDDeserializer, &uuid, text);
    for wrong in [
        "",
        "0a1a2a3a4a5a6a7a8a9aaabacadaeafa",
        "0a1a2a3a-4a5a-6a7a-8a9a-aabacadaeafg",
    ] {
        assert!(
            UUIDDeserializer.deserialize("t", &wrong.into()).is_err(),
            "{wrong}"
        );
    }
}

#[cfg(feature = "json")]
#[test]
fn json_for_whatever_serde_knows() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Jump {
        player: String,
        height: f32,
    }
    let jump = Jump {
        player: "7".to_owned(),
        height: 1.5,
    };
    check(
        &JsonSerializer,
        &JsonDeserializer,
        &jump,
        br#"{"player":"7","height":1.5}"#,
    );
    let wrong: Result<Jump, _> = JsonDeserializer.deserialize("t", &Bytes::from_static(b"{}"));
    assert!(
        wrong
            .unwrap_err()
            .source()
            .unwrap()
            .to_string()
            .contains("player")
    );
}
