use chaperone_model::{
    Action, AiModel, Effects, Enumerated, Facts, Masks, Need, Principal, Refusal, Rung, SqlState, TableName,
    TokenFacts, Workload,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn principal() -> Principal {
    Principal {
        issuer: "corp".into(),
        issuer_url: "https://issuer.example".into(),
        agent: "summarizer".into(),
        acts_for: Some("dr.lee".into()),
        groups: vec!["care-agents".into()],
        scopes: vec!["db".into()],
        model: Some(AiModel { name: "m".into(), version: Some("4".into()) }),
        purpose: Some("treatment".into()),
        workload: Some(Workload {
            namespace: "agents".into(),
            service_account: "summarizer".into(),
            pod: Some("p-1".into()),
            pod_uid: None,
            node: None,
        }),
        token: TokenFacts {
            id: Some("t1".into()),
            key_id: None,
            algorithm: "RS256".into(),
            issued_at: Some(1),
            expires_at: 2,
        },
    }
}

fn at(seq: u64) -> Option<Place> {
    Some(Place { session: "0193".into(), seq })
}

fn record(place: Option<Place>, body: Body) -> Record {
    Record { time: Time::from_micros(1_795_547_534_000_120), place, body }
}

fn opened() -> Record {
    let mut masks = Masks::default();
    masks.set(&TableName::new("clinic", "patient"), "ssn", Rung::Redacted);
    masks.set(&TableName::new("clinic", "patient"), "born", Rung::Partial);
    masks.set(&TableName::new("clinic", "patient"), "seen", Rung::Redacted);
    masks.permit_filter(&TableName::new("clinic", "patient"), "seen");
    masks.permit_probe(&TableName::new("clinic", "patient"), "ssn");
    record(
        at(0),
        Body::SessionOpened(Box::new(SessionOpened {
            abridged: false,
            application_name: Some("psql".into()),
            classification: "c1".into(),
            connection: "clinic".into(),
            masks: Some(masks),
            peer: "10.0.0.7:5".into(),
            policy: "p1".into(),
            principal: principal(),
            server_version: Some("18.1".into()),
            tls: Some("TLSv1.3".into()),
        })),
    )
}

fn received() -> Record {
    let facts = Facts {
        kind: "SELECT".into(),
        needs: vec![Need { action: Action::Select, table: Some(TableName::new("clinic", "patient")) }],
        has_where: true,
        effects: Effects::None,
    };
    let statement = Statement {
        estimated_rows: None,
        decision: Ruling::allowed(&["care"]),
        facts: Some(facts),
        fingerprint: Some("ab12".into()),
        id: 1,
        normalized: Some("SELECT ssn FROM clinic.patient WHERE id = $1".into()),
        op: Op::Query,
        refers_to: None,
        rewritten: true,
    };
    let payload = PayloadRef { bytes: 40, commit: "c0".into(), ct_sha256: "d1".into() };
    record(
        at(1),
        Body::Received(Received {
            abridged: false,
            input: Span { from: 0, to: 40 },
            payload: Some(payload),
            statements: vec![statement],
        }),
    )
}

/// What is on disk for years must not change by accident.
#[test]
fn golden_bytes() {
    let text = |mut record: Record| String::from_utf8(record.to_bytes()).unwrap();
    assert_eq!(
        text(opened()),
        concat!(
            r#"{"application_name":"psql","classification_version":"c1","connection":"clinic","kind":"session_opened","#,
            r#""masks":{"clinic.patient":{"born":"partial","seen":"redacted+filter","ssn":"redacted+probe"}},"peer":"10.0.0.7:5","policy_version":"p1","#,
            r#""principal":{"acts_for":"dr.lee","agent":"summarizer","groups":["care-agents"],"issuer":"corp","#,
            r#""issuer_url":"https://issuer.example","model":{"name":"m","version":"4"},"purpose":"treatment","#,
            r#""scopes":["db"],"token":{"algorithm":"RS256","expires_at":2,"id":"t1","issued_at":1},"#,
            r#""workload":{"namespace":"agents","pod":"p-1","service_account":"summarizer"}},"seq":0,"#,
            r#""server_version":"18.1","session":"0193","time":"2026-11-24T19:12:14.000120Z","tls":"TLSv1.3","v":1}"#,
        )
    );
    let masks = match opened().body {
        Body::SessionOpened(body) => body.masks,
        _ => None,
    };
    let changed = AuthorityChanged { abridged: false, classification: "c2".into(), masks, policy: "p2".into() };
    assert_eq!(
        text(record(at(4), Body::AuthorityChanged(Box::new(changed)))),
        concat!(
            r#"{"classification_version":"c2","kind":"authority_changed","#,
            r#""masks":{"clinic.patient":{"born":"partial","seen":"redacted+filter","ssn":"redacted+probe"}},"policy_version":"p2","seq":4,"#,
            r#""session":"0193","time":"2026-11-24T19:12:14.000120Z","v":1}"#,
        )
    );
    let changed = ClassificationChanged { connection: "clinic".into(), previous: "c1".into(), version: "c2".into() };
    assert_eq!(
        text(record(None, Body::ClassificationChanged(changed))),
        concat!(
            r#"{"connection":"clinic","kind":"classification_changed","previous":"c1","#,
            r#""time":"2026-11-24T19:12:14.000120Z","v":1,"version":"c2"}"#,
        )
    );
    assert_eq!(
        text(received()),
        concat!(
            r#"{"in":{"from":0,"to":40},"kind":"received","payload":{"bytes":40,"commit":"c0","ct_sha256":"d1"},"#,
            r#""seq":1,"session":"0193","statements":[{"decision":{"policies":["care"],"verdict":"allow"},"#,
            r#""facts":{"effects":"none","has_where":true,"kind":"SELECT","needs":[{"action":"select","#,
            r#""table":"clinic.patient"}]},"fingerprint":"ab12","id":1,"#,
            r#""normalized":"SELECT ssn FROM clinic.patient WHERE id = $1","op":"query","rewritten":true}],"#,
            r#""time":"2026-11-24T19:12:14.000120Z","v":1}"#,
        )
    );
    assert_eq!(
        text(record(
            at(3),
            Body::SessionClosed(SessionClosed { input: 40, output: 1 << 53, reason: CloseReason::Agent, records: 4 })
        )),
        concat!(
            r#"{"in":40,"kind":"session_closed","out":"9007199254740992","reason":"agent","records":4,"seq":3,"#,
            r#""session":"0193","time":"2026-11-24T19:12:14.000120Z","v":1}"#,
        )
    );
}

fn canonical(bytes: &[u8]) -> Vec<u8> {
    let value: Value = serde_json::from_slice(bytes).unwrap();
    serde_json_canonicalizer::to_vec(&value).unwrap()
}

fn holds(mut record: Record) {
    let bytes = record.to_bytes();
    assert!(bytes.len() <= MAX_RECORD, "{} bytes", bytes.len());
    assert_eq!(String::from_utf8_lossy(&canonical(&bytes)), String::from_utf8_lossy(&bytes));
    assert_eq!(Record::parse(&bytes), Ok(record));
}

/// Any text, with what is hard: controls, quotes, beyond the first plane.
fn text(max: usize) -> impl Strategy<Value = String> + Clone {
    let char = prop_oneof![
        4 => any::<char>(),
        2 => prop::char::range('\u{0}', '\u{7f}'),
        1 => Just('"'),
        1 => Just('\u{1F600}'),
        1 => Just('\u{FB33}'),
        1 => Just('.'),
    ];
    vec(char, 0..max).prop_map(String::from_iter)
}

fn number() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![any::<u64>(), 0..100u64, Just((1 << 53) - 1), Just(1 << 53)]
}

fn table() -> impl Strategy<Value = TableName> + Clone {
    (text(8), text(8)).prop_map(|(schema, name)| TableName::new(schema, name))
}

fn statement() -> impl Strategy<Value = Statement> {
    let needs = vec(option::of(table()).prop_map(|table| Need { action: Action::Update, table }), 0..4);
    let facts = (text(12), needs, any::<bool>()).prop_map(|(kind, needs, has_where)| Facts {
        kind,
        needs,
        has_where,
        effects: Effects::Possible,
    });
    let refusal = Refusal {
        code: SqlState::INSUFFICIENT_PRIVILEGE,
        rule: "policy.select",
        message: String::new(),
        detail: String::new(),
        hint: String::new(),
    };
    (option::of(facts), option::of(text(400)), number(), option::of(number()), vec(text(9), 0..3)).prop_map(
        move |(facts, normalized, id, refers_to, policies)| Statement {
            estimated_rows: refers_to,
            decision: Ruling::denied(&policies, &refusal),
            facts,
            fingerprint: None,
            id,
            normalized,
            op: Op::Execute,
            refers_to,
            rewritten: false,
        },
    )
}

fn body() -> impl Strategy<Value = Body> {
    let reference =
        (number(), text(70)).prop_map(|(bytes, commit)| PayloadRef { bytes, ct_sha256: commit.clone(), commit });
    let span = (number(), number()).prop_map(|(from, to)| Span { from, to });
    let received = (span.clone(), option::of(reference.clone()), vec(statement(), 0..40)).prop_map(
        |(input, payload, statements)| Body::Received(Received { abridged: false, input, payload, statements }),
    );
    let finished =
        (number(), number(), option::of(number()), option::of(text(20))).prop_map(|(id, micros, rows, tag)| Finished {
            code: None,
            id,
            micros,
            outcome: Outcome::Suspended,
            rows,
            subjects: rows.map(|count| Subjects {
                count,
                digest: tag.clone(),
                enumerated: Enumerated::ALL[(count % 3) as usize],
            }),
            tag,
        });
    let answered = (span, option::of(reference), vec(finished, 0..300)).prop_map(|(output, payload, finished)| {
        Body::Answered(Answered { abridged: false, finished, output, payload })
    });
    let masks = vec((table(), text(30)), 0..300).prop_map(|columns| {
        let mut masks = Masks::default();
        for (table, column) in &columns {
            masks.set(table, column, if column.len() % 2 == 0 { Rung::Raw } else { Rung::Redacted });
        }
        masks
    });
    let changed = (option::of(masks.clone()), text(3000)).prop_map(|(masks, name)| {
        Body::AuthorityChanged(Box::new(AuthorityChanged {
            abridged: false,
            classification: name.clone(),
            masks,
            policy: name,
        }))
    });
    let opened = (option::of(masks), text(3000), vec(text(40), 0..200), any::<i64>()).prop_map(
        |(masks, name, groups, expires_at)| {
            let mut who = principal();
            who.token.expires_at = crate::jcs::clamp(expires_at);
            who.groups = groups.clone();
            who.scopes = groups;
            who.agent = name.clone();
            Body::SessionOpened(Box::new(SessionOpened {
                abridged: false,
                application_name: Some(name.clone()),
                classification: String::new(),
                connection: name.clone(),
                masks,
                peer: name.clone(),
                policy: name.clone(),
                principal: who,
                server_version: Some(name),
                tls: None,
            }))
        },
    );
    let refused = (option::of(text(9000)), text(9000)).prop_map(|(connection, rule)| {
        Body::LoginRefused(LoginRefused { connection, issuer: None, peer: rule.clone(), rule })
    });
    let small = prop_oneof![
        number().prop_map(|checkpoints| Body::Heartbeat(Heartbeat { checkpoints })),
        number().prop_map(|checkpoints| Body::ServiceStopped(ServiceStopped { checkpoints })),
        text(20).prop_map(|rule| Body::Alert(Alert { rule })),
        text(9000).prop_map(|role| Body::CredentialDropped(CredentialDropped { connection: role.clone(), role })),
        (text(9000), text(20)).prop_map(|(profile, role)| {
            let (connection, for_session) = (profile.clone(), role.clone());
            Body::CredentialMinted(CredentialMinted { connection, for_session, profile, role })
        }),
        text(20).prop_map(|version| Body::PolicyChanged(PolicyChanged { previous: None, version })),
        Just(Body::CancelRequested(CancelRequested {})),
        text(20).prop_map(|version| Body::ServiceStarted(ServiceStarted {
            configuration: version.clone(),
            policy_version: String::new(),
            version,
        })),
    ];
    let classified = (text(9000), text(20)).prop_map(|(connection, version)| {
        Body::ClassificationChanged(ClassificationChanged { connection, previous: version.clone(), version })
    });
    prop_oneof![received, answered, opened, changed, refused, classified, small]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_record_fits_is_canonical_and_round_trips(
        body in body(),
        place in option::of((text(10), number()).prop_map(|(session, seq)| Place { session, seq })),
        time in any::<i64>(),
    ) {
        holds(Record { time: Time::from_micros(time), place, body });
    }

    #[test]
    fn nothing_panics(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Record::parse(&bytes);
    }
}

#[test]
fn the_worst_record_fits() {
    let nasty = "\u{1}".repeat(2_000);
    let quotes = "\"".repeat(2_000);
    for text in [&nasty, &quotes] {
        let table = TableName::new(text, text);
        let need = Need { action: Action::Connect, table: Some(table.clone()) };
        let facts = Facts { kind: text.clone(), needs: vec![need; 20], has_where: true, effects: Effects::Possible };
        let decision = Ruling {
            code: Some(text.clone()),
            policies: vec![text.clone(); 9],
            rule: Some(text.clone()),
            verdict: Verdict::Deny,
        };
        let statement = Statement {
            decision,
            facts: Some(facts),
            fingerprint: Some(text.clone()),
            id: u64::MAX,
            normalized: Some(text.clone()),
            refers_to: Some(u64::MAX),
            ..Statement::default()
        };
        let span = Span { from: u64::MAX, to: u64::MAX };
        let statements = vec![statement; 30];
        holds(record(
            at(u64::MAX),
            Body::Received(Received { abridged: false, input: span, payload: None, statements }),
        ));
        let finished = vec![Finished { tag: Some(text.clone()), code: Some(text.clone()), ..Finished::default() }; 100];
        holds(record(at(1), Body::Answered(Answered { abridged: false, finished, output: span, payload: None })));
        let mut open = opened();
        let Body::SessionOpened(body) = &mut open.body else { panic!() };
        let who = &mut body.principal;
        who.groups = vec![text.clone(); 90];
        for name in [&mut who.issuer, &mut who.issuer_url, &mut who.agent, &mut who.token.algorithm] {
            *name = text.clone();
        }
        for name in [&mut who.acts_for, &mut who.purpose, &mut who.token.id, &mut who.token.key_id, &mut body.tls] {
            *name = Some(text.clone());
        }
        body.masks.as_mut().unwrap().set(&table, text, Rung::Raw);
        holds(open);
    }
}

#[test]
fn a_shortened_record_says_so_and_keeps_what_shows_most() {
    let Body::SessionOpened(mut body) = opened().body else { panic!() };
    let mut masks = Masks::default();
    for n in 0..2000 {
        let rung = if n == 1999 { Rung::Raw } else { Rung::Redacted };
        masks.set(&TableName::new("clinic", "wide"), &format!("column_{n:04}"), rung);
    }
    body.masks = Some(masks);
    let mut record = record(at(0), Body::SessionOpened(body));
    record.to_bytes();
    let Body::SessionOpened(body) = record.body else { panic!() };
    assert!(body.abridged);
    let raw = body.masks.unwrap().iter().filter(|(.., rung)| *rung == Rung::Raw).count();
    assert_eq!(raw, 1);
}

#[test]
fn only_the_canonical_bytes_are_a_record() {
    let good = String::from_utf8(received().to_bytes()).unwrap();
    let refused = |text: String, why: RecordError| assert_eq!(Record::parse(text.as_bytes()), Err(why), "{text}");
    refused(good.replace(r#""kind":"#, r#" "kind":"#), RecordError::NotCanonical);
    refused(good.replace(r#""v":1"#, r#""v":2"#), RecordError::Version);
    refused(good.replace(r#""v":1"#, r#""v":1,"w":1"#), RecordError::Malformed);
    refused(good.replace(r#""seq":1,"#, ""), RecordError::Malformed);
    refused(good.replace("received", "recieved"), RecordError::Malformed);
    refused(good.replace(r#""to":40"#, r#""to":"40""#), RecordError::NotCanonical);
    refused(good.replace(".000120Z", ".00012Z"), RecordError::NotCanonical);
    refused(good.replace(r#""seq":1,"#, r#""seq":1,"seq":1,"#), RecordError::NotCanonical);
    refused("x".repeat(MAX_RECORD + 1), RecordError::TooLong);
}
