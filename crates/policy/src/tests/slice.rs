//! What is left out of a question cannot change its answer: every kind of scope, against Cedar over the whole set.

use cedar_policy::{Authorizer, PolicySet as CedarSet, Request};

use super::*;
use crate::authority::Verdict;
use crate::reads::Reads;
use crate::request::{Asker, Classes, Shape};
use crate::schema::{self, Ask};

const PRINCIPALS: [&str; 6] = [
    "principal",
    "principal is Agent",
    "principal == Agent::\"corp/agent-1\"",
    "principal == Agent::\"corp/agent-2\"",
    "principal in Group::\"care\"",
    "principal is Agent in Group::\"other\"",
];

const RESOURCES: [&str; 10] = [
    "resource",
    "resource is Table",
    "resource is Connection",
    "resource == Connection::\"clinic\"",
    "resource in Connection::\"clinic\"",
    "resource in Connection::\"lab\"",
    "resource == Table::\"clinic/clinic.visit\"",
    "resource in Table::\"clinic/clinic.visit\"",
    "resource is Table in Connection::\"clinic\"",
    "resource in Class::\"mrn\"",
];

/// All permits, or all forbids over one permit of everything.
fn sets() -> Vec<Arc<PolicySet>> {
    let mut sets = Vec::new();
    for effect in ["permit", "forbid"] {
        for resource in RESOURCES {
            let actions = match resource {
                r if r.contains("Class") => "action == Action::\"read_raw\"",
                _ => "action in [Action::\"select\", Action::\"read_raw\"]",
            };
            let rules = PRINCIPALS.map(|principal| format!("{effect} ({principal}, {actions}, {resource});\n"));
            for rule in rules {
                let all = if effect == "forbid" { "permit (principal, action, resource);\n" } else { "" };
                // not every scope is possible for both actions: Cedar says so when it is loaded
                for only in [actions, "action == Action::\"select\"", "action == Action::\"read_raw\""] {
                    let text = format!("{all}{}", rule.replace(actions, only));
                    if let Ok(set) = PolicySet::load(&[("a".into(), text)]) {
                        sets.push(Arc::new(set));
                        break;
                    }
                }
            }
        }
    }
    sets
}

#[test]
fn nothing_that_matters_is_left_out() {
    let sets = sets();
    assert!(sets.len() > 100, "{}", sets.len());
    let who = principal(&["care", "night"]);
    let asker = Asker::new(&who, "clinic").unwrap();
    let lasting = asker.lasting();
    let mut told = (0, 0);
    for set in sets {
        let whole = CedarSet::from_policies(set.rules.iter().map(|rule| rule.policy.clone())).unwrap();
        let session = Session::on(set.clone(), &who, classification());
        for table in [None, Some("visit"), Some("patient")] {
            let need = Need { action: Action::Select, table: table.map(|name| TableName::new("clinic", name)) };
            let ours = session.authority.ask(&need, None, NOW);
            let resource = asker.resource(need.table.as_ref());
            let entities = asker.entities_with(need.table.as_ref()).unwrap();
            let uid = Ask::Act(Action::Select).uid();
            let request = Request::new(schema::agent(&who), uid, resource.uid, lasting.clone(), None).unwrap();
            let cedar = Authorizer::new().is_authorized(&request, &whole, &entities).decision();
            let permitted = matches!(ours, Verdict::Permitted(_));
            assert_eq!(permitted, cedar == cedar_policy::Decision::Allow, "{:?} {need:?}", set.texts());
            if permitted { told.0 += 1 } else { told.1 += 1 }
        }
        for (table, column, class) in [("patient", "mrn", Class::Mrn), ("visit", "day", Class::Date)] {
            let table = TableName::new("clinic", table);
            let column = (&table, column, class);
            let entities = asker.entities_with_columns([column].into_iter()).unwrap();
            let ask = Ask::Read(chaperone_model::Rung::Raw);
            let ours = session.authority.ask_column(ask, column, &entities, lasting);
            let resource = asker.column(column).uid;
            let request = Request::new(schema::agent(&who), ask.uid(), resource, lasting.clone(), None).unwrap();
            let cedar = Authorizer::new().is_authorized(&request, &whole, &entities).decision();
            assert_eq!(
                matches!(ours, Verdict::Permitted(_)),
                cedar == cedar_policy::Decision::Allow,
                "{:?} {column:?}",
                set.texts()
            );
        }
    }
    assert!(told.0 > 50 && told.1 > 50, "one-sided: {told:?}");
}

/// Requests are not compared with the schema when they are made: here they are, with everything in them.
#[test]
fn requests_are_of_the_schema() {
    let workload = Workload {
        namespace: "n".into(),
        service_account: "s".into(),
        pod: Some("p".into()),
        pod_uid: Some("u".into()),
        node: Some("m".into()),
    };
    let full = Principal {
        acts_for: Some("ann".into()),
        purpose: Some("payment".into()),
        model: Some(AiModel { name: "m".into(), version: Some("1".into()) }),
        workload: Some(workload),
        ..principal(&["care"])
    };
    let shape =
        Shape { kind: "SELECT", has_where: true, tables: 1, classes: Classes::of(Class::ALL), estimated_rows: Some(5) };
    let reads = Reads { estimated_rows: true, ..Reads::ALL };
    for who in [full, principal(&[])] {
        let asker = Asker::new(&who, "clinic").unwrap();
        let visit = TableName::new("clinic", "visit");
        for ask in Ask::ALL {
            let (resource, context) = match ask {
                Ask::Act(Action::Connect) => (asker.resource(None), asker.context(NOW, None, reads)),
                Ask::Act(_) => (asker.resource(Some(&visit)), asker.context(NOW, Some(&shape), reads)),
                Ask::Read(_) | Ask::Filter | Ask::Probe => {
                    (asker.column((&visit, "day", Class::Date)), Ok(asker.lasting().clone()))
                }
            };
            let context = context.unwrap();
            Request::new(schema::agent(&who), ask.uid(), resource.uid, context, Some(&schema::PARSED)).unwrap();
        }
        let entities = asker.entities_with_columns([(&visit, "day", Class::Date)].into_iter()).unwrap();
        cedar_policy::Entities::from_entities(entities, Some(&schema::PARSED)).unwrap();
    }
}
