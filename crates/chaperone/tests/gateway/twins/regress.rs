//! PostgreSQL's regression suite over tables declared to hold protected data: every second column is `unknown`, and differs
//! between the twins. `FILES` names the scripts to run, all if nothing is said.
//!
//! The suite is what `tests/setup/install suites` and `make transparency` fetch. Its rows have no order where a script
//! gives none, so rows are sorted before they are compared, and plans are not looked at.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use chaperone_testkit::postgres::Cluster;
use chaperone_testkit::twins::{How, Mode, Tally, differ, script};

use super::setting::{self, ROLE, TWINS};

/// Scripts whose tables others read, in their order.
const BEFORE: [&str; 6] = ["test_setup", "create_misc", "create_table", "create_index", "create_view", "inherit"];

/// Scripts that wait, change the server rather than ask it, or double a table until it is too large to compare.
const LEFT_OUT: [&str; 5] = ["stats", "tablespace", "test_setup", "infinite_recurse", "vacuum"];

/// Two databases have two numbers.
const ITS_OWN_NUMBER: &str = "oid as datoid from pg_database where datname = current_database()";

fn suite() -> PathBuf {
    let parts = std::env::var_os("PARTS").map(PathBuf::from);
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.parts");
    let folders = parts.into_iter().chain([here, PathBuf::from("/var/tmp/chaperone-parts")]);
    let suites = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let mut suites: Vec<_> =
        suites.map(|entry| entry.path().join("src/test/regress")).filter(|suite| suite.join("sql").is_dir()).collect();
    suites.sort();
    suites.pop().expect(
        "PostgreSQL's suite is not here: `tests/setup/install suites`, then `make transparency` once, or PARTS=",
    )
}

/// Runs a script straight at the first twin; statements that fail are passed over, as the suite means it.
fn prepare(cluster: &Cluster, suite: &Path, text: &str) {
    let mut psql = Command::new(cluster.binaries().join("psql"))
        .args([
            "-XAtq",
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-d",
            TWINS[0],
            "-p",
            &cluster.port().to_string(),
            "-f",
            "-",
        ])
        .env("PGPASSWORD", cluster.password())
        .env("PG_ABS_SRCDIR", suite)
        .env("PG_LIBDIR", suite)
        .env("PG_DLSUFFIX", ".so")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    psql.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    psql.wait().unwrap();
}

fn scripted(suite: &Path, name: &str) -> String {
    String::from_utf8_lossy(&fs::read(suite.join(format!("sql/{name}.sql"))).unwrap()).into_owned()
}

/// The scripts to run.
fn names(suite: &Path) -> Vec<String> {
    let wanted = std::env::var("FILES").ok();
    let is_wanted =
        |name: &String| wanted.as_ref().is_none_or(|wanted| wanted.split_whitespace().any(|one| one == name));
    let mut names: Vec<_> = fs::read_dir(suite.join("sql"))
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".sql")?.to_owned()))
        .filter(|name| !LEFT_OUT.contains(&name.as_str()))
        .filter(is_wanted)
        .collect();
    names.sort();
    names
}

/// The suite's tables in both twins, and their classification.
fn twins(suite: &Path) -> (Cluster, String) {
    let cluster = setting::steady();
    cluster.create_database(TWINS[0], "postgres").unwrap();
    for name in BEFORE {
        prepare(&cluster, suite, &scripted(suite, name));
    }
    fill(&cluster, suite);
    // and what the scripts that are run make for themselves, which an agent may not
    let lasting = |sql: &str| {
        let sql = sql.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join(" ").to_ascii_lowercase();
        sql.trim_start().starts_with("create table ") || sql.trim_start().starts_with("insert into ")
    };
    let mut made = "SET statement_timeout = '3s';\n".to_owned();
    for name in names(suite) {
        let steps = script::read(&scripted(suite, &name));
        steps.iter().filter(|step| lasting(&step.sql)).for_each(|step| writeln!(made, "{};", step.sql).unwrap());
    }
    prepare(&cluster, suite, &made);
    let grants = format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {0}; GRANT ALL ON SCHEMA public TO {0}", ROLE[0]);
    cluster.psql_in(TWINS[0], &grants).unwrap();
    cluster.psql(&format!("ALTER ROLE {} SET statement_timeout = '10s'", ROLE[0])).unwrap();
    let columns = cluster
        .psql_in(
            TWINS[0],
            "SELECT c.relname, a.attname, t.typname, row_number() OVER (PARTITION BY c.oid ORDER BY attnum) % 2, attgenerated
             FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped JOIN pg_type t ON t.oid = atttypid
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1, attnum",
        )
        .unwrap();
    let mut classes = BTreeMap::<_, Vec<String>>::new();
    let (mut here, mut there) = (String::new(), String::new());
    for line in columns.lines() {
        let [table, column, ty, odd, generated] = *line.split('|').collect::<Vec<_>>() else { continue };
        let quoted = |name: &str| format!("\"{name}\"");
        let class = if odd == "1" { "none" } else { "unknown" };
        classes.entry(quoted(&format!("public.{table}"))).or_default().push(format!("{}: {class}", quoted(column)));
        let other = match ty {
            "text" | "varchar" | "bpchar" => "reverse(@)",
            "name" => "reverse(@::text)::name",
            "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" => "-@",
            "date" => "@ + 1",
            "timestamp" | "timestamptz" | "time" => "@ + interval '1 hour'",
            "bool" => "NOT @",
            _ => continue,
        };
        if odd == "1" || !generated.is_empty() {
            continue;
        }
        // a rewrite of the rows in both, so that they lie alike; what a constraint forbids stays as it is
        for (sql, to) in [(&mut here, "@"), (&mut there, other)] {
            let value = to.replace('@', &quoted(column));
            writeln!(sql, "DO $do$ BEGIN UPDATE ONLY public.\"{table}\" SET \"{column}\" = {value}; EXCEPTION WHEN OTHERS THEN NULL; END $do$;").unwrap();
        }
    }
    cluster.psql(&format!("CREATE DATABASE {} TEMPLATE {}", TWINS[1], TWINS[0])).unwrap();
    for (twin, changes) in TWINS.into_iter().zip([here, there]) {
        cluster.psql_in(twin, &changes).unwrap();
        cluster.psql_in(twin, "VACUUM ANALYZE").unwrap();
    }
    let classes: Vec<_> = classes
        .into_iter()
        .map(|(table, columns)| format!("  {table}: {{ columns: {{ {} }} }}", columns.join(", ")))
        .collect();
    assert!(classes.len() > 40, "only {} tables", classes.len());
    (cluster, format!("tables:\n{}\n", classes.join("\n")))
}

/// The rows of the large tables; where `\copy` came too early or too late.
fn fill(cluster: &Cluster, suite: &Path) {
    for (table, file) in [
        ("onek", "onek"),
        ("tenk1", "tenk"),
        ("person", "person"),
        ("emp", "emp"),
        ("stud_emp", "stud_emp"),
        ("student", "student"),
    ] {
        let rows = cluster.psql_in(TWINS[0], &format!("SELECT count(*) FROM ONLY public.{table}"));
        let Ok(text) = fs::read_to_string(suite.join(format!("data/{file}.data"))) else { continue };
        if rows.is_ok_and(|rows| rows == "0") {
            cluster.psql_in(TWINS[0], &format!("COPY public.{table} FROM STDIN;\n{text}\\.\n")).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL's sources: `make twins`"]
async fn twins_answer_the_regression_suite_alike() {
    let suite = suite();
    let (cluster, classes) = twins(&suite);
    let cluster = Arc::new(cluster);
    let mut gateway = setting::gateway_of(&cluster, &classes, POLICY);
    let [mut one, mut other] = setting::agents(&gateway).await;
    let names = names(&suite);
    let (mut all, mut leaks, mut ended) = (Tally::default(), Vec::new(), 0);
    for name in &names {
        one.start_over().await;
        other.start_over().await;
        let mut tally = Tally::default();
        for (n, step) in script::read(&scripted(&suite, name)).iter().enumerate() {
            let mode = Mode::ALL[n % 3];
            let (a, b) = tokio::join!(one.go_on(step, mode), other.go_on(step, mode));
            tally.count(&a);
            if a.ended {
                ended += 1;
                let reason = String::from_utf8_lossy(&a.bytes).replace('\0', " ");
                let reason = reason.rsplit("[session ended: ").next().unwrap_or_default().to_owned();
                println!("{name} {mode:?} ends the session, {reason} {}", step.sql);
            }
            let sql = step.sql.to_ascii_lowercase();
            let plan = sql.contains("explain");
            if sql.contains(ITS_OWN_NUMBER) {
                continue;
            }
            if let Some(where_) = differ(&a, &b, if plan { How::Outcome } else { How::Sorted }, TWINS) {
                tally.leaks += 1;
                leaks.push(format!("{name} {mode:?}: {}\n  {where_}", step.sql));
            }
        }
        println!("{name}: {tally}");
        all.add(&tally);
    }
    drop([one, other]);
    println!("regression suite, {} scripts, {ended} answers too long or at the end of the session: {all}", names.len());
    assert!(!names.is_empty() && all.answered > 0, "{all}");
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
    gateway.assert_well();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

const POLICY: &str = r#"
@id("all-but-values")
permit (
  principal in Group::"agents",
  action in [Action::"connect", Action::"select", Action::"copy", Action::"call", Action::"ddl", Action::"insert", Action::"update", Action::"delete"],
  resource
);
"#;
