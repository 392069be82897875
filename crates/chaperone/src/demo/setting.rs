//! Everything that the demo runs on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use chaperone_testkit::clinic;
use chaperone_testkit::issuer::Issuer;
use chaperone_testkit::pki;
use chaperone_testkit::postgres::{Cluster, Options};
use tempfile::TempDir;

use super::agents::{self, Agent};
use super::gateway::Gateway;

/// The role that the gateway logs in with.
const ROLE: &str = "chaperone_demo";

/// The role that makes one for each session of `clinic`.
const MINTER: &str = "clinic_minter";

/// The audience of the demo's tokens.
pub const AUDIENCE: &str = "chaperone";

/// The running parts, in the order in which they must end.
pub struct Setting {
    gateway: Option<Gateway>,
    pub issuer: Issuer,
    pub cluster: Cluster,
    folder: TempDir,
}

impl Setting {
    /// Starts PostgreSQL, the issuer and the gateway.
    pub fn start() -> Result<Setting> {
        let folder = tempfile::Builder::new().prefix("chaperone-demo-").tempdir().context("cannot make a folder")?;
        let base = folder.path();
        let authority = pki::Authority::new("Chaperone demo CA")?;
        let names = ["localhost", "127.0.0.1"];
        let gateway_tls = subfolder(base, "tls")?;
        authority.leaf(&names)?.write_to(&gateway_tls)?;
        let database_tls = authority.leaf(&names)?.write()?;
        let cluster = Cluster::start(Options::default().tls(&database_tls))?;
        let password = random_hex()?;
        clinic::load(&cluster, ROLE, &password)?;
        let secrets = subfolder(base, "secrets")?;
        private(&secrets.join("database"), &format!("{ROLE}\n{password}\n"))?;
        private(&secrets.join("tokens"), &random_hex()?)?;
        let minter = random_hex()?;
        private(&secrets.join("minter"), &format!("{MINTER}\n{minter}\n"))?;
        fs::write(base.join("clinic.classes.yaml"), clinic::CLASSIFICATION)?;
        fs::write(subfolder(base, "policies")?.join("demo.cedar"), agents::POLICY)?;
        fs::write(base.join("policies.test.yaml"), agents::CASES)?;
        subfolder(base, "tokens")?;
        let issuer = Issuer::start(AUDIENCE)?;
        fs::write(base.join("chaperone.yaml"), configuration(issuer.url(), cluster.port()))?;
        // as an administrator does: reads what `chaperone credentials script` prints, runs it, sets the password
        cluster.psql_in("clinic", &script(&base.join("chaperone.yaml"))?)?;
        cluster.psql(&format!("ALTER ROLE {MINTER} PASSWORD '{minter}'"))?;
        let gateway = Gateway::start(&base.join("chaperone.yaml"), base.join("gateway.log"))?;
        let setting = Setting { gateway: Some(gateway), issuer, cluster, folder };
        setting.write_tokens()?;
        Ok(setting)
    }

    /// The gateway's address.
    pub fn address(&self) -> Result<String> {
        Ok(self.gateway.as_ref().context("the gateway is not running")?.address.to_string())
    }

    /// A fresh token of an agent.
    pub fn token(&self, agent: &Agent) -> Result<String> {
        self.issuer.mint((agent.claims)())
    }

    /// Writes fresh tokens where `psql` is told to find them.
    pub fn write_tokens(&self) -> Result<()> {
        for agent in agents::ALL {
            private(&self.path("tokens").join(agent.name), &self.token(&agent)?)?;
        }
        Ok(())
    }

    /// A path in the demo's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a newcomer is told to type.
    pub fn welcome(&self) -> String {
        let base = self.folder.path().display();
        let port = self.gateway.as_ref().map_or(0, |gateway| gateway.address.port());
        let psql = |agent: &str, database: &str| {
            format!(
                "PGPASSWORD=\"$(cat {base}/tokens/{agent})\" psql \"host=localhost port={port} dbname={database} user=agent sslmode=verify-full sslrootcert={base}/tls/ca.crt\""
            )
        };
        format!(
            "
The clinic is up. Everything about its 300 patients is invented.

As the care team's agent (names in clear, years of birth, ZIP areas, no SSN):
  {care}
As the billing agent (insurance numbers in clear, no names):
  {billing}
As the research agent (record numbers as tokens, to follow a patient without knowing who it is):
  {research}
Try:
  select id, first_name, last_name, ssn, dob, zip, insurance_id from clinic.patient order by id limit 5;
  select v.kind, count(*) from clinic.visit v join clinic.patient p on p.id = v.patient_id group by 1;
  delete from clinic.patient;
Stock lists without protected data, forwarded byte for byte:
  {ops}

What was recorded, and whether it is sound:
  chaperone sessions ls --dir {base}/evidence
  chaperone audit verify --dir {base}/evidence
What would become of a statement, and why; whether policies and classification fit the database:
  chaperone explain --config {base}/chaperone.yaml --connection clinic --token-file {base}/tokens/care --sql \"select ssn from clinic.patient\"
  chaperone check --config {base}/chaperone.yaml
  chaperone policy test {base}/policies.test.yaml
Change who may do what (it applies at once): {base}/policies/demo.cedar
The gateway's log: {base}/gateway.log

Ctrl-C stops all of it and removes the folder (keep it with --keep).
",
            care = psql("care", "clinic"),
            billing = psql("billing", "clinic"),
            research = psql("research", "clinic"),
            ops = psql("care", "ops"),
        )
    }

    /// Kills the gateway at once, and starts it again.
    pub fn kill_gateway(&mut self) -> Result<()> {
        drop(self.gateway.take());
        self.gateway = Some(Gateway::start(&self.path("chaperone.yaml"), self.path("gateway.log"))?);
        Ok(())
    }

    /// Ends the gateway as an operator does; the evidence is complete then.
    pub fn stop_gateway(&mut self) -> Result<()> {
        self.gateway.take().map_or(Ok(()), Gateway::stop)
    }

    /// Ends everything; returns the folder if it is kept.
    pub fn stop(mut self, keep: bool) -> Result<Option<PathBuf>> {
        self.stop_gateway()?;
        Ok(keep.then(|| self.folder.keep()))
    }
}

fn configuration(issuer: &str, port: u16) -> String {
    format!(
        "# The demo's gateway. Paths are relative to this file.
listen: {{ postgres: 127.0.0.1:0 }}
tls: {{ cert: tls/tls.crt, key: tls/tls.key }}
issuers:
  - {{ name: demo, url: \"{issuer}\", audience: {AUDIENCE} }}
connections:
  clinic:
    postgres: localhost:{port}/clinic
    ca: tls/ca.crt
    credential: {{ ephemeral: {{ minter: {{ file: secrets/minter }} }} }}
    classification: clinic.classes.yaml
    tokens: {{ key: {{ file: secrets/tokens }} }}
  ops:
    postgres: localhost:{port}/ops
    ca: tls/ca.crt
    credential: {{ file: secrets/database }}
    phi: none
policies: policies
evidence: {{ dir: evidence, origin: demo.chaperone.example }}
limits: {{ drain: 5s }}
"
    )
}

fn script(config: &Path) -> Result<String> {
    let output = Command::new(std::env::current_exe().context("cannot find this program")?)
        .args(["credentials", "script", "--connection", "clinic", "--config"])
        .arg(config)
        .output()
        .context("cannot run `chaperone credentials script`")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn subfolder(base: &Path, name: &str) -> Result<PathBuf> {
    let path = base.join(name);
    fs::create_dir(&path).with_context(|| format!("cannot make `{}`", path.display()))?;
    Ok(path)
}

/// A file that only its owner reads.
fn private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

/// 32 random bytes.
fn random_hex() -> Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
