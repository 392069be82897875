use bytes::BytesMut;
use chaperone_model::{Refusal, SqlState};
use chaperone_wire::postgres::backend::{
    Authentication, Column, CommandComplete, CopyResponse, Fields, Message, NegotiateProtocolVersion, Report, Severity,
    Tag, TransactionStatus, encode, field,
};
use chaperone_wire::postgres::startup::Version;
use chaperone_wire::postgres::{HEADER, WireError};
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::Message as Theirs;
use proptest::prelude::*;

use crate::golden::BACKEND;

fn parse(message: &[u8]) -> Result<Message<'_>, WireError> {
    Message::parse(Tag::from_byte(message[0]).unwrap(), &message[HEADER..])
}

#[test]
fn golden() {
    let read: Vec<_> = BACKEND.iter().map(|message| parse(message).unwrap()).collect();
    let authentication: Vec<_> = read
        .iter()
        .filter_map(|message| match message {
            Message::Authentication(authentication) => Some(authentication.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(
        authentication,
        [
            Authentication::Ok,
            Authentication::KerberosV5,
            Authentication::CleartextPassword,
            Authentication::Md5Password { salt: *b"salt" },
            Authentication::Gss,
            Authentication::Sspi,
            Authentication::Sasl { mechanisms: vec![b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256"] },
            Authentication::GssContinue(b"abc"),
            Authentication::SaslContinue(b"r=x"),
            Authentication::SaslFinal(b"v=x"),
        ]
    );
    for message in &read[10..] {
        match message {
            Message::ParameterStatus(status) => {
                assert_eq!((status.name, status.value), (&b"client_encoding"[..], &b"UTF8"[..]))
            }
            Message::BackendKeyData(key) => assert_eq!((key.pid, key.secret), (12345, &[1, 2, 3, 4][..])),
            Message::NegotiateProtocolVersion(negotiate) => assert_eq!(
                negotiate,
                &NegotiateProtocolVersion { version: Version::V3_0, unsupported: vec![b"_pq_.shiny"] }
            ),
            Message::ParameterDescription(types) => assert_eq!(types, &[23]),
            Message::RowDescription(rows) => assert_eq!(
                rows.columns,
                [Column { name: b"mrn", table_oid: 16385, attnum: 2, type_oid: 23, typlen: 4, typmod: -1, format: 0 }]
            ),
            Message::DataRow(row) => assert_eq!(row.values, [Some(&b"7"[..]), None]),
            Message::CommandComplete(complete) => assert_eq!(complete.rows(), Some(1)),
            Message::ReadyForQuery(status) => assert_eq!(*status, TransactionStatus::Idle),
            Message::ErrorResponse(fields) => {
                assert_eq!((fields.code(), fields.severity()), ("42P01", Some(Severity::Error)));
                assert_eq!(fields.get(field::POSITION), Some(&b"15"[..]));
                assert_eq!(fields.get(field::HINT), None);
            }
            Message::NoticeResponse(fields) => assert_eq!(fields.severity(), Some(Severity::Notice)),
            Message::NotificationResponse(said) => {
                assert_eq!((said.pid, said.channel, said.payload), (42, &b"news"[..], &b"new"[..]));
            }
            Message::CopyInResponse(copy) => assert_eq!(copy, &CopyResponse { format: 0, columns: vec![0] }),
            Message::CopyOutResponse(copy) => assert_eq!(copy, &CopyResponse { format: 1, columns: vec![1, 1] }),
            Message::CopyBothResponse(copy) => assert_eq!(copy, &CopyResponse { format: 0, columns: vec![] }),
            Message::CopyData(length) => assert_eq!(*length, 2),
            Message::FunctionCallResponse(value) => assert_eq!(*value, Some(4)),
            Message::Authentication(_)
            | Message::BindComplete
            | Message::CloseComplete
            | Message::CopyDone
            | Message::EmptyQueryResponse
            | Message::NoData
            | Message::ParseComplete
            | Message::PortalSuspended => {}
        }
    }
}

#[test]
fn every_cut_and_every_surplus_is_refused() {
    for message in BACKEND {
        let tag = Tag::from_byte(message[0]).unwrap();
        let body = &message[HEADER..];
        let open_ended = match parse(message).unwrap() {
            Message::CopyData(_) => continue,
            Message::Authentication(
                Authentication::GssContinue(_) | Authentication::SaslContinue(_) | Authentication::SaslFinal(_),
            )
            | Message::BackendKeyData(_) => true,
            _ => false,
        };
        for end in 0..body.len() {
            let cut = Message::parse(tag, &body[..end]);
            assert!(cut.is_err() || (open_ended && end >= 4), "{tag:?} cut at {end}");
        }
        let longer = [body, b"\0"].concat();
        assert!(open_ended || Message::parse(tag, &longer).is_err(), "{tag:?} with a byte too many");
    }
}

#[test]
fn values_that_do_not_exist_are_refused() {
    for (tag, body) in [
        (Tag::Authentication, &b"\0\0\0\x01"[..]),
        (Tag::Authentication, b"\0\0\0\x0a\0"),
        (Tag::ReadyForQuery, b"X"),
        (Tag::BackendKeyData, b"\0\0\0\x01abc"),
        (Tag::DataRow, b"\0\x01\xff\xff\xff\xfe"),
        (Tag::NegotiateProtocolVersion, b"\0\x03\0\0\xff\xff\xff\xff"),
        (Tag::NegotiateProtocolVersion, b"\0\x03\0\0\x7f\xff\xff\xff"),
    ] {
        assert!(Message::parse(tag, body).is_err(), "{tag:?} {}", body.escape_ascii());
    }
    let key = [&[0; 4][..], &[1; 257]].concat();
    assert!(Message::parse(Tag::BackendKeyData, &key).is_err());
    assert!(Message::parse(Tag::BackendKeyData, &key[..260]).is_ok());
}

#[test]
fn command_tags_count_rows() {
    for (tag, verb, rows) in [
        ("SELECT 5", "SELECT", Some(5)),
        ("INSERT 0 12", "INSERT", Some(12)),
        ("COPY 3", "COPY", Some(3)),
        ("MERGE 18446744073709551615", "MERGE", Some(u64::MAX)),
        ("FETCH 18446744073709551616", "FETCH", None),
        ("CREATE TABLE", "CREATE TABLE", None),
        ("BEGIN", "BEGIN", None),
        ("12", "12", None),
        ("", "", None),
    ] {
        let complete = CommandComplete { tag: tag.as_bytes() };
        assert_eq!((complete.verb(), complete.rows()), (verb.as_bytes(), rows), "{tag}");
    }
}

#[test]
fn a_bare_minor_version_is_understood_too() {
    let negotiate = NegotiateProtocolVersion::parse(b"\0\0\0\x02\0\0\0\0").unwrap();
    assert_eq!(negotiate.version, Version::V3_2);
}

#[test]
fn a_refusal_becomes_an_error_with_rule_and_hint() {
    let refusal = Refusal {
        code: SqlState::INSUFFICIENT_PRIVILEGE,
        rule: "policy.select",
        message: "not \0permitted".into(),
        detail: "no policy permits `select` on `clinic.patient`".into(),
        hint: "ask for a grant".into(),
    };
    let mut out = BytesMut::new();
    Report::refusal(Severity::Error, &refusal).encode(&mut out);
    let fields = Fields::parse(&out[HEADER..]).unwrap();
    let fields: Vec<_> =
        fields.iter().map(|(code, text)| (char::from(code), std::str::from_utf8(text).unwrap())).collect();
    assert_eq!(
        fields,
        [
            ('S', "ERROR"),
            ('V', "ERROR"),
            ('C', "42501"),
            ('M', "not permitted"),
            ('D', "no policy permits `select` on `clinic.patient` (rule `policy.select`)"),
            ('H', "ask for a grant"),
        ]
    );
    assert_eq!(out[0], b'E');
    out.clear();
    Report::new(Severity::Warning, "01000", "careful").encode(&mut out);
    assert_eq!(out[0], b'N');
}

#[test]
fn a_code_that_is_none_is_not_repeated() {
    assert_eq!(Fields::parse(b"Cab'c\0\0").unwrap().code(), "XX000");
    assert_eq!(Fields::parse(b"\0").unwrap().code(), "XX000");
}

#[test]
fn debug_shows_no_data() {
    for message in [&b"D\0\0\0\x0d\0\x01\0\0\0\x03ssn"[..], b"E\0\0\0\x0aMssn\0\0", b"A\0\0\0\x0d\0\0\0\x01a\0ssn\0"] {
        let shown = format!("{:?}", parse(message).unwrap());
        assert!(!shown.contains("ssn"), "{shown}");
    }
}

/// The one message in a buffer, as another implementation reads it.
fn theirs(write: impl FnOnce(&mut BytesMut) -> Result<(), WireError>) -> Theirs {
    let mut buffer = BytesMut::new();
    write(&mut buffer).unwrap();
    let message = Theirs::parse(&mut buffer).unwrap().unwrap();
    assert!(buffer.is_empty());
    message
}

fn column() -> impl Strategy<Value = (String, u32, i16, u32, i16, i32, i16)> {
    ("[^\0]{0,20}", any::<u32>(), any::<i16>(), any::<u32>(), any::<i16>(), any::<i32>(), 0i16..2)
}

proptest! {
    #[test]
    fn another_implementation_reads_the_same(
        columns in prop::collection::vec(column(), 0..5),
        values in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), 0..6),
        types in prop::collection::vec(any::<u32>(), 0..6),
        (name, value) in ("[^\0]{0,20}", "[^\0]{0,20}"),
        pid in any::<i32>(),
    ) {
        let described: Vec<_> = columns
            .iter()
            .map(|(name, table_oid, attnum, type_oid, typlen, typmod, format)| Column {
                name: name.as_bytes(),
                table_oid: *table_oid,
                attnum: *attnum,
                type_oid: *type_oid,
                typlen: *typlen,
                typmod: *typmod,
                format: *format,
            })
            .collect();
        let Theirs::RowDescription(rows) = theirs(|b| encode::row_description(b, &described)) else { panic!() };
        let read: Vec<_> = rows
            .fields()
            .map(|f| {
                let (name, types) = (f.name().to_owned(), (f.type_oid(), f.type_size(), f.type_modifier()));
                Ok((name, f.table_oid(), f.column_id(), types.0, types.1, types.2, f.format()))
            })
            .collect()
            .unwrap();
        prop_assert_eq!(read, columns);

        let row: Vec<_> = values.iter().map(Option::as_deref).collect();
        let Theirs::DataRow(data) = theirs(|b| encode::data_row(b, &row)) else { panic!() };
        let read: Vec<_> = data.ranges().map(|range| Ok(range.map(|range| data.buffer()[range].to_vec()))).collect().unwrap();
        prop_assert_eq!(read, values);

        let Theirs::ParameterDescription(description) = theirs(|b| encode::parameter_description(b, &types)) else { panic!() };
        prop_assert_eq!(description.parameters().collect::<Vec<_>>().unwrap(), types);

        let Theirs::ParameterStatus(status) = theirs(|b| encode::parameter_status(b, name.as_bytes(), value.as_bytes())) else { panic!() };
        prop_assert_eq!((status.name().unwrap(), status.value().unwrap()), (name.as_str(), value.as_str()));

        let Theirs::NotificationResponse(said) = theirs(|b| encode::notification(b, pid, name.as_bytes(), value.as_bytes())) else { panic!() };
        prop_assert_eq!((said.process_id(), said.channel().unwrap(), said.message().unwrap()), (pid, name.as_str(), value.as_str()));

        let Theirs::BackendKeyData(key) = theirs(|b| encode::backend_key_data(b, pid, &pid.to_be_bytes())) else { panic!() };
        prop_assert_eq!((key.process_id(), key.secret_key()), (pid, pid));

        let Theirs::CommandComplete(complete) = theirs(|b| encode::command_complete(b, name.as_bytes())) else { panic!() };
        prop_assert_eq!(complete.tag().unwrap(), name.as_str());

        let Theirs::CopyOutResponse(copy) = theirs(|b| encode::copy_response(b, Tag::CopyOutResponse, 1, &[1, 1])) else { panic!() };
        prop_assert_eq!((copy.format(), copy.column_formats().collect::<Vec<_>>().unwrap()), (1, vec![1, 1]));

        let sasl = Authentication::Sasl { mechanisms: vec![b"A", b"B"] };
        let Theirs::AuthenticationSasl(body) = theirs(|b| encode::authentication(b, &sasl)) else { panic!() };
        prop_assert_eq!(body.mechanisms().map(|m| Ok(m.to_owned())).collect::<Vec<_>>().unwrap(), ["A", "B"]);

        let error = theirs(|b| {
            Report::fatal("57P01", name.as_str()).detail(value.as_str()).encode(b);
            Ok(())
        });
        let Theirs::ErrorResponse(error) = error else { panic!() };
        let fields: Vec<_> = error.fields().map(|f| Ok((f.type_(), String::from_utf8(f.value_bytes().to_vec()).unwrap()))).collect().unwrap();
        prop_assert_eq!(
            fields,
            [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', "57P01"), (b'M', &name), (b'D', &value)]
                .map(|(code, text)| (code, text.to_owned()))
        );

        for (tag, status) in [(b'I', TransactionStatus::Idle), (b'T', TransactionStatus::InTransaction), (b'E', TransactionStatus::Failed)] {
            let message = theirs(|b| {
                encode::ready_for_query(b, status);
                Ok(())
            });
            let Theirs::ReadyForQuery(ready) = message else { panic!() };
            prop_assert_eq!(ready.status(), tag);
        }
    }
}
