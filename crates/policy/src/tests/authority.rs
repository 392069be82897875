use super::*;
use chaperone_model::SqlState;

const CARE: &str = r#"
@id("care-reads")
permit (principal in Group::"care", action in [Action::"connect", Action::"select"], resource in Connection::"clinic");
@id("care-books")
permit (principal in Group::"care", action == Action::"insert", resource == Table::"clinic/clinic.visit");
@id("no-deletes")
forbid (principal, action == Action::"delete", resource);
@id("cleaners")
permit (principal in Group::"cleaners", action == Action::"delete", resource in Connection::"clinic");
"#;

#[test]
fn no_policies_deny_everything() {
    let mut session = Session::new("", &principal(&["care"]));
    let refusal = session.authority.connect(NOW).unwrap_err();
    assert_eq!((refusal.code, refusal.rule), (SqlState::INVALID_AUTHORIZATION, "policy.connect"));
    let denial = session.denied(&select());
    assert_eq!((denial.refusal.rule, denial.policies.len()), ("policy.select", 0));
}

#[test]
fn a_group_is_permitted_and_another_is_not() {
    let mut care = Session::new(CARE, &principal(&["other", "care"]));
    assert_eq!(care.authority.connect(NOW).unwrap(), ["care-reads"]);
    let permit = care.allowed(&select());
    assert_eq!(permit.policies(), ["care-reads"]);
    assert_eq!(permit.policy_version(), care.authority.policy_version());
    assert_eq!((permit.statement().session, permit.statement().ordinal), (care.id, 1));

    let mut other = Session::new(CARE, &principal(&["care-agents", "Care"]));
    other.authority.connect(NOW).unwrap_err();
    let _ = other.denied(&select());
}

#[test]
fn only_the_table_that_is_named() {
    let mut care = Session::new(CARE, &principal(&["care"]));
    let permit = care.allowed(&facts("INSERT", vec![need(Action::Insert, "visit")]));
    assert_eq!(permit.policies(), ["care-books"]);
    let _ = care.denied(&facts("INSERT", vec![need(Action::Insert, "patient")]));
    // the same name on another connection is another table
    let set = load(CARE);
    let id = SessionId::generate();
    let mut elsewhere = Authority::new(set, id, &principal(&["care"]), "research", classification());
    let statement = StatementId { session: id, ordinal: 1 };
    let insert = facts("INSERT", vec![need(Action::Insert, "visit")]);
    assert!(matches!(elsewhere.decide(statement, &insert, NOW), Decision::Deny(_)));
}

#[test]
fn forbid_wins_and_is_named() {
    let mut cleaner = Session::new(CARE, &principal(&["care", "cleaners"]));
    let denial = cleaner.denied(&facts("DELETE", vec![need(Action::Delete, "visit")]));
    assert_eq!(denial.policies, ["no-deletes"]);
    assert_eq!(denial.refusal.message, "policy does not permit `delete` on table `clinic.visit`");
    assert_eq!(denial.refusal.detail, "`delete` on table `clinic.visit` is forbidden by policy `no-deletes`");
    assert_eq!(
        denial.refusal.hint,
        "permitted on table `clinic.visit`: `select`, `insert`; trying again will not help; whoever keeps the \
         policies can permit `delete` on table `clinic.visit`"
    );
}

#[test]
fn every_need_must_be_met() {
    let mut care = Session::new(CARE, &principal(&["care"]));
    let both = facts("INSERT", vec![need(Action::Select, "patient"), need(Action::Insert, "visit")]);
    assert_eq!(care.allowed(&both).policies(), ["care-books", "care-reads"]);
    let denial = care.denied(&facts("UPDATE", vec![need(Action::Select, "patient"), need(Action::Update, "visit")]));
    assert_eq!(denial.refusal.rule, "policy.update");
    assert_eq!(denial.refusal.message, "policy does not permit `update` on table `clinic.visit`");
    assert_eq!(
        denial.refusal.detail,
        "`update` on table `clinic.visit` is permitted by no policy for agent `corp/agent-1` in groups `care`, and what \
         is not permitted is denied"
    );
}

#[test]
fn a_statement_without_needs_needs_connect() {
    assert_eq!(Session::new(CARE, &principal(&["care"])).allowed(&facts("BEGIN", vec![])).policies(), ["care-reads"]);
    let denial = Session::new(CARE, &principal(&[])).denied(&facts("BEGIN", vec![]));
    assert_eq!(denial.refusal.rule, "policy.connect");
}

#[test]
fn a_statement_of_another_session_is_denied() {
    let mut care = Session::new(CARE, &principal(&["care"]));
    let foreign = StatementId { session: SessionId::generate(), ordinal: 1 };
    let Decision::Deny(denial) = care.authority.decide(foreign, &select(), NOW) else { panic!("allowed") };
    assert_eq!(denial.refusal.rule, "policy.session");
}

#[test]
fn a_policy_that_fails_denies() {
    // loading refuses what could overflow, so that check is stepped around: the second lock must hold alone
    let text = r#"
@id("reads") permit (principal, action, resource);
@id("overflows") forbid (principal, action == Action::"select", resource) when { context.tables + 9223372036854775807 < 0 };
"#;
    PolicySet::load(&[("care.cedar".into(), text.into())]).unwrap_err();
    let set = Arc::new(PolicySet::unchecked(text));
    let mut session = Session::on(set, &principal(&[]), classification());
    let denial = session.denied(&select());
    assert_eq!(denial.policies, ["overflows"]);
    assert!(denial.refusal.detail.contains("because policy `overflows` failed"), "{}", denial.refusal.detail);
    let _ = session.allowed(&facts("INSERT", vec![need(Action::Insert, "visit")]));
}

#[test]
fn a_model_taken_off_the_list_loses_access() {
    let text = r#"
permit (principal, action == Action::"connect", resource) when {
  context has model && context.model.name == "scribe" && context.model has version &&
  ["4.1", "4.2"].contains(context.model.version)
};"#;
    let with = |name: &str, version: Option<&str>| {
        let model = AiModel { name: name.into(), version: version.map(str::to_owned) };
        let principal = Principal { model: Some(model), ..principal(&[]) };
        Session::new(text, &principal).authority.connect(NOW)
    };
    assert_eq!(with("scribe", Some("4.2")).unwrap(), ["care.cedar#1"]);
    with("scribe", Some("4.3")).unwrap_err();
    with("scribe", None).unwrap_err();
    with("other", Some("4.2")).unwrap_err();
    Session::new(text, &principal(&[])).authority.connect(NOW).unwrap_err();
    // the list changes, the session's authority is made anew
    let scribe =
        Principal { model: Some(AiModel { name: "scribe".into(), version: Some("4.2".into()) }), ..principal(&[]) };
    Session::new(&text.replace(", \"4.2\"", ""), &scribe).authority.connect(NOW).unwrap_err();
}

#[test]
fn claims_can_be_asked_for() {
    let text = r#"
permit (principal, action, resource) when {
  principal.issuer == "corp" && principal.subject == "agent-1" && principal.scopes.contains("db:read") &&
  principal has acts_for && principal.acts_for == "ann" && context has purpose && context.purpose == "payment" &&
  context has workload && context.workload.namespace == "care" && context.workload.service_account == "agent" &&
  context.workload has pod && context.workload.pod like "agent-*" && resource in Connection::"clinic"
};"#;
    let workload = Workload {
        namespace: "care".into(),
        service_account: "agent".into(),
        pod: Some("agent-7f9".into()),
        pod_uid: None,
        node: None,
    };
    let all = Principal {
        acts_for: Some("ann".into()),
        purpose: Some("payment".into()),
        workload: Some(workload),
        ..principal(&[])
    };
    assert!(Session::new(text, &all).authority.connect(NOW).is_ok());
    assert!(Session::new(text, &principal(&[])).authority.connect(NOW).is_err());
    assert!(Session::new(text, &Principal { scopes: vec![], ..all }).authority.connect(NOW).is_err());
    let agent = r#"permit (principal == Agent::"corp/agent-1", action, resource);"#;
    assert!(Session::new(agent, &principal(&[])).authority.connect(NOW).is_ok());
    // the same subject of another issuer is another agent
    assert!(Session::new(agent, &Principal { issuer: "lab".into(), ..principal(&[]) }).authority.connect(NOW).is_err());
}

#[test]
fn a_where_that_would_help_is_advised() {
    let text = r#"
permit (principal, action in [Action::"select", Action::"delete"], resource);
@id("where") forbid (principal, action == Action::"delete", resource) unless { context.has_where };"#;
    let mut session = Session::new(text, &principal(&[]));
    let mut delete = facts("DELETE", vec![need(Action::Delete, "visit")]);
    assert_eq!(session.denied(&delete).refusal.hint, "add a WHERE clause: the policies permit it then");
    delete.has_where = true;
    let _ = session.allowed(&delete);
    delete.has_where = false;
    let _ = session.denied(&delete);
}

#[test]
fn facts_are_part_of_what_is_remembered() {
    let text = r#"
permit (principal, action, resource) when { context has kind && context.kind == "SELECT" && context.tables < 2 };"#;
    let mut session = Session::new(text, &principal(&[]));
    for _ in 0..2 {
        let _ = session.allowed(&select());
        let _ = session.denied(&facts("EXPLAIN", vec![need(Action::Select, "patient")]));
        let _ = session.denied(&facts("SELECT", vec![need(Action::Select, "patient"), need(Action::Select, "visit")]));
        let _ = session.allowed(&facts("SELECT", vec![need(Action::Select, "visit"), need(Action::Select, "visit")]));
    }
}

#[test]
fn time_is_asked_anew() {
    let text = r#"
permit (principal, action in [Action::"connect", Action::"select"], resource) when {
  context.now < datetime("2026-03-02T09:30:01Z") && context.now.toTime() >= duration("9h")
};"#;
    let mut session = Session::new(text, &principal(&[]));
    let mut at = |now| {
        let statement = StatementId { session: session.id, ordinal: 1 };
        matches!(session.authority.decide(statement, &select(), now), Decision::Allow(_))
    };
    assert!(at(NOW) && at(NOW));
    assert!(!at(NOW + 1));
    assert!(at(NOW));
    assert!(!at(NOW - 3600), "08:30 is too early");
    // instants that no clock shows deny or permit, but never panic
    assert!(!at(i64::MAX));
    assert!(!at(i64::MIN));
}

#[test]
fn without_protected_data_the_connection_decides() {
    let text = r#"
permit (principal, action, resource in Connection::"clinic");
@id("vault") forbid (principal, action, resource == Table::"clinic/clinic.patient");"#;
    let mut classified = Session::new(text, &principal(&[]));
    assert_eq!(classified.denied(&select()).policies, ["vault"]);
    let mut open = Session::on(load(text), &principal(&[]), Arc::new(Classification::NoPhi));
    let _ = open.allowed(&select());
    let rules = load(text).table_rules();
    assert_eq!(rules.len(), 1);
    let rule = rules.first().unwrap();
    assert!(rule.forbids && rule.policy == "vault" && rule.concerns("clinic") && !rule.concerns("lab"));
}

#[test]
fn memory_is_bounded() {
    let mut session = Session::new("permit (principal, action, resource);", &principal(&[]));
    for n in 0..5000 {
        let _ = session.allowed(&facts("SELECT", vec![need(Action::Select, &format!("t{n}"))]));
    }
    assert!(session.authority.remembered() < 5000);
}

#[test]
fn it_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<Authority>();
    shared::<PolicySet>();
    shared::<Permit>();
}

/// Not a benchmark: only that Cedar is not asked again.
#[test]
fn a_remembered_decision_is_fast() {
    let mut session = Session::new(CARE, &principal(&["care"]));
    let statement = StatementId { session: session.id, ordinal: 1 };
    let select = select();
    let _ = session.allowed(&select);
    let start = std::time::Instant::now();
    for _ in 0..10_000 {
        assert!(matches!(session.authority.decide(statement, &select, NOW), Decision::Allow(_)));
    }
    let each = start.elapsed() / 10_000;
    eprintln!("a remembered decision takes {each:?} (unoptimised)");
    assert!(each < std::time::Duration::from_micros(50), "{each:?}");
}
