//! What a denial says: enough for an agent to go on, and nothing but policy.

use super::*;

const TEXT: &str = r#"
@id("all-connect")
permit (principal, action == Action::"connect", resource);
@id("billing-pays")
permit (principal in Group::"billing", action == Action::"select", resource in Connection::"clinic")
  when { context has purpose && context.purpose == "payment" };
@id("scribe-writes")
permit (principal, action == Action::"insert", resource == Table::"clinic/clinic.visit")
  when { context has model && context.model.name == "scribe" && context.model has version &&
         ["4.1", "4.2"].contains(context.model.version) };
@id("for-a-person")
permit (principal, action == Action::"update", resource) when { context has acts_for };
@id("office-hours")
permit (principal, action == Action::"delete", resource) when { context.now.toTime() >= duration("20h") };
"#;

fn model(name: &str, version: &str) -> Option<AiModel> {
    Some(AiModel { name: name.into(), version: Some(version.into()) })
}

#[test]
fn another_purpose_is_found() {
    let mut session = Session::new(TEXT, &principal(&["billing"]));
    let denial = session.denied(&select());
    assert_eq!((denial.policies.len(), denial.near), (0, vec!["billing-pays".to_owned()]));
    assert_eq!(
        denial.refusal.detail,
        "`select` on table `clinic.patient` is permitted for agent `corp/agent-1` in groups `billing` only on conditions \
         that are not met: policy `billing-pays` looks at `context.purpose`"
    );
    assert_eq!(
        denial.refusal.hint,
        "the policies permit it for the purpose `payment`; that is a claim of the token, so it takes another token and \
         another session"
    );
    let payment = Principal { purpose: Some("payment".into()), ..principal(&["billing"]) };
    assert_eq!(Session::new(TEXT, &payment).allowed(&select()).policies(), ["billing-pays"]);
}

#[test]
fn a_policy_of_another_group_is_not_near() {
    let denial = Session::new(TEXT, &principal(&["care"])).denied(&select());
    assert!(denial.near.is_empty());
    assert_eq!(
        denial.refusal.detail,
        "`select` on table `clinic.patient` is permitted by no policy for agent `corp/agent-1` in groups `care`, and what \
         is not permitted is denied"
    );
    assert!(!denial.refusal.hint.contains("payment"), "{}", denial.refusal.hint);
}

#[test]
fn another_version_of_the_model_is_found() {
    let insert = facts("INSERT", vec![need(Action::Insert, "visit")]);
    let old = Principal { model: model("scribe", "3.9"), ..principal(&[]) };
    let denial = Session::new(TEXT, &old).denied(&insert);
    assert!(denial.refusal.hint.contains("for model `scribe` of version `4.2`"), "{}", denial.refusal.hint);
    // on another table no version would help
    let elsewhere = Session::new(TEXT, &old).denied(&facts("INSERT", vec![need(Action::Insert, "patient")]));
    assert!(elsewhere.near.is_empty() && !elsewhere.refusal.hint.contains("scribe"));
    let good = Principal { model: model("scribe", "4.1"), ..principal(&[]) };
    let _ = Session::new(TEXT, &good).allowed(&insert);
}

#[test]
fn a_session_is_told_too() {
    let text = r#"
@id("listed") permit (principal, action == Action::"connect", resource)
  when { context has model && context.model has version && context.model.version == "5" };"#;
    let old = Principal { model: model("scribe", "4"), ..principal(&[]) };
    let refusal = Session::new(text, &old).authority.connect(NOW).unwrap_err();
    assert!(refusal.detail.contains("policy `listed` looks at `context.model`"), "{}", refusal.detail);
    assert!(refusal.hint.contains("for model `scribe` of version `5`"), "{}", refusal.hint);
}

#[test]
fn a_person_behind_the_agent_is_found() {
    let denial = Session::new(TEXT, &principal(&[])).denied(&facts("UPDATE", vec![need(Action::Update, "visit")]));
    assert!(denial.refusal.hint.starts_with("the policies permit it to an agent that acts for a person"));
}

#[test]
fn what_asking_cannot_find_out_is_named() {
    let denial = Session::new(TEXT, &principal(&[])).denied(&facts("DELETE", vec![need(Action::Delete, "visit")]));
    assert_eq!(denial.near, ["office-hours"]);
    assert!(denial.refusal.detail.ends_with("policy `office-hours` looks at `context.now`"));
    assert!(denial.refusal.hint.starts_with("trying again will not help"), "{}", denial.refusal.hint);
}

#[test]
fn what_helps_with_one_need_only_is_not_advised() {
    let both = facts("UPDATE", vec![need(Action::Select, "patient"), need(Action::Delete, "visit")]);
    let denial = Session::new(TEXT, &principal(&["billing"])).denied(&both);
    assert!(!denial.refusal.hint.contains("payment"), "{}", denial.refusal.hint);
    // a forbid that another purpose would lift counts as well
    let text = r#"
permit (principal, action, resource);
@id("pay") forbid (principal, action == Action::"select", resource)
  unless { context has purpose && context.purpose == "payment" };"#;
    let denial = Session::new(text, &principal(&[])).denied(&select());
    assert_eq!((denial.policies, denial.near.len()), (vec!["pay".to_owned()], 0));
    assert!(denial.refusal.hint.contains("for the purpose `payment`"), "{}", denial.refusal.hint);
}

#[test]
fn what_the_agent_sent_is_never_in_a_denial() {
    let hidden = Principal {
        purpose: Some("secret-purpose".into()),
        acts_for: Some("ann@example".into()),
        ..principal(&["billing"])
    };
    let refusal = Session::new(TEXT, &hidden).denied(&select()).refusal;
    for text in [&refusal.message, &refusal.detail, &refusal.hint] {
        assert!(!text.contains("secret-purpose") && !text.contains("ann@example"), "{text}");
    }
}

#[test]
fn the_work_is_bounded() {
    let mut text = String::from("permit (principal, action == Action::\"connect\", resource);\n");
    for n in 0..300 {
        text.push_str(&format!(
            "@id(\"p{n}\") permit (principal, action, resource) when {{ context has purpose && context.purpose == \"q{n}\" && \
             context has model && context.model.name == \"m{n}\" }};\n"
        ));
    }
    let mut session = Session::new(&text, &principal(&[]));
    let many = (0..500).map(|n| need(Action::Select, &format!("t{n}"))).collect();
    assert!(session.denied(&facts("SELECT", many)).near.is_empty());
    assert_eq!(session.denied(&select()).near.len(), 8);
}
