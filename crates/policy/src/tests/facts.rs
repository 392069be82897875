//! Facts of the statement, and of the workload: allowed, denied, unknown.

use super::*;
use chaperone_model::Rung;

#[test]
fn classes_are_those_of_the_whole_table() {
    let text = r#"
@id("reads") permit (principal, action == Action::"select", resource);
@id("no-mrn") forbid (principal, action == Action::"select", resource)
  when { context.classes.contains(Class::"mrn") };"#;
    let mut session = Session::new(text, &principal(&[]));
    let table = |name: &str| facts("SELECT", vec![need(Action::Select, name)]);
    assert_eq!(session.denied(&table("patient")).policies, ["no-mrn"]);
    assert_eq!(session.allowed(&table("visit")).policies(), ["reads"]);
    // together they hold what each of them holds; and remembering one must not answer for the other
    let both = facts("SELECT", vec![need(Action::Select, "patient"), need(Action::Select, "visit")]);
    assert_eq!(session.denied(&both).policies, ["no-mrn"]);
    assert_eq!(session.allowed(&table("visit")).policies(), ["reads"]);
}

#[test]
fn what_a_table_holds_may_be_unknown() {
    let text = r#"
permit (principal, action, resource);
@id("unknown") forbid (principal, action in [Action::"select", Action::"call"], resource)
  when { context.classes.contains(Class::"unknown") };"#;
    let mut session = Session::new(text, &principal(&[]));
    let _ = session.allowed(&select());
    let other = facts("SELECT", vec![need(Action::Select, "not_listed")]);
    assert_eq!(session.denied(&other).policies, ["unknown"]);
    // code may touch anything
    let call = facts("CALL", vec![Need { action: Action::Call, table: None }]);
    assert_eq!(session.denied(&call).policies, ["unknown"]);
    // the catalog of the database holds nobody's data
    let catalog = Need { action: Action::Select, table: Some(TableName::new("pg_catalog", "pg_class")) };
    let _ = session.allowed(&facts("SELECT", vec![catalog]));
    // a column that the classification does not know is found in the live table
    session.authority.masks(&[(patient(), vec!["id".into(), "added_later".into()])], NOW);
    assert_eq!(session.denied(&select()).policies, ["unknown"]);
    // where the owner declares that there is none, there is none
    let mut open = Session::on(load(text), &principal(&[]), Arc::new(Classification::NoPhi));
    let _ = open.allowed(&facts("SELECT", vec![Need { action: Action::Select, table: None }]));
}

#[test]
fn misspelt_classes_are_refused() {
    let text =
        r#"forbid (principal, action == Action::"select", resource) when { context.classes.contains(Class::"ssm") };"#;
    let error = PolicySet::load(&[("care.cedar".into(), text.into())]).unwrap_err();
    assert!(error.to_string().contains("`\"ssm\"` is not declared"), "{error}");
}

const ESTIMATE: &str = r#"
@id("small") permit (principal, action == Action::"select", resource)
  when { context has estimated_rows && context.estimated_rows <= 1000 };
@id("writes") permit (principal, action in [Action::"update", Action::"connect"], resource);
@id("bulk") forbid (principal, action == Action::"update", resource == Table::"clinic/clinic.patient")
  when { context has estimated_rows && context.estimated_rows > 10 };
"#;

fn decide(session: &mut Session, facts: &Facts, rows: Option<u64>) -> Decision {
    let statement = StatementId { session: session.id, ordinal: 1 };
    session.authority.decide_estimated(statement, facts, NOW, rows)
}

#[test]
fn a_permit_by_estimate() {
    let mut session = Session::new(ESTIMATE, &principal(&[]));
    assert!(session.authority.wants_estimate(&select()));
    assert!(matches!(decide(&mut session, &select(), Some(1000)), Decision::Allow(_)));
    assert!(matches!(decide(&mut session, &select(), Some(1001)), Decision::Deny(_)));
    assert!(matches!(decide(&mut session, &select(), Some(u64::MAX)), Decision::Deny(_)));
    // unknown: it does not apply, and what it looks at is said
    let denial = session.denied(&select());
    assert_eq!(denial.near, ["small"]);
    assert!(denial.refusal.detail.contains("looks at `context.estimated_rows`"), "{}", denial.refusal.detail);
    assert!(matches!(decide(&mut session, &select(), Some(1000)), Decision::Allow(_)), "an unknown was remembered");
}

#[test]
fn a_forbid_by_estimate_holds_while_it_is_unknown() {
    let mut session = Session::new(ESTIMATE, &principal(&[]));
    let update = |table: &str| facts("UPDATE", vec![need(Action::Update, table)]);
    assert!(session.authority.wants_estimate(&update("patient")));
    assert!(matches!(decide(&mut session, &update("patient"), Some(10)), Decision::Allow(_)));
    assert!(matches!(decide(&mut session, &update("patient"), Some(11)), Decision::Deny(_)));
    let denial = session.denied(&update("patient"));
    assert_eq!(denial.policies, ["bulk"]);
    assert!(denial.refusal.detail.contains("and that is not known"), "{}", denial.refusal.detail);
    // another table is none of its business, and neither is a session
    assert!(!session.authority.wants_estimate(&update("visit")));
    let _ = session.allowed(&update("visit"));
    let _ = session.allowed(&facts("BEGIN", vec![]));
    session.authority.connect(NOW).unwrap();
}

#[test]
fn where_a_workload_runs() {
    let text = r#"
permit (principal, action == Action::"connect", resource) when {
  context has workload && context.workload has node && ["n1", "n2"].contains(context.workload.node) &&
  context.workload has pod_uid && context.workload.pod_uid == "u-1"
};"#;
    let on = |node: Option<&str>, uid: &str| {
        let workload = Workload {
            namespace: "care".into(),
            service_account: "agent".into(),
            pod: None,
            pod_uid: Some(uid.into()),
            node: node.map(str::to_owned),
        };
        let principal = Principal { workload: Some(workload), ..principal(&[]) };
        Session::new(text, &principal).authority.connect(NOW).is_ok()
    };
    assert!(on(Some("n2"), "u-1"));
    assert!(!on(Some("n3"), "u-1"));
    assert!(!on(Some("n2"), "u-2"));
    assert!(!on(None, "u-1"), "unknown");
    assert!(Session::new(text, &principal(&[])).authority.connect(NOW).is_err(), "no workload");
}

#[test]
fn two_groups_at_once() {
    let text = r#"permit (principal in Group::"care", action, resource) when { principal in Group::"night" };"#;
    assert!(Session::new(text, &principal(&["night", "care"])).authority.connect(NOW).is_ok());
    assert!(Session::new(text, &principal(&["care"])).authority.connect(NOW).is_err());
    assert!(Session::new(text, &principal(&[])).authority.connect(NOW).is_err());
}

/// What columns are decided by lasts for the session: neither time nor statement can move a mask.
#[test]
fn masks_do_not_hang_on_a_statement() {
    for fact in
        ["context.now < datetime(\"2027-01-01\")", "context.has_where", "context.classes.contains(Class::\"ssn\")"]
    {
        for action in ["read_raw", "read_token", "filter", "probe"] {
            let text = format!("permit (principal, action == Action::\"{action}\", resource) when {{ {fact} }};");
            assert!(PolicySet::load(&[("a".into(), text.clone())]).is_err(), "{text}");
        }
    }
    let purpose = r#"permit (principal, action == Action::"read_token", resource)
      when { context has purpose && context.purpose == "payment" };"#;
    let rung = |principal: &Principal| {
        let mut session = Session::new(purpose, principal);
        session.authority.masks(&[(patient(), vec!["mrn".into()])], NOW).rung(&patient(), "mrn")
    };
    assert_eq!(rung(&Principal { purpose: Some("payment".into()), ..principal(&[]) }), Rung::Token);
    assert_eq!(rung(&Principal { purpose: Some("research".into()), ..principal(&[]) }), Rung::Redacted);
    assert_eq!(rung(&principal(&[])), Rung::Redacted, "unknown");
}

/// The same need, in statements that touch other classes beside it.
#[test]
fn what_stands_beside_a_table_is_part_of_what_is_remembered() {
    let text = r#"
permit (principal, action == Action::"select", resource);
@id("not-together") forbid (principal, action == Action::"select", resource == Table::"clinic/clinic.visit")
  when { context.classes.contains(Class::"mrn") };"#;
    let mut session = Session::new(text, &principal(&[]));
    let alone = facts("SELECT", vec![need(Action::Select, "visit")]);
    let both = facts("SELECT", vec![need(Action::Select, "patient"), need(Action::Select, "visit")]);
    for _ in 0..2 {
        let _ = session.allowed(&alone);
        assert_eq!(session.denied(&both).policies, ["not-together"]);
    }
}
