//! The database roles of sessions: of use to nobody else, and gone with them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chaperone_testkit::raw::{Client, Transport};

use super::agents::CARE;
use super::check::{AT_ONCE, agent, step};
use super::setting::Setting;

/// The database roles of sessions, with whether anybody could log in with one.
fn listed(setting: &Setting) -> Result<Vec<String>> {
    let sql = r"SELECT rolname, rolcanlogin OR rolpassword IS NOT NULL FROM pg_authid WHERE rolname LIKE 'chaperone\_%\_s\_%'";
    Ok(setting.cluster.psql(sql)?.lines().map(str::to_owned).collect())
}

pub fn gone(setting: &Setting, role: &str) -> Result<()> {
    let start = Instant::now();
    while listed(setting)?.iter().any(|line| line.starts_with(role)) {
        ensure!(start.elapsed() < AT_ONCE, "the role {role} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A session's role: what it may read, who else could use it, and how long it lives. Gives one, with the session.
pub async fn nothing_to_steal(setting: &Setting) -> Result<(String, Client)> {
    // those of the steps before
    for line in listed(setting)? {
        gone(setting, line.split('|').next().unwrap_or_default())?;
    }
    let only = |roles: Vec<String>| -> Result<String> {
        ensure!(roles.len() == 1, "one session, one role: {roles:?}");
        roles
            .first()
            .and_then(|line| line.strip_suffix("|f"))
            .map(str::to_owned)
            .context("somebody could log in with it")
    };
    let mut care = agent(setting, &CARE, "clinic").await?;
    ensure!(care.rows("select count(*), count(ssn) from clinic.patient").await? == ["300|0"], "the session reads");
    let role = only(listed(setting)?)?;
    let may = |column: &str| {
        let sql = format!("SELECT has_column_privilege('{role}', 'clinic.patient', '{column}', 'SELECT')");
        setting.cluster.psql_in("clinic", &sql).map(|answer| answer.trim() == "t")
    };
    ensure!(may("last_name")? && !may("ssn")?, "it may read what its masks read, and nothing else");
    step("a session has a database role of its own, which may not read what is masked");
    let transport = Transport::Tls { ca: setting.path("tls/ca.crt"), host: "localhost".to_owned() };
    let mut thief = Client::connect(&format!("localhost:{}", setting.cluster.port()), transport).await?;
    ensure!(thief.login(&role, "clinic", setting.cluster.password()).await.is_err(), "somebody else got in");
    drop(care);
    gone(setting, &role)?;
    step("nobody else can log in with it while the session lives, and it is gone when the session ends");
    // one that the kill of the gateway finds in use
    let mut care = agent(setting, &CARE, "clinic").await?;
    ensure!(care.rows("select 1").await? == ["1"], "the session runs");
    let left = only(listed(setting)?)?;
    Ok((left, care))
}
