//! The scenario of the demo, played unattended: each claim is a step that is asserted.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chaperone_testkit::issuer::Bad;
use chaperone_testkit::raw::{Client, Message, Transport};

use super::agents::{self, Agent, BILLING, CARE, RESEARCH, STATISTICS};
use super::roles;
use super::setting::Setting;
use crate::serve::runtime;

/// How soon a change of policy must be felt.
pub(super) const AT_ONCE: Duration = Duration::from_secs(5);

/// Plays it.
pub fn play(setting: &mut Setting) -> Result<()> {
    let start = Instant::now();
    runtime()?.block_on(async {
        side_by_side(setting).await?;
        masked_differently(setting).await?;
        followed_by_token(setting).await?;
        denied_and_goes_on(setting).await?;
        bad_tokens(setting).await?;
        byte_for_byte(setting).await?;
        drift(setting).await?;
        loosened(setting)?;
        let (left, session) = roles::nothing_to_steal(setting).await?;
        setting.kill_gateway()?;
        drop(session);
        roles::gone(setting, &left)?;
        step("a gateway that was killed leaves a role that nobody can use, and drops it at its next start");
        model_revoked(setting).await
    })?;
    setting.stop_gateway()?;
    evidence(setting)?;
    println!("demo-check: every claim holds ({:.1} s)", start.elapsed().as_secs_f64());
    Ok(())
}

pub(super) fn step(claim: &str) {
    println!("  ok  {claim}");
}

async fn connect(setting: &Setting, database: &str, token: &str) -> Result<Client> {
    let transport = Transport::Tls { ca: setting.path("tls/ca.crt"), host: "localhost".to_owned() };
    let mut client = Client::connect(&setting.address()?, transport).await?;
    client.login("agent", database, token).await?;
    Ok(client)
}

pub(super) async fn agent(setting: &Setting, agent: &Agent, database: &str) -> Result<Client> {
    connect(setting, database, &setting.token(agent)?).await
}

/// The first row of the table as the database has it.
fn raw(setting: &Setting, sql: &str) -> Result<String> {
    setting.cluster.psql_in("clinic", sql)
}

/// The same question, asked by four principals.
async fn side_by_side(setting: &Setting) -> Result<()> {
    const COLUMNS: [&str; 6] = ["last_name", "ssn", "mrn", "dob", "zip", "insurance_id"];
    let sql = format!("select {} from clinic.patient where id = 1", COLUMNS.join(", "));
    println!("      {sql}");
    let stored: Vec<Option<String>> = raw(setting, &sql)?.split('|').map(|value| Some(value.to_owned())).collect();
    let mut seen = vec![("stored", stored)];
    for who in agents::ALL {
        let mut client = agent(setting, &who, "clinic").await?;
        seen.push((who.name, one(&client.query(&sql).await?)?));
    }
    print!("        {:<14}", "");
    for who in agents::ALL {
        print!("{:<20}", who.name);
    }
    println!();
    for (n, column) in COLUMNS.iter().enumerate() {
        print!("        {column:<14}");
        for (_, values) in seen.iter().skip(1) {
            let value = values.get(n).and_then(|value| value.as_deref()).unwrap_or("–");
            let short: String = value.chars().take(18).collect();
            print!("{short:<20}");
        }
        println!();
    }
    // which of the columns each sees at all, in the order of the list
    let expected = [
        ("care", [true, false, false, true, true, false]),
        ("billing", [false, false, false, false, false, true]),
        ("research", [false, false, true, true, true, false]),
        ("statistics", [false, false, false, true, true, false]),
    ];
    for ((name, values), (expected_name, shown)) in seen.iter().skip(1).zip(expected) {
        ensure!(*name == expected_name, "the agents are in order");
        for (n, (value, shown)) in values.iter().zip(shown).enumerate() {
            // a birth of long ago is hidden from everybody
            let hidden_age = COLUMNS.get(n) == Some(&"dob") && value.is_none();
            ensure!(value.is_some() == shown || hidden_age, "{name} sees {:?}: {value:?}", COLUMNS.get(n));
        }
    }
    let raw_again = seen.iter().skip(2).flat_map(|(_, values)| values.get(1..3).unwrap_or_default());
    let stored_values = seen.first().map(|(_, values)| values.clone()).unwrap_or_default();
    ensure!(raw_again.flatten().all(|value| !stored_values.contains(&Some(value.clone()))), "a token is no value");
    step("the same query for four principals: each sees what its policies say, side by side");
    Ok(())
}

async fn followed_by_token(setting: &Setting) -> Result<()> {
    let mut research = agent(setting, &RESEARCH, "clinic").await?;
    let token = research.rows("select mrn from clinic.patient where id = 2").await?.join("");
    ensure!(token.starts_with("phi_mrn_"), "a token says what it stands for: {token}");
    let found = research.rows(&format!("select id from clinic.patient where mrn = '{token}'")).await?;
    ensure!(found == ["2"], "a patient is found by the token: {found:?}");
    let distinct = "select count(distinct mrn) from clinic.patient";
    ensure!(research.rows(distinct).await?.join("") == raw(setting, distinct)?, "tokens are as distinct as numbers");
    research.query("discard all").await?;
    let mut again = agent(setting, &RESEARCH, "clinic").await?;
    for client in [&mut research, &mut again] {
        let same = client.rows("select mrn from clinic.patient where id = 2").await?.join("");
        ensure!(same == token, "a token is the same in every session, whatever was reset: {same}");
    }
    let mut statistics = agent(setting, &STATISTICS, "clinic").await?;
    ensure!(statistics.rows(distinct).await? == ["0"], "Safe Harbor has no tokens");
    for key in ["show chaperone.k_mrn", "select current_setting('chaperone.k_mrn')", "set chaperone.k_mrn = ''"] {
        let refused = research.query(key).await?;
        ensure!(error(&refused).is_ok(), "the key is out of reach: {key}");
    }
    step("research counts, joins and finds patients by token, the same in every session; its key is out of reach");
    Ok(())
}

/// A column is added behind everybody's back.
async fn drift(setting: &Setting) -> Result<()> {
    let check = || -> Result<(Option<i32>, String)> {
        let output = Command::new(std::env::current_exe()?)
            .args(["check", "--strict", "--config"])
            .arg(setting.path("chaperone.yaml"))
            .output()?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    let (code, said) = check()?;
    ensure!(code == Some(0), "it fits before: {said}");
    raw(setting, "alter table clinic.patient add column maiden_name text default 'Nobody'")?;
    let (code, said) = check()?;
    ensure!(code == Some(1) && said.contains("clinic.patient.maiden_name"), "the new column is found: {said}");
    // the gateway looks at the catalog each second; until then there is no such column
    let start = Instant::now();
    let seen = loop {
        let mut care = agent(setting, &CARE, "clinic").await?;
        match care.rows("select count(maiden_name) from clinic.patient").await {
            Err(_) if start.elapsed() < AT_ONCE => tokio::time::sleep(Duration::from_millis(100)).await,
            seen => break seen?,
        }
    };
    ensure!(seen == ["0"], "and is redacted meanwhile: {seen:?}");
    raw(setting, "alter table clinic.patient drop column maiden_name")?;
    step("a column that nobody classified is redacted as soon as it is there, and `chaperone check` finds it");
    Ok(())
}

/// Somebody makes a policy more generous than was agreed.
fn loosened(setting: &Setting) -> Result<()> {
    let test = |cases: &Path| -> Result<(Option<i32>, String)> {
        let output = Command::new(std::env::current_exe()?).args(["policy", "test"]).arg(cases).output()?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    let (code, said) = test(&setting.path("policies.test.yaml"))?;
    ensure!(code == Some(0) && said.contains("4 passed, 0 failed"), "the policies keep what was agreed: {said}");
    let proposal = setting.path("proposal");
    copy_folder(&setting.path("policies"), &proposal.join("policies"))?;
    for file in ["policies.test.yaml", "clinic.classes.yaml"] {
        fs::copy(setting.path(file), proposal.join(file))?;
    }
    let generous = r#"@id("care-sees-everything") permit (principal in Group::"care-agents", action == Action::"read_raw", resource);"#;
    fs::write(proposal.join("policies/generous.cedar"), generous)?;
    let (code, said) = test(&proposal.join("policies.test.yaml"))?;
    ensure!(code == Some(1) && said.contains("3 passed, 1 failed"), "the case fails: {said}");
    ensure!(said.contains("clinic.patient.ssn"), "and says which column: {said}");
    step("`chaperone policy test` passes, and fails on a policy that is more generous");
    Ok(())
}

async fn masked_differently(setting: &Setting) -> Result<()> {
    let sql = "select first_name, last_name, ssn, dob, zip, insurance_id from clinic.patient where id = 1";
    let stored: Vec<String> = raw(setting, sql)?.split('|').map(str::to_owned).collect();
    let [first, last, ssn, dob, zip, insurance] = &stored[..] else { bail!("no patient 1") };
    ensure!([first, last, ssn, dob, zip].iter().all(|value| !value.is_empty()), "patient 1 is not whole");

    let mut care = agent(setting, &CARE, "clinic").await?;
    let row = one(&care.query(sql).await?)?;
    let year = dob.get(..4).context("a date")?;
    ensure!(row[0].as_deref() == Some(first) && row[1].as_deref() == Some(last), "care sees names: {row:?}");
    ensure!(row[2].is_none(), "care sees no SSN");
    ensure!(
        row[3].as_deref() == Some(&format!("{year}-01-01")) || (row[3].is_none() && year < "1937"),
        "care sees the year of birth only"
    );
    ensure!(row[4].as_deref() == zip.get(..3) || row[4].as_deref() == Some("000"), "care sees the ZIP area only");
    ensure!(row[5].is_none(), "care sees no insurance number");
    step("the care agent selects: names in clear, SSN redacted, year of birth, ZIP area");

    let mut billing = agent(setting, &BILLING, "clinic").await?;
    let row = one(&billing.query(sql).await?)?;
    ensure!(row[..5].iter().all(Option::is_none), "billing sees nothing that names a patient: {row:?}");
    ensure!(row[5].as_deref().unwrap_or_default() == insurance, "billing sees the insurance number");
    step("the billing agent selects the same: insurance number in clear, all else redacted");

    let join = "select d.name, count(*) from clinic.visit v join clinic.department d on d.id = v.department_id \
                join clinic.patient p on p.id = v.patient_id group by d.name order by d.name";
    let expected = raw(setting, join)?;
    for (name, client) in [("care", &mut care), ("billing", &mut billing)] {
        let rows = client.rows(join).await?.join("\n");
        ensure!(rows == expected, "{name} joins and groups: {rows}");
    }
    step("both join three tables and group: the counts are the database's own");

    let births = "select extract(year from dob), count(*) from clinic.patient group by 1 order by 1";
    ensure!(care.rows(births).await?.len() > 5, "care groups by year of birth");
    ensure!(billing.rows(births).await?.len() == 1, "billing groups by a redacted date");
    step("grouping by year of birth works for care, and gives billing one group");

    let probe = format!("select count(*) from clinic.patient where ssn = '{ssn}'");
    ensure!(care.rows(&probe).await? == ["0"], "a predicate computes on the mask");
    let cast = care.query("select ssn::int from clinic.patient").await?;
    ensure!(!text(&cast).contains(ssn.as_str()), "a cast that fails shows nothing");
    step("searching by SSN finds nothing, and no error text shows one");
    Ok(())
}

async fn denied_and_goes_on(setting: &Setting) -> Result<()> {
    let mut billing = agent(setting, &BILLING, "clinic").await?;
    let denied = billing.query("select body from clinic.clinical_note").await?;
    let error = error(&denied)?;
    ensure!(error.field(b'C').as_deref() == Some("42501"), "denied with 42501");
    let (detail, hint) = (error.field(b'D').unwrap_or_default(), error.field(b'H').unwrap_or_default());
    ensure!(detail.contains("rule") && !hint.is_empty(), "it names the rule and says what to do: {detail} / {hint}");
    ensure!(billing.rows("select count(*) from clinic.claim").await?.len() == 1, "the session goes on");
    step("the billing agent is denied the notes with a rule and a hint, and goes on in the same session");

    let mut care = agent(setting, &CARE, "clinic").await?;
    let before = raw(setting, "select count(*) from clinic.patient")?;
    care.query("begin").await?;
    ensure!(care.query("delete from clinic.patient").await.is_ok(), "a denied statement is answered");
    let next = care.query("select 1").await?;
    ensure!(self::error(&next)?.field(b'C').as_deref() == Some("25P02"), "the transaction failed at the database too");
    care.query("rollback").await?;
    ensure!(care.rows("select 1").await? == ["1"], "and can be rolled back");
    ensure!(raw(setting, "select count(*) from clinic.patient")? == before, "nothing was deleted");
    step("a denied DELETE fails its transaction truly: 25P02 until ROLLBACK, nothing deleted");
    Ok(())
}

async fn bad_tokens(setting: &Setting) -> Result<()> {
    for (bad, name) in [
        (Bad::Expired, "expired"),
        (Bad::WrongAudience, "wrong-audience"),
        (Bad::Unsigned, "unsigned"),
        (Bad::WrongIssuer, "wrong-issuer"),
        (Bad::HmacWithPublicKey, "HMAC-with-public-key"),
        (Bad::ForeignKey, "foreign-key"),
        (Bad::Tampered, "tampered"),
    ] {
        let token = setting.issuer.mint_bad(bad, (CARE.claims)())?;
        match connect(setting, "clinic", &token).await {
            Ok(_) => bail!("a token that is {name} was accepted"),
            Err(error) => ensure!(format!("{error:#}").contains("28P01"), "{name}: {error:#}"),
        }
    }
    step("expired, wrong-audience, unsigned, wrong-issuer and forged tokens are refused");
    Ok(())
}

async fn byte_for_byte(setting: &Setting) -> Result<()> {
    let sql = "select i.sku, i.name, i.unit_price, s.site, s.quantity from ops.item i join ops.stock s on s.item_id = i.id order by 1, 4";
    let mut through = agent(setting, &CARE, "ops").await?;
    let mut direct = Client::connect(&format!("127.0.0.1:{}", setting.cluster.port()), Transport::Plain).await?;
    direct.login("postgres", "ops", setting.cluster.password()).await?;
    through.take_received();
    direct.take_received();
    for client in [&mut through, &mut direct] {
        client.query(sql).await?;
        client.query("select nonsense").await?;
    }
    let (ours, theirs) = (through.take_received(), direct.take_received());
    ensure!(!ours.is_empty() && ours == theirs, "{} bytes through, {} direct", ours.len(), theirs.len());
    step("without protected data the answer is the database's, byte for byte");
    Ok(())
}

async fn model_revoked(setting: &Setting) -> Result<()> {
    let mut care = agent(setting, &CARE, "clinic").await?;
    ensure!(care.rows("select 1").await? == ["1"], "the session runs");
    let path = setting.path("policies/demo.cedar");
    let policy = fs::read_to_string(&path)?;
    let without = policy.replace(r#"["2026-10", "2026-11"]"#, r#"["2026-11"]"#);
    ensure!(policy != without, "the policy has the list");
    fs::write(&path, without)?;
    let ended = tokio::time::timeout(AT_ONCE, care.until_closed()).await.context("the session goes on")??;
    ensure!(error(&ended)?.field(b'C').as_deref() == Some("28000"), "it ends with a reason");
    match agent(setting, &CARE, "clinic").await {
        Ok(_) => bail!("a model version off the list may still log in"),
        Err(error) => ensure!(format!("{error:#}").contains("28000"), "{error:#}"),
    }
    step("a model version taken off the policy's list loses its session and its log-in at once");
    Ok(())
}

fn evidence(setting: &Setting) -> Result<()> {
    let evidence = setting.path("evidence");
    let vkey = fs::read_to_string(evidence.join("keys/log.vkey"))?;
    ensure!(verify(&evidence, &vkey)? == 0, "the log is sound");
    step("`chaperone audit verify` says: sound");
    accounted(setting, &evidence)?;

    let copy = setting.path("tampered");
    copy_folder(&evidence, &copy)?;
    let segment = fs::read_dir(copy.join("journal"))?.next().context("a journal")??.path();
    let mut bytes = fs::read(&segment)?;
    let place = bytes.iter().position(|byte| *byte == b'"').context("a record")? + 3;
    *bytes.get_mut(place).context("a byte")? ^= 1;
    fs::write(&segment, bytes)?;
    ensure!(verify(&copy, &vkey)? == 1, "a changed byte is found");
    step("one byte of a copy is changed, and it says: tampered");

    for folder in ["journal", "log"] {
        for file in files(&evidence.join(folder))? {
            let bytes = fs::read(&file)?;
            for secret in ["eyJ", &setting.cluster.password()[..12]] {
                ensure!(
                    !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
                    "a token or password in `{}`",
                    file.display()
                );
            }
        }
    }
    let log = fs::read_to_string(setting.path("gateway.log"))?;
    ensure!(!log.contains("eyJ") && !log.contains("panicked"), "the gateway's log is clean:\n{log}");
    step("no token and no password in the evidence or the log, and nothing panicked");
    Ok(())
}

/// Who saw patient 1: the four who asked for that row, and nobody of those who asked for others.
fn accounted(setting: &Setting, evidence: &Path) -> Result<()> {
    let ask = |identifier: &str| -> Result<String> {
        let file = setting.path("identifier");
        fs::write(&file, format!("{identifier}\n"))?;
        let output = Command::new(std::env::current_exe()?)
            .args(["sessions", "ls", "--subject"])
            .arg(&file)
            .arg("--dir")
            .arg(evidence)
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let seen = ask("1")?;
    for line in seen.lines().take(4) {
        println!("        {line}");
    }
    for who in agents::ALL {
        let claims = (who.claims)();
        let name = claims.get("sub").and_then(|name| name.as_str()).context("a claim `sub`")?;
        ensure!(seen.lines().any(|line| line.contains(name)), "{} saw patient 1:\n{seen}", who.name);
    }
    let nobody = ask("no such patient")?;
    ensure!(nobody.starts_with("0 statements;"), "nobody saw who does not exist:\n{nobody}");
    step("`chaperone sessions ls --subject` says who saw patient 1; no identifier is in the log");
    Ok(())
}

fn verify(dir: &Path, vkey: &str) -> Result<i32> {
    let output = Command::new(std::env::current_exe()?)
        .args(["audit", "verify", "--key", vkey.trim(), "--payload-key"])
        .arg(dir.join("keys/payload.key"))
        .arg("--dir")
        .arg(dir)
        .output()?;
    for line in String::from_utf8_lossy(&output.stdout).lines().take(6) {
        println!("        {line}");
    }
    output.status.code().context("verify was killed")
}

fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The values of the only row.
fn one(messages: &[Message]) -> Result<Vec<Option<String>>> {
    let mut rows = messages.iter().filter(|message| message.tag == b'D');
    let row = rows.next().with_context(|| format!("no row: {}", text(messages)))?;
    ensure!(rows.next().is_none(), "more than one row");
    Ok(row.values().into_iter().map(|v| v.map(|v| String::from_utf8_lossy(&v).into_owned())).collect())
}

fn error(messages: &[Message]) -> Result<&Message> {
    messages.iter().find(|message| message.tag == b'E').with_context(|| format!("no error: {}", text(messages)))
}

/// All bytes as text, to search in.
fn text(messages: &[Message]) -> String {
    messages.iter().map(|message| String::from_utf8_lossy(&message.bytes()).into_owned()).collect::<Vec<_>>().join(" ")
}
