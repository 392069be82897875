//! The gateway as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long the gateway may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `chaperone serve`; killed when dropped.
pub struct Gateway {
    child: Child,
    pub address: SocketAddr,
    pub log: PathBuf,
}

impl Gateway {
    /// Starts it and waits until it serves. Its log goes to a file.
    pub fn start(config: &Path, log: PathBuf) -> Result<Gateway> {
        let executable = std::env::current_exe().context("cannot find this program")?;
        // what an earlier one wrote stays
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write `{}`", log.display()))?;
        let mut child = Command::new(executable)
            .arg("serve")
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .context("cannot start the gateway")?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("the gateway has no output")?;
        let read = BufReader::new(stdout).read_line(&mut line);
        let address = line.rsplit(' ').next().and_then(|word| word.trim().parse().ok());
        match (read, address) {
            (Ok(_), Some(address)) => Ok(Gateway { child, address, log }),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                bail!("the gateway did not start:\n{}", std::fs::read_to_string(&log).unwrap_or_default())
            }
        }
    }

    /// Ends it as an operator does.
    pub fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").arg(&pid).status().context("cannot signal the gateway")?;
        if !asked.success() {
            bail!("the gateway was not running any more:\n{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().context("cannot wait for the gateway")? {
                if !status.success() {
                    bail!(
                        "the gateway ended with {status}:\n{}",
                        std::fs::read_to_string(&self.log).unwrap_or_default()
                    );
                }
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the gateway did not end within {} seconds", PATIENCE.as_secs())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // an orderly stop has waited for it already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
