use bytes::BytesMut;
use chaperone_wire::postgres::WireError;
use chaperone_wire::postgres::frontend::encode;
use chaperone_wire::postgres::options::{OptionsError, join, settings};
use chaperone_wire::postgres::startup::{CancelRequest, Opening, StartupMessage, Version, next};
use postgres_protocol::message::frontend as theirs;
use proptest::prelude::*;

fn packet(body: &[u8]) -> BytesMut {
    let length = i32::try_from(body.len() + 4).unwrap();
    BytesMut::from(&[&length.to_be_bytes(), body].concat()[..])
}

fn only(mut buffer: BytesMut) -> Result<Opening, WireError> {
    let opening = next(&mut buffer)?.expect("all of it");
    assert!(buffer.is_empty());
    Ok(opening)
}

fn startup(body: &[u8]) -> StartupMessage {
    match only(packet(body)) {
        Ok(Opening::Startup(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn golden() {
    assert_eq!(only(packet(b"\x04\xd2\x16\x2f")), Ok(Opening::SslRequest));
    assert_eq!(only(packet(b"\x04\xd2\x16\x30")), Ok(Opening::GssEncRequest));
    assert_eq!(
        only(packet(b"\x04\xd2\x16\x2e\0\0\x30\x39\x01\x02\x03\x04")),
        Ok(Opening::Cancel(CancelRequest { pid: 12345, secret: vec![1, 2, 3, 4] }))
    );
    let message = startup(b"\0\x03\0\0user\0ann\0options\0-c geqo=off\0\0");
    assert_eq!(message.version, Version::V3_0);
    assert_eq!((message.user(), message.database(), message.get("options")), ("ann", "ann", Some("-c geqo=off")));
    let message = startup(b"\0\x03\0\0user\0ann\0database\0clinic\0user\0eve\0\0");
    assert_eq!((message.user(), message.database()), ("eve", "clinic"));
}

#[test]
fn tls_is_seen_by_its_first_byte_and_left_in_place() {
    let mut buffer = BytesMut::from(&b"\x16\x03\x01"[..]);
    assert_eq!(next(&mut buffer), Ok(Some(Opening::DirectTls)));
    assert_eq!(buffer.len(), 3);
}

#[test]
fn every_split_gives_the_same_packet() {
    let whole = packet(b"\0\x03\0\x02user\0ann\0database\0clinic\0\0");
    for split in 0..whole.len() {
        let mut buffer = BytesMut::from(&whole[..split]);
        assert_eq!(next(&mut buffer), Ok(None), "at {split}");
        buffer.extend_from_slice(&whole[split..]);
        buffer.extend_from_slice(b"Q");
        assert!(matches!(next(&mut buffer), Ok(Some(Opening::Startup(_)))));
        assert_eq!(&buffer[..], b"Q");
    }
}

#[test]
fn every_cut_with_a_length_that_fits_is_refused() {
    let body = b"\0\x03\0\0user\0ann\0database\0clinic\0\0";
    for end in 0..body.len() {
        assert!(next(&mut packet(&body[..end])).is_err(), "cut at {end}");
    }
    assert!(next(&mut packet(&[&body[..], b"\0"].concat())).is_err());
}

#[test]
fn lengths_out_of_bounds_are_refused_before_their_bytes_come() {
    for length in [i32::MIN, -1, 0, 7] {
        let mut buffer = BytesMut::from(&length.to_be_bytes()[..]);
        assert_eq!(next(&mut buffer), Err(WireError::BadLength { tag: 0, length }));
    }
    let mut buffer = BytesMut::from(&10_005i32.to_be_bytes()[..]);
    assert_eq!(next(&mut buffer), Err(WireError::TooLong { tag: 0, length: 10_005, limit: 10_004 }));
    // an HTTP request, which a health check may send
    assert!(next(&mut BytesMut::from(&b"GET / HTTP/1.1\r\n"[..])).is_err());
}

#[test]
fn what_a_startup_message_may_not_be() {
    assert_eq!(
        next(&mut packet(b"\0\x02\0\0user\0ann\0\0")),
        Err(WireError::UnsupportedVersion { major: 2, minor: 0 })
    );
    assert_eq!(
        next(&mut packet(b"\0\x04\0\0user\0ann\0\0")),
        Err(WireError::UnsupportedVersion { major: 4, minor: 0 })
    );
    for body in [
        &b"\0\x03\0\0\0"[..],                      // nobody
        b"\0\x03\0\0user\0\0\0",                   // an empty user
        b"\0\x03\0\0user\0\xff\xfe\0\0",           // not UTF-8
        b"\x04\xd2\x16\x2e\0\0\0\x01\x01\x02\x03", // a cancel key of 3 bytes
        b"\x04\xd2\x16\x2f\0",                     // an `SSLRequest` with more in it
    ] {
        assert!(next(&mut packet(body)).is_err(), "{}", body.escape_ascii());
    }
    let key = |length| packet(&[&b"\x04\xd2\x16\x2e\0\0\0\x01"[..], &vec![7; length]].concat());
    assert!(next(&mut key(257)).is_err());
    assert!(next(&mut key(256)).is_ok());
}

#[test]
fn versions_and_options_are_negotiated_down() {
    let negotiate = |version: &[u8], rest: &[u8]| startup(&[version, b"user\0ann\0", rest, b"\0"].concat()).negotiate();
    for (asked, given, tell) in [
        (b"\0\x03\0\0", Version::V3_0, false),
        (b"\0\x03\0\x01", Version::V3_0, true),
        (b"\0\x03\0\x02", Version::V3_2, false),
        (b"\0\x03\0\x03", Version::V3_2, true),
        (b"\0\x03\x27\x0f", Version::V3_2, true),
    ] {
        let negotiated = negotiate(asked, b"");
        assert_eq!((negotiated.version, negotiated.tell), (given, tell), "{asked:?}");
    }
    let negotiated = negotiate(b"\0\x03\0\0", b"_pq_.shiny\0yes\0");
    assert_eq!((negotiated.unsupported, negotiated.tell), (vec!["_pq_.shiny".to_owned()], true));
}

#[test]
fn debug_shows_no_values_and_no_keys() {
    let message = startup(b"\0\x03\0\0user\0ann\0password\0hunter\0\0");
    let cancel = CancelRequest { pid: 1, secret: b"hunter".to_vec() };
    let shown = format!("{message:?} {cancel:?}");
    assert!(!shown.contains("hunter") && !shown.contains("104"), "{shown}");
}

#[test]
fn options_are_read_as_the_server_reads_them() {
    let read = |text| {
        settings(text).map(|found| found.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())
    };
    assert_eq!(read(""), Ok(vec![]));
    assert_eq!(read("  \t\n"), Ok(vec![]));
    assert_eq!(
        read(r"-c a=1 -cb=2 --c-d=x\ y -c e=\\"),
        Ok(["a=1", "b=2", "c_d=x y", r"e=\"].map(String::from).to_vec())
    );
    assert_eq!(read("-c a="), Ok(vec!["a=".to_owned()]));
    assert_eq!(read("-c a=b=c"), Ok(vec!["a=b=c".to_owned()]));
    assert_eq!(read("-c"), Err(OptionsError::Incomplete));
    assert_eq!(read("-c =1"), Err(OptionsError::Incomplete));
    assert_eq!(read("-c geqo"), Err(OptionsError::NoValue("geqo".into())));
    assert_eq!(read("-B 5"), Err(OptionsError::UnknownSwitch("-B".into())));
    assert_eq!(read("secret"), Err(OptionsError::UnknownSwitch(String::new())));
}

proptest! {
    #[test]
    fn joined_settings_are_read_back(pairs in prop::collection::vec(("[a-z_.]{1,10}", "[^\0]{0,20}"), 0..5)) {
        let text = join(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        prop_assert_eq!(settings(&text).unwrap(), pairs);
    }

    #[test]
    fn another_implementation_writes_the_same(pairs in prop::collection::vec(("[a-z_.]{1,10}", "[^\0]{0,20}"), 0..5)) {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (mut ours, mut other) = (BytesMut::new(), BytesMut::new());
        encode::startup(&mut ours, Version::V3_0, pairs.iter().copied()).unwrap();
        theirs::startup_message(pairs.iter().copied(), &mut other).unwrap();
        prop_assert_eq!(&ours, &other);
        if pairs.iter().rev().find(|(name, _)| *name == "user").is_some_and(|(_, user)| !user.is_empty()) {
            let Ok(Some(Opening::Startup(message))) = next(&mut ours) else { panic!() };
            prop_assert_eq!(message.parameters.len(), pairs.len());
        }
    }
}
