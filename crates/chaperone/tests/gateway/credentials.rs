//! A database role for each session: of use to nobody else at any moment, and gone with it.

mod attacked;

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use chaperone_testkit::postgres::Cluster;
use chaperone_testkit::raw::{Client, Message, Transport};

use crate::stage::{Gateway, MINTER, PASSWORD, POLICY, Setup, fresh_cluster};

/// A cluster whose minter was made by the script that `chaperone credentials script` prints.
fn cluster() -> Arc<Cluster> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cluster) = shared.upgrade() {
        return cluster;
    }
    let cluster = Arc::new(fresh_cluster());
    prepare(&cluster);
    *shared = Arc::downgrade(&cluster);
    cluster
}

pub fn prepare(cluster: &Arc<Cluster>) {
    let gateway = Setup::new().cluster(cluster.clone()).minted().start();
    for connection in ["clinic", "ops"] {
        let script = script(&gateway, connection);
        // the role is the cluster's, and there once the first database has run its script
        let script = match connection {
            "clinic" => script,
            _ => script.replace("CREATE ROLE", "-- CREATE ROLE"),
        };
        cluster.psql_in(connection, &script).unwrap();
    }
    cluster.psql(&format!("ALTER ROLE {MINTER} PASSWORD '{PASSWORD}'")).unwrap();
    let all = format!(
        "GRANT USAGE, CREATE ON SCHEMA ops TO {MINTER} WITH GRANT OPTION; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ops TO {MINTER} WITH GRANT OPTION"
    );
    cluster.psql_in("ops", &all).unwrap();
}

fn script(gateway: &Gateway, connection: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_chaperone"))
        .args(["credentials", "script", "--connection", connection, "--config"])
        .arg(gateway.path("chaperone.yaml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn roles(cluster: &Cluster, kind: char) -> Vec<String> {
    let sql = format!(r"SELECT rolname FROM pg_roles WHERE rolname LIKE 'chaperone\_%\_{kind}\_%' ORDER BY 1");
    cluster.psql(&sql).unwrap().lines().map(str::to_owned).collect()
}

/// The one role that came since `before`.
fn new_role(cluster: &Cluster, before: &[String]) -> String {
    let new: Vec<String> = roles(cluster, 's').into_iter().filter(|role| !before.contains(role)).collect();
    assert_eq!(new.len(), 1, "{new:?}");
    new[0].clone()
}

fn gone(cluster: &Cluster, role: &str) {
    let start = Instant::now();
    while roles(cluster, 's').iter().any(|left| left == role) {
        assert!(start.elapsed() < Duration::from_secs(10), "{role} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn field(messages: &[Message], code: u8) -> String {
    messages.iter().find(|message| message.tag == b'E').and_then(|message| message.field(code)).unwrap_or_default()
}

/// Tests here count the cluster's roles: one at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_the_sessions_own_and_goes_with_it() {
    let _alone = ALONE.lock().await;
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    let before = roles(&cluster, 's');
    let mut client = gateway.client("clinic").await;
    assert_eq!(
        client.rows("select count(*), count(ssn), count(last_name) from clinic.patient").await.unwrap(),
        ["300|0|300"]
    );
    let role = new_role(&cluster, &before);

    // what it may do is what its masks read
    let may = |privilege: &str, column: &str| {
        let sql = format!("SELECT has_column_privilege('{role}', 'clinic.patient', '{column}', '{privilege}')");
        cluster.psql_in("clinic", &sql).unwrap().trim() == "t"
    };
    assert!(may("SELECT", "last_name") && may("SELECT", "id") && may("UPDATE", "ssn"));
    assert!(!may("SELECT", "ssn") && !may("SELECT", "phone"));

    // nobody can log in with it: not by any password, not where none is asked for
    let state =
        format!("SELECT rolcanlogin, rolpassword IS NULL, rolvaliduntil FROM pg_authid WHERE rolname = '{role}'");
    assert_eq!(cluster.psql(&state).unwrap().trim(), "f|t|-infinity");
    let mut thief = Client::connect(&format!("localhost:{}", cluster.port()), Transport::Plain).await.unwrap();
    assert!(thief.login(&role, "clinic", "").await.is_err());

    // workers of a parallel query log in as well, in a way
    cluster
        .psql(&format!(
            "ALTER ROLE {role} SET parallel_setup_cost = 0; ALTER ROLE {role} RESET parallel_setup_cost; \
             ALTER DATABASE clinic SET parallel_setup_cost = 0; ALTER DATABASE clinic SET parallel_tuple_cost = 0; \
             ALTER DATABASE clinic SET min_parallel_table_scan_size = 0"
        ))
        .unwrap();
    let mut parallel = gateway.client("clinic").await;
    assert_eq!(parallel.rows("select count(*) from clinic.patient where sex >= ''").await.unwrap(), ["300"]);
    cluster.psql("ALTER DATABASE clinic RESET ALL").unwrap();
    drop(parallel);

    drop(client);
    gone(&cluster, &role);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
    assert_eq!(roles(&cluster, 's'), before);
    let log = gateway.log();
    assert!(!log.contains("SCRAM-SHA-256$"), "a verifier is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_leaves_is_dropped_at_the_next_start() {
    let _alone = ALONE.lock().await;
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    let before = roles(&cluster, 's');
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = gateway.client("clinic").await;
        client.rows("select count(*) from clinic.visit").await.unwrap();
        clients.push(client);
    }
    let left: Vec<String> = roles(&cluster, 's').into_iter().filter(|role| !before.contains(role)).collect();
    assert_eq!(left.len(), 5);
    gateway.kill();
    // of no use to anybody even now
    let usable = cluster.psql(
        "SELECT count(*) FROM pg_authid WHERE rolname LIKE 'chaperone%' AND (rolcanlogin OR rolpassword IS NOT NULL)",
    );
    assert_eq!(usable.unwrap().trim(), "0");
    gateway.launch();
    for role in &left {
        gone(&cluster, role);
    }
    // another gateway's are not touched, and profiles of the first run do no harm
    assert_eq!(roles(&cluster, 's'), before);
    let mut client = gateway.client("clinic").await;
    assert_eq!(client.rows("select count(*) from clinic.patient").await.unwrap(), ["300"]);
    drop(client);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_could_read_what_is_masked_gets_no_session() {
    let _alone = ALONE.lock().await;
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    cluster.psql_in("clinic", "GRANT SELECT (ssn) ON clinic.patient TO PUBLIC").unwrap();
    let before = roles(&cluster, 's');
    let mut client = Client::connect(&gateway.address(), gateway.transport()).await.unwrap();
    let refused = client.login("agent", "clinic", &gateway.token()).await.unwrap_err().to_string();
    cluster.psql_in("clinic", "REVOKE SELECT (ssn) ON clinic.patient FROM PUBLIC").unwrap();
    assert!(refused.contains("could read in the database what is to be masked"), "{refused}");
    assert!(gateway.log().contains("clinic.patient.ssn"), "the operator is not told which column");
    assert_eq!(roles(&cluster, 's'), before, "a role was made all the same");
    let mut client = gateway.client("clinic").await;
    assert_eq!(client.rows("select count(*) from clinic.patient").await.unwrap(), ["300"]);
    drop(client);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_follows_the_masks() {
    let _alone = ALONE.lock().await;
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    let before = roles(&cluster, 's');
    let mut client = gateway.client("clinic").await;
    assert_eq!(client.rows("select count(ssn) from clinic.patient").await.unwrap(), ["0"]);
    let role = new_role(&cluster, &before);
    let may = || {
        let sql = format!("SELECT has_column_privilege('{role}', 'clinic.patient', 'ssn', 'SELECT')");
        cluster.psql_in("clinic", &sql).unwrap().trim() == "t"
    };
    let raw = r#"permit (principal in Group::"agents", action == Action::"read_raw", resource in Class::"ssn");"#;
    for (policy, seen) in [(format!("{POLICY}\n{raw}"), "300"), (POLICY.to_owned(), "0")] {
        std::fs::write(gateway.path("policies/test.cedar"), policy).unwrap();
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(client.rows("select count(ssn) from clinic.patient").await.unwrap(), [seen]);
        assert_eq!(may(), seen == "300");
    }
    drop(client);
    gone(&cluster, &role);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_makes_to_stay_outlives_its_role() {
    let _alone = ALONE.lock().await;
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    let before = roles(&cluster, 's');
    let mut client = gateway.client("ops").await;
    let made = client.query("create table ops.noted (a int); insert into ops.noted values (7)").await.unwrap();
    assert_eq!(field(&made, b'M'), "");
    let role = new_role(&cluster, &before);
    drop(client);
    gone(&cluster, &role);
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'noted'";
    let owner = cluster.psql_in("ops", owner).unwrap();
    assert!(owner.trim().ends_with("_keeper"), "{owner}");
    let mut client = gateway.client("ops").await;
    assert_eq!(client.rows("select a from ops.noted").await.unwrap(), ["7"]);
    drop(client);
    cluster.psql_in("ops", "DROP TABLE ops.noted").unwrap();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// Somebody who sees the catalog of the whole server, verifiers of passwords among them, tries each role at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_thief_who_reads_the_catalog_gets_in_nowhere() {
    let _alone = ALONE.lock().await;
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    let over = Arc::new(AtomicBool::new(false));
    let thief = std::thread::spawn({
        let (cluster, over) = (cluster.clone(), over.clone());
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let (spy, driver) = tokio_postgres::connect(&cluster.conn_string(), tokio_postgres::NoTls).await.unwrap();
                tokio::spawn(driver);
                let (mut tried, mut armed) = (0, 0);
                let sql = "SELECT rolname, coalesce(rolpassword, ''), rolcanlogin FROM pg_authid WHERE rolname LIKE 'chaperone%'";
                while !over.load(Ordering::Relaxed) {
                    for row in spy.query(sql, &[]).await.unwrap() {
                        let (role, verifier, can): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
                        armed += usize::from(can);
                        for password in [verifier.as_str(), "", PASSWORD] {
                            let address = format!("localhost:{}", cluster.port());
                            let mut client = Client::connect(&address, Transport::Plain).await.unwrap();
                            tried += 1;
                            assert!(client.login(&role, "clinic", password).await.is_err(), "got in as {role}");
                        }
                    }
                }
                (tried, armed)
            })
        }
    });
    let work = (0..4).map(|_| {
        let gateway = &gateway;
        async move {
            for _ in 0..10 {
                let mut client = gateway.client("clinic").await;
                assert_eq!(client.rows("select count(*) from clinic.patient").await.unwrap(), ["300"]);
            }
        }
    });
    futures_util::future::join_all(work).await;
    over.store(true, Ordering::Relaxed);
    let (tried, armed) = thief.join().unwrap();
    assert!(tried > 20, "{tried} tries prove nothing");
    println!("{tried} tries, {armed} while a role could still log in");
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// Access lists and catalogs are as they were after many sessions.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_leave_nothing_behind() {
    let _alone = ALONE.lock().await;
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    let counts = || {
        let sql = "SELECT (SELECT count(*) FROM pg_authid), (SELECT count(*) FROM pg_auth_members), \
                   (SELECT count(*) FROM pg_db_role_setting), (SELECT count(*) FROM pg_shdepend), \
                   (SELECT sum(coalesce(array_length(relacl, 1), 0)) FROM pg_class), \
                   (SELECT sum(coalesce(array_length(attacl, 1), 0)) FROM pg_attribute)";
        cluster.psql_in("clinic", sql).unwrap()
    };
    let one = |group: &'static str| {
        let gateway = &gateway;
        async move {
            let mut client = gateway.client_of(group, "clinic").await;
            client.rows("select count(*) from clinic.patient").await.unwrap();
        }
    };
    one("agents").await;
    let settle = || {
        while !roles(&cluster, 's').is_empty() {
            std::thread::sleep(Duration::from_millis(20))
        }
    };
    settle();
    let before = counts();
    for _ in 0..20 {
        futures_util::future::join_all((0..5).map(|_| one("agents"))).await;
    }
    settle();
    assert_eq!(counts(), before);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}
