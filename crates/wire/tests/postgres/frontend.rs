use bytes::BytesMut;
use chaperone_wire::postgres::frontend::{
    Bind, Close, Describe, Execute, FunctionCall, Message, Object, Parse, Query, SaslInitial, Tag, bind_names, encode,
    password,
};
use chaperone_wire::postgres::{HEADER, WireError};
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend as theirs;
use proptest::prelude::*;

use crate::golden::FRONTEND;

fn parse(message: &[u8]) -> Result<Message<'_>, WireError> {
    Message::parse(Tag::from_byte(message[0]).unwrap(), &message[HEADER..])
}

#[test]
fn golden() {
    let read: Vec<_> = FRONTEND.iter().map(|message| parse(message).unwrap()).collect();
    let expected = vec![
        Message::Query(Query { text: b"SELECT 1" }),
        Message::Parse(Parse { name: b"s1", text: b"SELECT $1::int4", types: vec![23, 0] }),
        Message::Bind(Bind {
            portal: b"p1",
            statement: b"s1",
            formats: vec![1, 0],
            params: vec![Some(18..22), None],
            result_formats: vec![1],
        }),
        Message::Describe(Describe { object: Object::Statement, name: b"s1" }),
        Message::Describe(Describe { object: Object::Portal, name: b"" }),
        Message::Execute(Execute { portal: b"p1", max_rows: 100 }),
        Message::Close(Close { object: Object::Portal, name: b"p1" }),
        Message::Flush,
        Message::Sync,
        Message::FunctionCall(FunctionCall { oid: 1341, formats: vec![1], args: vec![Some(14..18)], result_format: 1 }),
        Message::CopyData(4),
        Message::CopyDone,
        Message::CopyFail,
        Message::Password,
        Message::Terminate,
    ];
    assert_eq!(read, expected);
    let Message::Bind(bind) = &read[2] else { unreachable!() };
    assert_eq!(FRONTEND[2][HEADER..].get(bind.params[0].clone().unwrap()), Some(&b"\0\0\0\x07"[..]));
    assert_eq!((bind.format(0), bind.format(1), bind.result_format(9)), (1, 0, 1));
    assert_eq!(bind_names(&FRONTEND[2][HEADER..]), Ok((&b"p1"[..], &b"s1"[..])));
    assert_eq!(password(&FRONTEND[13][HEADER..]), Ok(&b"secret"[..]));
}

#[test]
fn every_cut_and_every_surplus_is_refused() {
    for message in FRONTEND {
        let tag = Tag::from_byte(message[0]).unwrap();
        if matches!(tag, Tag::CopyData | Tag::Password) {
            continue;
        }
        let body = &message[HEADER..];
        for end in 0..body.len() {
            assert!(Message::parse(tag, &body[..end]).is_err(), "{tag:?} cut at {end}");
        }
        assert!(Message::parse(tag, &[body, b"\0"].concat()).is_err(), "{tag:?} with a byte too many");
    }
}

#[test]
fn values_that_do_not_exist_are_refused() {
    let bad = |result: Result<Message<'_>, WireError>| matches!(result, Err(WireError::BadField { .. }));
    assert!(bad(Message::parse(Tag::Describe, b"Xs1\0")));
    assert!(bad(Message::parse(Tag::Close, b"\0s1\0")));
    // a length of -2
    assert!(bad(Message::parse(Tag::Bind, b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0")));
    // two formats for three parameters
    let three = [&b"\0\0\0\x02\0\0\0\0\0\x03"[..], &[0xff; 12], b"\0\0"].concat();
    assert!(bad(Message::parse(Tag::Bind, &three)));
    // a count of 65,535 with nothing behind it
    assert!(Message::parse(Tag::Parse, b"\0\0\xff\xff").is_err());
}

#[test]
fn encoders_refuse_what_cannot_be_said_and_leave_the_buffer_alone() {
    let mut buffer = BytesMut::from(&b"before"[..]);
    assert_eq!(encode::query(&mut buffer, b"a\0b"), Err(WireError::EmbeddedNul { message: "Query" }));
    assert_eq!(encode::parse(&mut buffer, b"", b"", &vec![0; 65_536]), Err(WireError::TooLarge { message: "Parse" }));
    assert!(encode::cancel_request(&mut buffer, 1, b"abc").is_err());
    assert_eq!(&buffer[..], b"before");
}

#[test]
fn debug_shows_no_data() {
    let query = parse(b"Q\0\0\0\x10SELECT 'ssn'\0").map(|m| format!("{m:?}"));
    let initial = SaslInitial::parse(b"OAUTHBEARER\0\0\0\0\x03tok").map(|m| format!("{m:?}"));
    assert!(!query.unwrap().contains("ssn"));
    assert!(!initial.unwrap().contains("tok"));
}

fn ours(write: impl FnOnce(&mut BytesMut) -> Result<(), WireError>) -> BytesMut {
    let mut buffer = BytesMut::new();
    write(&mut buffer).unwrap();
    buffer
}

fn other(write: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut buffer = BytesMut::new();
    write(&mut buffer);
    buffer
}

fn text() -> impl Strategy<Value = String> {
    "[^\0]{0,40}"
}

proptest! {
    #[test]
    fn another_implementation_writes_the_same(
        (name, sql) in (text(), text()),
        types in prop::collection::vec(any::<u32>(), 0..6),
        params in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..50)), 0..6),
        rows in any::<i32>(),
        format in 0i16..2,
    ) {
        prop_assert_eq!(
            ours(|b| encode::query(b, sql.as_bytes())),
            other(|b| theirs::query(&sql, b).unwrap())
        );
        prop_assert_eq!(
            ours(|b| encode::parse(b, name.as_bytes(), sql.as_bytes(), &types)),
            other(|b| theirs::parse(&name, &sql, types.iter().copied(), b).unwrap())
        );
        let values: Vec<_> = params.iter().map(Option::as_deref).collect();
        let bound = encode::Bound { formats: &[format], params: &values, results: &[format, 1 - format] };
        let bind = ours(|b| encode::bind(b, name.as_bytes(), sql.as_bytes(), &bound));
        let serialize = |value: Option<&[u8]>, b: &mut BytesMut| {
            Ok(value.map_or(IsNull::Yes, |value| {
                b.extend_from_slice(value);
                IsNull::No
            }))
        };
        let results = [format, 1 - format];
        prop_assert_eq!(
            &bind,
            &other(|b| {
                let written = theirs::bind(&name, &sql, [format], values.clone(), serialize, results, b);
                assert!(written.is_ok());
            })
        );
        let read = Bind::parse(&bind[HEADER..]).unwrap();
        let found: Vec<_> = read.params.iter().map(|p| p.clone().map(|range| &bind[HEADER..][range])).collect();
        prop_assert_eq!(found, values);
        prop_assert_eq!(
            ours(|b| encode::execute(b, name.as_bytes(), rows)),
            other(|b| theirs::execute(&name, rows, b).unwrap())
        );
        prop_assert_eq!(
            ours(|b| encode::describe(b, Object::Portal, name.as_bytes())),
            other(|b| theirs::describe(b'P', &name, b).unwrap())
        );
        prop_assert_eq!(
            ours(|b| encode::close(b, Object::Statement, name.as_bytes())),
            other(|b| theirs::close(b'S', &name, b).unwrap())
        );
        prop_assert_eq!(
            ours(|b| encode::password(b, name.as_bytes())),
            other(|b| theirs::password_message(name.as_bytes(), b).unwrap())
        );
        prop_assert_eq!(
            ours(|b| encode::sasl_initial(b, name.as_bytes(), Some(sql.as_bytes()))),
            other(|b| theirs::sasl_initial_response(&name, sql.as_bytes(), b).unwrap())
        );
        prop_assert_eq!(
            ours(|b| encode::copy_fail(b, name.as_bytes())),
            other(|b| theirs::copy_fail(&name, b).unwrap())
        );
        prop_assert_eq!(
            ours(|b| encode::copy_data(b, sql.as_bytes())),
            other(|b| theirs::CopyData::new(sql.as_bytes()).unwrap().write(b))
        );
        prop_assert_eq!(
            ours(|b| encode::cancel_request(b, rows, &rows.to_be_bytes())),
            other(|b| theirs::cancel_request(rows, rows, b))
        );
        let empty = |b: &mut BytesMut| {
            encode::sync(b);
            encode::flush(b);
            encode::terminate(b);
            encode::copy_done(b);
            encode::ssl_request(b);
        };
        let other_empty = |b: &mut BytesMut| {
            theirs::sync(b);
            theirs::flush(b);
            theirs::terminate(b);
            theirs::copy_done(b);
            theirs::ssl_request(b);
        };
        prop_assert_eq!(other(empty), other(other_empty));
    }
}

#[test]
fn columns_in_front_have_their_formats() {
    let portal = |results: &[i16]| {
        let mut buffer = BytesMut::new();
        let bound = encode::Bound { formats: &[1], params: &[Some(b"x"), None], results };
        encode::bind(&mut buffer, b"p", b"s", &bound).unwrap();
        buffer
    };
    for (results, expected) in
        [(&[][..], &[][..]), (&[1], &[1]), (&[1, 0], &[0, 0, 1, 0]), (&[1, 1, 1], &[0, 0, 1, 1, 1])]
    {
        let mut with = BytesMut::new();
        encode::bind_with_leading(&mut with, &portal(results)[HEADER..], 2).unwrap();
        assert_eq!(with, portal(expected), "{results:?}");
    }
    let cut = &portal(&[1, 0])[HEADER..];
    for length in 0..cut.len() {
        let mut out = BytesMut::new();
        assert!(encode::bind_with_leading(&mut out, &cut[..length], 1).is_err() && out.is_empty());
    }
}
