//! Cases over the committed packs, and over what a file of cases can get wrong.

use std::fs;
use std::path::{Path, PathBuf};

use super::report::Report;
use super::*;

fn packs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/packs")
}

fn with_ending(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = all.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    paths.sort();
    paths
}

/// A folder with everything that is in the packs' folder.
fn copied() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("testing")).unwrap();
    for path in with_ending(&packs(), "").into_iter().chain(with_ending(&packs().join("testing"), "")) {
        if path.is_file() {
            fs::copy(&path, copy.path().join(path.strip_prefix(packs()).unwrap())).unwrap();
        }
    }
    copy
}

/// The report on one file, or why it cannot be had.
fn tested(path: &Path) -> Result<Report, String> {
    let mut report = Report::default();
    file(path, &mut report).map_err(|error| format!("{error:#}"))?;
    Ok(report)
}

/// A folder with a classification of one table, a policy and cases.
fn folder(policy: &str, cases: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("classes.yaml", "tables: { public.patient: { columns: { id: none, mrn: mrn, born: birth_date } } }");
    write("a.cedar", policy);
    write("cases.yaml", cases);
    folder
}

fn told(policy: &str, cases: &str) -> String {
    match tested(&folder(policy, cases).path().join("cases.yaml")) {
        Ok(report) => report.to_string(),
        Err(error) => format!("cannot: {error}"),
    }
}

const HEAD: &str = "policies: a.cedar\nclassification: classes.yaml\nconnection: clinic\n";
const READS: &str = r#"@id("reads") permit (principal, action in [Action::"connect", Action::"select"], resource);"#;

#[test]
fn every_pack_does_what_its_cases_say() {
    let files = with_ending(&packs(), ".test.yaml");
    assert_eq!(files.len(), with_ending(&packs(), ".cedar").len(), "a pack without cases");
    for path in files {
        let report = tested(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(report.failed(), 0, "{report}");
    }
}

/// A case for every rule: whichever is taken out, its pack's cases fail.
#[test]
fn no_rule_of_a_pack_is_without_a_case() {
    let copy = copied();
    for path in with_ending(&packs(), ".cedar") {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let starts: Vec<usize> = text.match_indices("@id(").map(|(at, _)| at).collect();
        assert!(starts.len() >= 5, "{name}");
        for (n, start) in starts.iter().enumerate() {
            let end = starts.get(n + 1).copied().unwrap_or(text.len());
            fs::write(copy.path().join(name), format!("{}{}", &text[..*start], &text[end..])).unwrap();
            let cases = copy.path().join(name.replace(".cedar", ".test.yaml"));
            let report = tested(&cases).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(report.failed() > 0, "{name}: no case fails without {}", &text[*start..start + 60]);
        }
        fs::write(copy.path().join(name), text).unwrap();
    }
}

#[test]
fn a_loosened_policy_fails_its_cases_and_says_why() {
    let cases = format!(
        "{HEAD}cases:\n  - name: no writes\n    principal: {{ issuer: corp, agent: a }}\n    statement: DELETE FROM patient\n    \
         expect: deny\n    masks: {{ public.patient.mrn: redacted }}\n"
    );
    assert_eq!(told(READS, &cases), "ok    cases.yaml: no writes\n1 passed, 0 failed\n");
    let loose = format!("{READS}\n@id(\"loose\") permit (principal, action, resource);");
    assert_eq!(
        told(&loose, &cases),
        "FAIL  cases.yaml: no writes\n        decision: expected deny, came allow\n        mask of `public.patient.mrn`: \
         expected redacted, came raw\n        decided by `loose` (a.cedar:2)\n0 passed, 1 failed\n"
    );
}

#[test]
fn a_denial_that_was_not_expected_is_explained() {
    let cases = format!(
        "{HEAD}cases:\n  - principal: {{ issuer: corp, agent: a }}\n    statement: DELETE FROM patient WHERE mrn = 'M-1234567'\n    \
         expect: allow\n    rule: policy.select\n    policies: [reads]\n"
    );
    let told = told(READS, &cases);
    for part in [
        "FAIL  cases.yaml: case 1",
        "expected allow, came deny",
        "policies: expected `reads`, came none",
        "rule: expected `policy.select`, came `policy.delete`",
        "policy does not permit `delete` on table `public.patient`",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    assert!(!told.contains("1234567"), "a literal of the statement:\n{told}");
}

#[test]
fn time_estimates_names_and_texts_of_several_statements() {
    let policy = r#"
@id("day") permit (principal, action == Action::"connect", resource) when { context.now < datetime("2026-06-01") };
@id("table") permit (principal, action == Action::"select", resource == Table::"clinic/public.patient")
  when { context has estimated_rows && context.estimated_rows <= 10 };"#;
    let case = |what: &str| format!("  - {{ principal: {{ issuer: corp, agent: a }}, {what} }}\n");
    let cases: String = [
        "expect: allow, policies: [day]",
        "expect: deny, at: 2026-06-01T00:00:00Z, rule: policy.connect",
        "expect: allow, statement: SELECT 1 FROM patient, estimated_rows: 10, policies: [table]",
        "expect: deny, statement: SELECT 1 FROM patient, estimated_rows: 11",
        "expect: deny, statement: SELECT 1 FROM patient",
        "expect: allow, statement: SELECT 1 FROM public.patient, estimated_rows: 1",
        "expect: deny, statement: SELECT 1 FROM other.patient, estimated_rows: 1",
        "expect: allow, statement: SELECT 1 FROM patient; BEGIN, estimated_rows: 1, policies: [day, table]",
        "expect: deny, statement: BEGIN; DELETE FROM patient, rule: policy.delete",
        "expect: deny, statement: SELEC, rule: statement.syntax",
    ]
    .map(case)
    .concat();
    let told_here = told(policy, &format!("{HEAD}cases:\n{cases}"));
    assert!(told_here.ends_with("10 passed, 0 failed\n"), "{told_here}");
    // a name means a table of the search path only
    let elsewhere = format!(
        "{HEAD}search_path: [other]\ncases:\n{}",
        case("expect: deny, statement: SELECT 1 FROM patient, estimated_rows: 1")
    );
    assert!(told(policy, &elsewhere).ends_with("1 passed, 0 failed\n"));
    // where nothing is protected the connection decides
    let open = "policies: a.cedar\nphi: none\nconnection: ops\ncases:\n";
    let reads = case("expect: allow, statement: SELECT 1 FROM patient, policies: [reads]");
    assert!(told(READS, &format!("{open}{reads}")).ends_with("1 passed, 0 failed\n"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let case = "cases:\n  - { principal: { issuer: corp, agent: a }, expect: allow }\n";
    let cannot = |cases: String, part: &str| {
        let told = told(READS, &cases);
        assert!(told.starts_with("cannot: ") && told.contains(part), "{part} is not in {told}");
    };
    cannot(format!("{HEAD}cases: []\n"), "it has no cases");
    cannot(format!("{HEAD}colour: red\n{case}"), "colour");
    cannot(
        format!("{HEAD}cases:\n  - {{ principal: {{ issuer: corp, agent: a, role: x }}, expect: allow }}\n"),
        "role",
    );
    cannot(
        format!("{HEAD}cases:\n  - {{ principal: {{ issuer: corp, agent: a }}, expect: allow, mask: x }}\n"),
        "mask",
    );
    cannot(format!("{HEAD}cases:\n  - {{ principal: {{ issuer: corp, agent: a }}, expect: perhaps }}\n"), "perhaps");
    cannot(
        format!("{HEAD}cases:\n  - {{ principal: nobody, expect: allow }}\n"),
        "there is no `nobody` in `principals`",
    );
    cannot(format!("{HEAD}at: yesterday\n{case}"), "2026-01-07T12:00:00Z");
    cannot(format!("policies: a.cedar\nconnection: clinic\n{case}"), "say what the columns hold");
    cannot(format!("{HEAD}phi: none\n{case}"), "exclude each other");
    cannot(format!("policies: none.cedar\nclassification: classes.yaml\nconnection: clinic\n{case}"), "none.cedar");
    cannot(format!("policies: a.cedar\nclassification: classes.yaml\n{case}"), "`connection` is missing");
    let masks = |masks: &str| {
        format!(
            "{HEAD}cases:\n  - {{ principal: {{ issuer: corp, agent: a }}, expect: allow, masks: {{ {masks} }} }}\n"
        )
    };
    cannot(masks("public.patient.ssn: raw"), "no column `public.patient.ssn`");
    cannot(masks("mrn: raw"), "is not `schema.table.column`");
    cannot(masks("public.patient.mrn: hashed"), "hashed");
    let broken = told("permit (principal, action == Action::\"sing\", resource);", &format!("{HEAD}{case}"));
    assert!(broken.contains("the policies are not valid") && broken.contains("a.cedar:1"), "{broken}");
}

#[test]
fn exit_codes_and_json() {
    let case = |expect: &str| {
        format!("{HEAD}cases:\n  - {{ name: n, principal: {{ issuer: corp, agent: a }}, expect: {expect} }}\n")
    };
    let (good, bad) = (folder(READS, &case("allow")), folder(READS, &case("deny")));
    let code = |folders: &[&tempfile::TempDir]| {
        let files = folders.iter().map(|folder| folder.path().join("cases.yaml")).collect();
        format!("{:?}", run(&PolicyTestArguments { files, format: Format::Json }))
    };
    assert_eq!(code(&[&good]), format!("{:?}", ExitCode::SUCCESS));
    assert_eq!(code(&[&good, &bad]), format!("{:?}", ExitCode::from(1)));
    fs::remove_file(good.path().join("cases.yaml")).unwrap();
    assert_eq!(code(&[&bad, &good]), format!("{:?}", ExitCode::from(3)));
    let json = tested(&bad.path().join("cases.yaml")).unwrap().json();
    assert_eq!((json["passed"].as_u64(), json["failed"].as_u64()), (Some(0), Some(1)));
    assert_eq!(json["cases"][0]["decision"], "allow");
    assert_eq!(json["cases"][0]["policies"][0], "reads");
}

/// The example of `docs/policy.md`, and what it shows of a policy that was loosened.
#[test]
fn the_example_in_the_documents_runs() {
    let document = include_str!("../../../../docs/policy.md");
    let block = |after: &str| document.split(after).nth(1).unwrap().split("```").next().unwrap();
    let folder = copied();
    let path = folder.path().join("care.test.yaml");
    fs::write(&path, block("```yaml\n")).unwrap();
    assert!(tested(&path).unwrap().to_string().ends_with("2 passed, 0 failed\n"));
    let care = folder.path().join("care.cedar");
    let loose =
        fs::read_to_string(&care).unwrap().replacen("context.purpose == \"treatment\"", "context.purpose != \"x\"", 1);
    fs::write(&care, loose).unwrap();
    assert_eq!(tested(&path).unwrap().to_string(), block("$ chaperone policy test care.test.yaml\n"));
}
