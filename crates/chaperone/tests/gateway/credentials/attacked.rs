//! What a session leaves gives nobody more than it had; what goes wrong leaves no role and stops no other session.

use super::*;

/// What the gateway made to stay is owned by somebody who can do nothing, so code that runs as its owner is of no use.
#[tokio::test(flavor = "multi_thread")]
async fn code_that_a_session_leaves_does_not_run_as_the_minter() {
    let _alone = ALONE.lock().await;
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    let before = roles(&cluster, 's');
    let mut client = gateway.client("ops").await;
    let climb = "create function ops.climb() returns text language plpgsql security definer as \
                 $$ begin create role stolen; return current_user; end $$";
    let made = client.query(climb).await.unwrap();
    assert_eq!(field(&made, b'M'), "");
    // what belongs to its profile is not gone with that either
    let made = client
        .query(
            "do $$ begin execute (select format('set role %I', r.rolname) from pg_auth_members m \
             join pg_roles r on r.oid = m.roleid where m.member = session_user::regrole); end $$; \
             create table ops.kept as select 7 as a; reset role",
        )
        .await
        .unwrap();
    assert_eq!(field(&made, b'M'), "");
    let role = new_role(&cluster, &before);
    drop(client);
    gone(&cluster, &role);
    let owner = "SELECT rolname || '|' || rolcreaterole || '|' || rolcanlogin FROM pg_roles \
                 WHERE oid = (SELECT proowner FROM pg_proc WHERE proname = 'climb')";
    let owner = cluster.psql_in("ops", owner).unwrap();
    assert!(owner.trim().ends_with("_keeper|false|false"), "{owner}");
    let mut client = gateway.client("ops").await;
    let climbed = client.query("select ops.climb()").await.unwrap();
    assert_eq!(field(&climbed, b'C'), "42501");
    drop(client);
    // at its next start the gateway drops the profiles of the first run
    gateway.kill();
    gateway.launch();
    let mut client = gateway.client("ops").await;
    assert_eq!(client.rows("select a from ops.kept").await.unwrap(), ["7"]);
    drop(client);
    cluster.psql_in("ops", "DROP TABLE ops.kept; DROP FUNCTION ops.climb()").unwrap();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// A log-in that the database refuses says why, as it did, and leaves no role.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_that_fails_leaves_no_role() {
    let _alone = ALONE.lock().await;
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    let before = roles(&cluster, 's');
    for _ in 0..3 {
        let mut client = Client::connect(&gateway.address(), gateway.transport()).await.unwrap();
        let parameters = [("user", "agent"), ("database", "ops"), ("no_such_setting", "1")];
        let version = chaperone_testkit::raw::frontend::V3_0;
        let refused = client.login_with(version, &parameters, &gateway.token()).await.unwrap_err().to_string();
        assert!(refused.contains("no_such_setting"), "{refused}");
    }
    let start = Instant::now();
    while roles(&cluster, 's') != before {
        assert!(start.elapsed() < Duration::from_secs(10), "roles are left: {:?}", roles(&cluster, 's'));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// The minter's own connections may end at any time: a restart, a timeout of somebody's.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_open_and_end_when_the_minters_connections_are_gone() {
    let _alone = ALONE.lock().await;
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    let before = roles(&cluster, 's');
    let end = format!(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename = '{MINTER}' \
         AND application_name = 'chaperone minter'"
    );
    let mut client = gateway.client("clinic").await;
    let mut ended = 0;
    for _ in 0..3 {
        ended += cluster.psql(&end).unwrap().trim().parse::<u32>().unwrap();
        let other = gateway.client("clinic").await;
        assert_eq!(client.rows("select count(*) from clinic.patient").await.unwrap(), ["300"]);
        ended += cluster.psql(&end).unwrap().trim().parse::<u32>().unwrap();
        drop(std::mem::replace(&mut client, other));
        let start = Instant::now();
        while roles(&cluster, 's').len() > before.len() + 1 {
            assert!(start.elapsed() < Duration::from_secs(10), "the role of a session that ended is left");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    assert!(ended >= 6, "{ended} connections ended");
    drop(client);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// What was dropped and made again under the same name has no privileges until somebody passes them on.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_again_under_the_same_name_is_read_again() {
    let _alone = ALONE.lock().await;
    let cluster = Arc::new(fresh_cluster());
    prepare(&cluster);
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    let mut client = gateway.client("clinic").await;
    assert_eq!(client.rows("select count(last_name) from clinic.patient").await.unwrap(), ["300"]);
    drop(client);
    let again = "ALTER TABLE clinic.patient DROP COLUMN last_name CASCADE; \
                 ALTER TABLE clinic.patient ADD COLUMN last_name text DEFAULT 'Again'; \
                 CREATE TABLE clinic.made AS TABLE clinic.visit; DROP TABLE clinic.visit CASCADE; \
                 ALTER TABLE clinic.made RENAME TO visit";
    let again = format!("{again}; GRANT SELECT ON clinic.visit TO {MINTER} WITH GRANT OPTION");
    cluster.psql_in("clinic", &again).unwrap();
    let wait = Instant::now();
    let sql = "select count(distinct last_name) from clinic.patient, clinic.visit";
    loop {
        let mut client = gateway.client("clinic").await;
        match client.rows(sql).await {
            Ok(rows) if rows == ["1"] => break,
            // until the gateway has seen the change
            other => assert!(wait.elapsed() < Duration::from_secs(8), "{other:?}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// Workers of a parallel query start as the session's role, which may not log in by then.
#[tokio::test(flavor = "multi_thread")]
async fn workers_start_for_a_role_that_may_not_log_in() {
    let _alone = ALONE.lock().await;
    let cluster = Arc::new(fresh_cluster());
    prepare(&cluster);
    // the name changed with release 16
    let forced =
        cluster.psql("SELECT name FROM pg_settings WHERE name IN ('debug_parallel_query', 'force_parallel_mode')");
    let forced = forced.unwrap();
    cluster.psql(&format!("ALTER DATABASE ops SET {} = on", forced.trim())).unwrap();
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    let mut client = gateway.client("ops").await;
    let plan = client.rows("explain (analyze, costs off, timing off, summary off) select count(*) from pg_class").await;
    let plan = plan.unwrap().join("\n");
    assert!(plan.contains("Workers Launched: 1"), "{plan}");
    drop(client);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// Before release 16 a role may say who is a member of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_shakes_the_minter_off_is_dropped_all_the_same() {
    let _alone = ALONE.lock().await;
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    let before = roles(&cluster, 's');
    let mut client = gateway.client("ops").await;
    let role = new_role(&cluster, &before);
    let revoked = client.query(&format!("revoke {role} from {MINTER}")).await.unwrap();
    let code = field(&revoked, b'C');
    assert!(["", "42501"].contains(&&*code), "{code}");
    let made = client.query("create table ops.shaken (a int)").await.unwrap();
    assert_eq!(field(&made, b'M'), "");
    drop(client);
    gone(&cluster, &role);
    cluster.psql_in("ops", "DROP TABLE ops.shaken").unwrap();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// What an earlier process left in a database that the connection does not lead to any more cannot be dropped from here.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_may_lead_to_another_database() {
    let _alone = ALONE.lock().await;
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    drop(gateway.client("ops").await);
    gateway.kill();
    let file = gateway.path("chaperone.yaml");
    let config = std::fs::read_to_string(&file).unwrap();
    let there = format!("localhost:{}/ops", cluster.port());
    assert!(config.contains(&there));
    std::fs::write(&file, config.replace(&there, &format!("localhost:{}/clinic", cluster.port()))).unwrap();
    gateway.launch();
    let mut client = gateway.client("ops").await;
    assert_eq!(client.rows("select current_database()").await.unwrap(), ["clinic"]);
    drop(client);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// Many open at once, and the gateway is stopped while they are open.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_sessions_leave_no_role_when_the_gateway_stops() {
    let _alone = ALONE.lock().await;
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).minted().start();
    let before = roles(&cluster, 's').len();
    let clients = futures_util::future::join_all((0..100).map(|_| gateway.client("clinic"))).await;

    assert_eq!(roles(&cluster, 's').len(), before + 100);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
    assert_eq!(roles(&cluster, 's').len(), before);
    drop(clients);
}
