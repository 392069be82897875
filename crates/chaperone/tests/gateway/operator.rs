//! What the operator does: change the classification under running sessions, ask what would happen, check.

use std::process::{Command, Output};
use std::time::Duration;

use chaperone_testkit::raw::frontend as frame;
use serde_json::Value;

use crate::hostile::{code, tags};
use crate::stage::{Gateway, POLICY, Setup, fresh_cluster, verify};

/// Longer than the gateway takes to notice a changed file.
const NOTICED: Duration = Duration::from_millis(2500);

fn chaperone(gateway: &Gateway, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chaperone"))
        .args(arguments)
        .env("CHAPERONE_CONFIG", gateway.path("chaperone.yaml"))
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn reclassify(gateway: &Gateway, from: &str, to: &str) {
    let path = gateway.path("classes.yaml");
    let before = std::fs::read_to_string(&path).unwrap();
    assert!(before.contains(from));
    std::fs::write(path, before.replacen(from, to, 1)).unwrap();
}

/// The records of the newest session, as JSON.
fn records(gateway: &Gateway) -> Vec<Value> {
    let dir = gateway.path("evidence");
    let dir = dir.to_str().unwrap();
    let sessions = text(&chaperone(gateway, &["sessions", "ls", "--dir", dir, "--format", "json"]));
    let newest: Value = serde_json::from_str(sessions.lines().last().unwrap()).unwrap();
    let id = newest["id"].as_str().unwrap_or_else(|| newest["session"].as_str().unwrap());
    let shown = text(&chaperone(gateway, &["sessions", "show", id, "--dir", dir, "--format", "json"]));
    shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classification_changes_under_running_sessions_and_what_decided_is_kept() {
    let mut gateway = Setup::new().start();
    let mut client = gateway.client("clinic").await;
    let sex = "select count(sex) from clinic.patient";
    assert_eq!(client.rows(sex).await.unwrap(), ["300"]);
    reclassify(&gateway, "sex: none", "sex: unique_id");
    tokio::time::sleep(NOTICED).await;
    assert_eq!(client.rows(sex).await.unwrap(), ["0"], "masked from now on");
    let mut later = gateway.client("clinic").await;
    assert_eq!(later.rows(sex).await.unwrap(), ["0"]);
    drop(later);

    // what is broken changes nothing, and says so
    reclassify(&gateway, "sex: unique_id", "sex: no_such_class");
    tokio::time::sleep(NOTICED).await;
    assert_eq!(client.rows(sex).await.unwrap(), ["0"]);
    assert!(gateway.log().contains("no_such_class"), "the operator is told what is wrong");
    reclassify(&gateway, "sex: no_such_class", "sex: none");
    tokio::time::sleep(NOTICED).await;
    assert_eq!(client.rows(sex).await.unwrap(), ["300"]);
    drop(client);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());

    // the session says by what each of its statements was decided
    let dir = gateway.path("evidence");
    let dir_text = dir.to_str().unwrap();
    let sessions = text(&chaperone(&gateway, &["sessions", "ls", "--dir", dir_text, "--format", "json"]));
    let id = serde_json::from_str::<Value>(sessions.lines().next().unwrap()).unwrap();
    let id = id["id"].as_str().or(id["session"].as_str()).unwrap().to_owned();
    let shown = text(&chaperone(&gateway, &["sessions", "show", &id, "--dir", dir_text, "--format", "json"]));
    let mut versions = Vec::new();
    let mut masked = Vec::new();
    for record in shown.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        if let Some(version) = record["classification_version"].as_str() {
            versions.push(version.to_owned());
            masked.push(record["masks"]["clinic.patient"]["sex"] == "redacted");
        }
    }
    assert_eq!(masked, [false, true, false], "{shown}");
    assert_eq!(versions[0], versions[2]);
    assert_ne!(versions[0], versions[1]);

    // what decided then can be asked again: with the classification of then the column was masked
    let then = gateway.path("then.yaml");
    let restored =
        chaperone(&gateway, &["policy", "restore", &versions[1], "--dir", dir_text, "--out", then.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", text(&restored));
    let claims = format!(r#"{{"iss": "{}", "sub": "test-agent", "groups": ["agents"]}}"#, gateway.issuer.url());
    std::fs::write(gateway.path("claims.json"), claims).unwrap();
    let again = |classification: &str| {
        let claims = gateway.path("claims.json");
        let arguments = [
            "explain",
            "--connection",
            "clinic",
            "--claims",
            claims.to_str().unwrap(),
            "--classification",
            classification,
            "--sql",
            sex,
        ];
        text(&chaperone(&gateway, &arguments))
    };
    assert!(
        again(then.to_str().unwrap()).contains("clinic.patient.sex                  redacted"),
        "{}",
        again(then.to_str().unwrap())
    );
    assert!(again(gateway.path("classes.yaml").to_str().unwrap()).contains("clinic.patient.sex                  raw"));
    // and so can policies
    let opened = shown.lines().next().map(|line| serde_json::from_str::<Value>(line).unwrap()).unwrap();
    let policies = gateway.path("policies-then");
    let version = opened["policy_version"].as_str().unwrap();
    let restored =
        chaperone(&gateway, &["policy", "restore", version, "--dir", dir_text, "--out", policies.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", text(&restored));
    let (now, then) = (gateway.path("policies/test.cedar"), policies.join("test.cedar"));
    assert_eq!(std::fs::read_to_string(now).unwrap(), std::fs::read_to_string(then).unwrap());
    for bad in ["", "..", "../keys", "0123456789abcdef0123456789abcdef"] {
        let out = gateway.path("nowhere");
        let refused =
            chaperone(&gateway, &["policy", "restore", bad, "--dir", dir_text, "--out", out.to_str().unwrap()]);
        assert!(!refused.status.success() && !out.exists(), "{bad}");
    }

    // and what decided is there, by its digest
    let kept = dir.join("versions").join(&versions[1]);
    let text = std::fs::read_to_string(&kept).unwrap();
    assert!(text.contains("sex: unique_id"));
    std::fs::write(&kept, text.replace("sex: unique_id", "sex: none")).unwrap();
    assert_eq!(verify(&dir).status.code(), Some(1), "another text than what decided is tampering");
    std::fs::remove_file(&kept).unwrap();
    assert_eq!(verify(&dir).status.code(), Some(2), "without it the evidence is incomplete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_is_masked_and_the_session_says_so() {
    let cluster = std::sync::Arc::new(fresh_cluster());
    let mut gateway = Setup::new().cluster(cluster.clone()).start();
    let mut client = gateway.client("clinic").await;
    assert_eq!(client.rows("select count(*) from clinic.room").await.unwrap().len(), 1);
    cluster.psql_in("clinic", "alter table clinic.room add column door_code text default 'open sesame'").unwrap();
    tokio::time::sleep(NOTICED).await;
    assert_eq!(client.rows("select count(door_code) from clinic.room").await.unwrap(), ["0"]);
    drop(client);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
    let changed: Vec<Value> =
        records(&gateway).into_iter().filter(|record| record["kind"] == "authority_changed").collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(changed[0]["masks"]["clinic.room"]["door_code"], "redacted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_being_written_takes_no_rule_away() {
    let mut gateway = Setup::new().start();
    let forbid = gateway.path("policies/zz-forbid.cedar");
    let text = "@id(\"no-names\") forbid (principal, action == Action::\"read_raw\", resource in Class::\"name\");";
    std::fs::write(&forbid, text).unwrap();
    tokio::time::sleep(NOTICED).await;
    let mut client = gateway.client("clinic").await;
    let names = "select count(last_name) from clinic.patient";
    assert_eq!(client.rows(names).await.unwrap(), ["0"]);
    // emptied, and left so: by an editor that died
    std::fs::write(&forbid, "").unwrap();
    tokio::time::sleep(NOTICED).await;
    assert_eq!(client.rows(names).await.unwrap(), ["0"]);
    assert!(gateway.log().contains("zz-forbid.cedar"), "the operator is told");
    // taken away on purpose
    std::fs::remove_file(&forbid).unwrap();
    tokio::time::sleep(NOTICED).await;
    assert_eq!(client.rows(names).await.unwrap(), ["300"]);
    drop(client);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_what_a_session_would_do() {
    let gateway = Setup::new().start();
    let claims = |groups: &str| {
        let claims = format!(r#"{{"iss": "{}", "sub": "somebody", "groups": [{groups}]}}"#, gateway.issuer.url());
        std::fs::write(gateway.path("claims.json"), claims).unwrap();
    };
    let claims_path = gateway.path("claims.json");
    let explain = |sql: &str| {
        let claims_path = claims_path.to_str().unwrap();
        let arguments =
            ["explain", "--connection", "clinic", "--claims", claims_path, "--format", "json", "--sql", sql];
        let output = chaperone(&gateway, &arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), serde_json::from_str::<Value>(&said).unwrap_or(Value::String(text(&output))))
    };
    claims("\"agents\"");
    let (code, said) = explain("select last_name, ssn from clinic.patient where id = 3");
    assert_eq!(code, Some(0), "{said}");
    let run = said["runs_as"].as_str().unwrap();
    assert!(run.contains("NULL::") && run.contains("clinic.patient"), "{run}");
    assert_eq!(said["statements"][0]["decision"]["policies"], serde_json::json!(["reads-clinic"]));
    let rung = |column: &str| {
        let masks = said["masks"].as_array().unwrap();
        masks.iter().find(|mask| mask["column"] == column).map(|mask| mask["rung"].as_str().unwrap().to_owned())
    };
    assert_eq!(rung("clinic.patient.ssn").as_deref(), Some("redacted"));
    assert_eq!(rung("clinic.patient.last_name").as_deref(), Some("raw"));

    // names in clear are neither; what else is shown would be
    let profile = said["profiles"][0].clone();
    assert_eq!((&profile["name"], &profile["kept"]), (&Value::from("safe_harbor"), &Value::from(false)), "{profile}");
    assert_eq!(profile["broken_by"].as_array().map(Vec::len), Some(1), "{profile}");

    let (code, said) = explain("delete from clinic.patient");
    assert_eq!((code, &said["refused"]["rule"]), (Some(1), &Value::from("policy.delete")), "{said}");
    let (code, said) = explain("select 'Smith' from clinic.nowhere");
    assert_eq!(code, Some(1), "{said}");
    assert!(!said["refused"].to_string().contains("Smith"), "a refusal repeats no literal: {said}");

    claims("\"nobody\"");
    let (code, said) = explain("select 1");
    assert_eq!((code, &said["refused"]["rule"]), (Some(1), &Value::from("policy.connect")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_may_ask_how_many_rows_the_database_expects() {
    let mut gateway = Setup::new().start();
    let policy = POLICY.replacen(
        "resource in Connection::\"clinic\"\n);",
        "resource in Connection::\"clinic\"\n);\n@id(\"small\") forbid (principal, action == Action::\"select\", \
         resource in Connection::\"clinic\") when { context has estimated_rows && context.estimated_rows > 50 };",
        1,
    );
    assert!(policy.contains("estimated_rows"));
    std::fs::write(gateway.path("policies/test.cedar"), policy).unwrap();
    tokio::time::sleep(NOTICED).await;
    let mut client = gateway.client("clinic").await;
    assert_eq!(client.rows("select id from clinic.patient where id = 7").await.unwrap(), ["7"]);
    assert_eq!(code(&client.query("select id from clinic.patient").await.unwrap()), "42501");
    assert_eq!(client.rows("select id from clinic.patient order by id limit 2").await.unwrap(), ["1", "2"]);
    // nor does anything help that yields few rows of what is hidden, or one row of all
    for sql in [
        "select last_name from clinic.patient where last_name is not null",
        "select last_name from clinic.patient where length(zip) > 1",
        "select string_agg(last_name, ',') from clinic.patient",
        "select unnest(array_agg(last_name)) from clinic.patient limit 3",
        "select (select json_agg(last_name) from clinic.patient)",
        "select last_name from clinic.patient where ssn > '0'",
    ] {
        assert_eq!(code(&client.query(sql).await.unwrap()), "42501", "{sql}");
    }
    // prepared, it is decided by the same number at each run; and a pipeline keeps its order
    let run = [frame::bind("", "few", &[], &[]), frame::execute("", 0)].concat();
    let pipeline = [
        frame::parse("few", "select id from clinic.patient where id = 8", &[]),
        run.clone(),
        run,
        frame::parse("many", "select id from clinic.patient", &[]),
        frame::sync(),
    ];
    client.send(&pipeline.concat()).await.unwrap();
    assert_eq!(tags(&client.until_ready().await.unwrap()), "12DC2DCEZ");
    assert_eq!(client.rows("select 1").await.unwrap(), ["1"], "the session goes on");
    drop(client);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
    let received: Vec<Value> = records(&gateway).into_iter().filter(|record| record["kind"] == "received").collect();
    let numbers: Vec<u64> = received
        .iter()
        .flat_map(|record| record["statements"].as_array().unwrap())
        .filter_map(|statement| statement["estimated_rows"].as_u64())
        .collect();
    assert!(numbers.contains(&1) && numbers.contains(&300) && numbers.contains(&2), "{numbers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_what_no_longer_fits() {
    let cluster = std::sync::Arc::new(fresh_cluster());
    let gateway = Setup::new().cluster(cluster.clone()).start();
    let output = chaperone(&gateway, &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    cluster.psql_in("clinic", "alter table clinic.room add column door_code text").unwrap();
    let output = chaperone(&gateway, &["check"]);
    assert!(text(&output).contains("clinic.room.door_code"), "{}", text(&output));
    assert_eq!(output.status.code(), Some(0), "redacted until somebody says what it is: a warning");
    assert_eq!(chaperone(&gateway, &["check", "--strict"]).status.code(), Some(1));
    // a policy that names what is not there
    let more = POLICY.to_owned()
        + "@id(\"typo\") forbid (principal, action == Action::\"select\", resource == Table::\"clinic/clinic.pateint\");";
    std::fs::write(gateway.path("policies/test.cedar"), more).unwrap();
    let said = text(&chaperone(&gateway, &["check", "--offline"]));
    assert!(said.contains("clinic/clinic.pateint") && said.contains("`typo`"), "{said}");
    std::fs::write(gateway.path("policies/test.cedar"), POLICY).unwrap();
    cluster.psql_in("clinic", "alter table clinic.room rename column label to labelled").unwrap();
    let output = chaperone(&gateway, &["check", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let said: Value = serde_json::from_str(&String::from_utf8_lossy(&output.stdout)).unwrap();
    assert!(said.to_string().contains("drift.column"), "{said}");
    assert_eq!(chaperone(&gateway, &["check", "--offline"]).status.code(), Some(0));
}
