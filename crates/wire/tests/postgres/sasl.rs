use bytes::Bytes;
use chaperone_wire::postgres::HEADER;
use chaperone_wire::postgres::sasl::{Discovery, Exchange, SaslError, Step};

fn start() -> (Bytes, Exchange) {
    Exchange::start(Discovery {
        openid_configuration: "https://issuer.example/.well-known/openid-configuration".into(),
        scope: "openid db".into(),
    })
}

/// The body of a `SASLInitialResponse`.
fn initial(data: &[u8]) -> Vec<u8> {
    [&b"OAUTHBEARER\0"[..], &i32::try_from(data.len()).unwrap().to_be_bytes(), data].concat()
}

fn take(data: &[u8]) -> Result<Step, SaslError> {
    start().1.take(&initial(data))
}

#[test]
fn the_offer() {
    assert_eq!(&start().0[..], b"R\0\0\0\x15\0\0\0\x0aOAUTHBEARER\0\0");
}

#[test]
fn a_token_is_found() {
    for data in [
        &b"n,,\x01auth=Bearer ab.c-_~+/1==\x01\x01"[..],
        b"y,,\x01auth=bearer ab.c-_~+/1==\x01\x01",
        b"n,,\x01host=db.example\x01port=5432\x01auth=BEARER   ab.c-_~+/1==\x01\x01",
    ] {
        let Ok(Step::Verify(token, _)) = take(data) else { panic!("{}", data.escape_ascii()) };
        assert_eq!(token.expose(), "ab.c-_~+/1==");
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}

#[test]
fn a_bad_token_is_refused_in_three_steps() {
    let Ok(Step::Verify(_, verdict)) = take(b"n,,\x01auth=Bearer expired\x01\x01") else { panic!() };
    let (reply, exchange) = verdict.refuse();
    assert_eq!(
        &reply[..HEADER + 4],
        [b"R\0\0\0", &[u8::try_from(reply.len() - 1).unwrap()][..], b"\0\0\0\x0b"].concat()
    );
    let told: serde_json::Value = serde_json::from_slice(&reply[HEADER + 4..]).unwrap();
    assert_eq!(
        told,
        serde_json::json!({
            "status": "invalid_token",
            "scope": "openid db",
            "openid-configuration": "https://issuer.example/.well-known/openid-configuration",
        })
    );
    assert!(matches!(exchange.take(b"\x01"), Ok(Step::Failed)));
}

#[test]
fn a_refused_client_may_not_go_on() {
    for body in [&b""[..], b"\x01\x01", b"n,,\x01auth=Bearer again\x01\x01"] {
        let Ok(Step::Verify(_, verdict)) = take(b"n,,\x01auth=Bearer expired\x01\x01") else { panic!() };
        assert!(matches!(verdict.refuse().1.take(body), Err(SaslError::Malformed(_))));
    }
}

#[test]
fn a_client_without_a_token_is_told_where_to_get_one() {
    let Ok(Step::Reply(reply, exchange)) = take(b"n,,\x01auth=\x01\x01") else { panic!() };
    assert!(reply.ends_with(b"}"));
    assert!(matches!(exchange.take(b"\x01"), Ok(Step::Failed)));
}

#[test]
fn the_data_may_come_after_the_choice() {
    let Ok(Step::Reply(reply, exchange)) = start().1.take(b"OAUTHBEARER\0\xff\xff\xff\xff") else { panic!() };
    assert_eq!(&reply[..], b"R\0\0\0\x08\0\0\0\x0b");
    let Ok(Step::Verify(token, _)) = exchange.take(b"n,,\x01auth=Bearer late\x01\x01") else { panic!() };
    assert_eq!(token.expose(), "late");
}

#[test]
fn what_is_refused() {
    let other = start().1.take(b"SCRAM-SHA-256\0\0\0\0\0");
    assert_eq!(other.unwrap_err(), SaslError::Mechanism);
    assert_eq!(take(b"p=tls-unique,,\x01auth=Bearer x\x01\x01").unwrap_err(), SaslError::ChannelBinding);
    assert_eq!(take(b"n,a=root,\x01auth=Bearer x\x01\x01").unwrap_err(), SaslError::AuthorizationIdentity);
    for data in [
        &b"n,,\x01\x01"[..],                              // no `auth`
        b"n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01", // two
        b"n,,\x01auth=Basic YTpi\x01\x01",                // another scheme
        b"n,,\x01auth=Bearer \x01\x01",                   // nothing
        b"n,,\x01auth=Bearer ==\x01\x01",                 // padding of nothing
        b"n,,\x01auth=Bearer a b\x01\x01",                // a space
        b"n,,\x01auth=Bearer a\0b\x01\x01",               // a NUL
        b"n,,\x01auth=Bearer \xc3\xa9\x01\x01",           // not ASCII
        b"n,,\x01auth\x01\x01",                           // no value
        b"n,,\x01a1=x\x01auth=Bearer a\x01\x01",          // not a key
        b"n,,\x01auth=Bearer a\x01\x01x",                 // more
        b"x,,\x01auth=Bearer a\x01\x01",                  // no such flag
        b"auth=Bearer a\x01\x01",
    ] {
        assert!(matches!(take(data), Err(SaslError::Malformed(_))), "{}", data.escape_ascii());
    }
}

#[test]
fn every_cut_is_refused() {
    let data = b"n,,\x01auth=Bearer token\x01\x01";
    for end in 0..data.len() {
        assert!(take(&data[..end]).is_err(), "cut at {end}");
        assert!(start().1.take(&initial(data)[..end]).is_err(), "cut at {end}");
    }
}
