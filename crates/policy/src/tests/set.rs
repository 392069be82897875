use super::*;

fn error(text: &str) -> String {
    PolicySet::load(&[("care.cedar".into(), text.into())]).unwrap_err().to_string()
}

/// Every text that a keeper of policies can meet, as it reads.
#[test]
fn errors_read_well() {
    let cases = [
        "permit (principal, action, resource)\n\nforbid",
        "@id(\"t\")\npermit (principal == ?principal, action, resource);",
        "permit (principal, action, resource);\n@id(\"agg\")\npermit (principal, action == Action::\"aggregate\", resource);",
        "permit (principal, action == Action::\"delete\", resource)\nwhen { context has approval };",
        "forbid (principal, action == Action::\"read_raw\", resource)\nunless { context has break_glass };",
        "permit (principal, action, resource) when { context.model.name == \"x\" };",
        "permit (principal, action, resource in Class::\"ssm\");",
        "permit (principal, action == Action::\"connect\", resource in Table::\"clinic/a.b\");",
        "permit (principal in User::\"x\", action, resource);",
        "permit (principal, action == Action::\"select\", resource) when { context.tables + 1 > 2 };",
        "permit (principal, action == Action::\"read_raw\", resource)\nwhen { context.now < datetime(\"2027-01-01\") };",
        "permit (principal, action, resource) when { context.now.offset(duration(\"1d\")) > context.now };",
        "permit (principal, action, resource) when { Agent::\"corp/x\".subject == \"x\" };",
        "permit (principal, action, resource) when { context == {} };",
        "permit (principal, action, resource) when { principal.name == \"x\" };",
        "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") permit (principal, action, resource);",
        "permit (principal, action, resource) when { false };",
        "@id(\"half\") forbid (principal, action in [Action::\"select\", Action::\"read_raw\"], resource in Class::\"name\");",
        "forbid (principal, action == Action::\"select\", resource) when { context.kind == \"select\" };",
        "forbid (principal, action == Action::\"delete\", resource) when { [\"DELETE\", \"TRUNCATE\"].contains(context.kind) };",
        "forbid (principal, action == Action::\"ddl\", resource) unless { context.kind like \"Create *\" };",
        "forbid (principal, action == Action::\"ddl\", resource) when { \"MAKE TABLE\" != context.kind };",
        "permit (principal, action == Action::\"select\", resource) when { context.classes.contains(Class::\"none\") };",
        "permit (principal, action == Action::\"select\", resource) unless { context.classes.containsAny([Class::\"none\", Class::\"ssn\"]) };",
        "forbid (principal == Agent::\"care\", action, resource);",
        "forbid (principal, action == Action::\"select\", resource == Table::\"clinic.patient\");",
        "forbid (principal, action == Action::\"read_raw\", resource == Column::\"clinic/patient.mrn\");",
        "permit (principal in Group::\"с\u{430}re-agents\u{202e}\", action, resource);",
    ];
    let said = cases.map(|text| format!("{text}\n=> {}\n", error(text))).join("\n");
    golden("errors.txt", &said);
}

/// Compares with a committed file; `UPDATE_GOLDEN=1` writes it.
fn golden(name: &str, said: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, said).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(said, expected, "differs from {name}");
}

#[test]
fn what_can_hold_is_loaded() {
    for condition in [
        "context.kind == \"SELECT\"",
        "context.kind != \"CREATE TABLE AS\"",
        "[\"DELETE\", \"TRUNCATE TABLE\", \"UNREADABLE\", \"FUNCTION CALL\"].contains(context.kind)",
        "context.kind like \"CREATE *\" || context.kind like \"*TABLE*\" || context.kind like \"***\"",
        "context.classes.containsAny([Class::\"ssn\", Class::\"unknown\"])",
        "principal == Agent::\"corp/care/one\"",
        "resource == Table::\"clinic/a%2Eb.c\"",
    ] {
        load(&format!("permit (principal, action == Action::\"select\", resource) when {{ {condition} }};"));
    }
}

#[test]
fn every_fault_is_told_at_once() {
    let text = "permit (principal, action == Action::\"no\", resource);\npermit (principal, action == Action::\"nor\", resource);";
    let error = PolicySet::load(&[("care.cedar".into(), text.into())]).unwrap_err();
    let lines: Vec<_> = error.faults.iter().map(|f| (f.line, f.policy.as_deref())).collect();
    assert!(lines.contains(&(1, Some("care.cedar#1"))) && lines.contains(&(2, Some("care.cedar#2"))), "{lines:?}");
}

#[test]
fn ids_come_from_annotations_and_places() {
    let text = "permit (principal, action == Action::\"connect\", resource);\n\n@id(\"named\")\nforbid (principal, action == Action::\"ddl\", resource);";
    let set = load(text);
    assert_eq!(set.location("care.cedar#1"), Some(("care.cedar", 1)));
    assert_eq!(set.location("named"), Some(("care.cedar", 3)));
    assert_eq!((set.len(), set.is_empty()), (2, false));
}

#[test]
fn the_version_follows_the_texts() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let load = |files: &[(String, String)]| PolicySet::load(files).unwrap().version().to_owned();
    let (a, b) = (file("a", "permit (principal, action, resource);"), file("b", ""));
    assert_eq!(load(&[a.clone(), b.clone()]), load(&[b.clone(), a.clone()]));
    assert_ne!(load(&[a.clone(), b.clone()]), load(std::slice::from_ref(&a)));
    assert_ne!(load(std::slice::from_ref(&a)), load(&[file("a", "permit (principal, action, resource); ")]));
    assert_eq!(load(&[a]).len(), 32);
    PolicySet::load(&[b.clone(), b]).unwrap_err();
}

#[test]
fn what_names_tables_and_connections_is_found() {
    let text = r#"
@id("all") permit (principal, action, resource in Connection::"clinic");
@id("table") forbid (principal, action, resource == Table::"lab/x.y");
@id("column") permit (principal, action == Action::"read_raw", resource == Column::"clinic/x.y.z");
@id("name") forbid (principal, action == Action::"select", resource) when { resource is Table && resource.schema == "hr" };
@id("is") permit (principal, action == Action::"select", resource is Table);
@id("inside") permit (principal, action == Action::"select", resource) when { resource in Connection::"lab" };
"#;
    let set = load(text);
    let rules: Vec<_> =
        set.table_rules().into_iter().map(|r| (r.policy.clone(), r.forbids, r.concerns("lab"))).collect();
    let expected = [("table", true, true), ("column", false, false), ("name", true, true), ("is", false, true)];
    assert_eq!(rules, expected.map(|(id, forbids, lab)| (id.to_owned(), forbids, lab)));
    assert_eq!(set.connections().into_iter().collect::<Vec<_>>(), ["clinic", "lab"]);
}

#[test]
fn an_old_decision_can_be_reproduced() {
    let files = [("b.cedar", "permit (principal, action == Action::\"connect\", resource);"), ("a.cedar", "")];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let set = PolicySet::load(&files).unwrap();
    let again = PolicySet::load(set.texts()).unwrap();
    assert_eq!((again.version(), again.texts()), (set.version(), set.texts()));
    let manifest = set.manifest();
    assert_eq!(manifest.iter().map(|file| &*file.name).collect::<Vec<_>>(), ["a.cedar", "b.cedar"]);
    // of nothing
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(manifest.first().map(|file| &*file.sha256), Some(empty));
    let mut session = Session::on(Arc::new(again), &principal(&[]), classification());
    assert_eq!(session.allowed(&facts("BEGIN", vec![])).policies(), ["b.cedar#1"]);
}
