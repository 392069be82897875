//! The testkit for scripts: an issuer whose token lies in a file, and a reader that is faster than what it measures.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chaperone_testkit::issuer::Issuer;
use chaperone_testkit::pki::Authority;
use chaperone_testkit::raw::{Client, Transport};
use clap::Parser;
use serde_json::{Value, json};

#[derive(Parser)]
#[command(about = "parts for test scripts")]
enum Command {
    /// An issuer on loopback until the input ends. Writes `token`, `ca.crt`, `tls.crt`, `tls.key`, and at last `url` into
    /// the folder; the token is replaced when half its time is over
    Issuer {
        /// A folder that exists
        #[arg(long)]
        dir: PathBuf,
        /// Whom the token is for
        #[arg(long, default_value = "chaperone")]
        audience: String,
        /// The token's claims, as a JSON object
        #[arg(long, default_value = "{}")]
        claims: String,
        /// How long a token is valid, in seconds
        #[arg(long, default_value_t = 3600)]
        lifetime: u64,
    },
    /// Runs a query and reads its answer as fast as it comes; prints `rows bytes seconds`
    Read {
        /// The server's port on 127.0.0.1, without TLS
        #[arg(long)]
        port: u16,
        /// The role
        #[arg(long, default_value = "postgres")]
        user: String,
        /// The database
        #[arg(long)]
        database: String,
        /// The password
        #[arg(long, env = "PGPASSWORD", default_value = "", hide_env_values = true)]
        password: String,
        /// The query
        sql: String,
    },
    /// The SQL of the synthetic clinic, with this many patients
    Clinic {
        /// How many patients
        #[arg(long, default_value_t = chaperone_testkit::clinic::PATIENTS)]
        patients: usize,
    },
    /// The classification of the synthetic clinic
    Classes,
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Issuer { dir, audience, claims, lifetime } => issuer(&dir, &audience, &claims, lifetime),
        Command::Read { port, user, database, password, sql } => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut client = Client::connect(&format!("127.0.0.1:{port}"), Transport::Plain).await?;
                client.set_patience(Duration::from_secs(120));
                client.login(&user, &database, &password).await?;
                let start = Instant::now();
                let totals = client.count(&sql).await?;
                println!("{} {} {:.6}", totals.rows, totals.bytes, start.elapsed().as_secs_f64());
                Ok(())
            })
        }
        Command::Clinic { patients } => {
            print!("{}", chaperone_testkit::clinic::sql(chaperone_testkit::clinic::SEED, patients));
            Ok(())
        }
        Command::Classes => {
            print!("{}", chaperone_testkit::clinic::CLASSIFICATION);
            Ok(())
        }
    }
}

fn issuer(dir: &std::path::Path, audience: &str, claims: &str, lifetime: u64) -> Result<()> {
    ensure!(lifetime >= 2, "a token lives for two seconds at least");
    let claims: Value = serde_json::from_str(claims).context("the claims are not JSON")?;
    ensure!(claims.is_object(), "the claims are not an object");
    let issuer = Issuer::start(audience)?;
    Authority::new("testkit CA")?.leaf(&["localhost", "127.0.0.1"])?.write_to(dir)?;
    let write = |issuer: &Issuer| -> Result<()> {
        let mut claims = claims.clone();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        claims["exp"] = json!(now + lifetime);
        // Readers see the old token or the new one, never half of one.
        let next = dir.join("token.next");
        std::fs::write(&next, issuer.mint(claims)?)?;
        Ok(std::fs::rename(next, dir.join("token"))?)
    };
    write(&issuer)?;
    std::fs::write(dir.join("url.next"), issuer.url())?;
    std::fs::rename(dir.join("url.next"), dir.join("url"))?;
    let (ended, end) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(ended);
    });
    while end.recv_timeout(Duration::from_secs(lifetime / 2)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        write(&issuer)?;
    }
    Ok(())
}
