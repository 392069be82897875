//! `chaperone demo`: a synthetic clinic, an issuer and the gateway on loopback, all real: PostgreSQL from the system's
//! binaries in a private folder, the gateway as a process of its own with TLS and a configuration file.

mod agents;
mod check;
mod gateway;
mod roles;
mod setting;

use std::time::Duration;

use anyhow::Result;

use crate::serve::{runtime, stopped};
use setting::Setting;

/// How often the token files are written anew.
const FRESH: Duration = Duration::from_secs(120);

/// Runs the demo: until Ctrl-C, or with `check` until every claim is checked.
pub fn run(check: bool, keep: bool) -> Result<()> {
    println!("starting PostgreSQL with a synthetic clinic, an issuer and the gateway …");
    let mut setting = Setting::start()?;
    if check {
        check::play(&mut setting)?;
    } else {
        print!("{}", setting.welcome());
        runtime()?.block_on(async {
            let mut stop = std::pin::pin!(stopped()?);
            loop {
                tokio::select! {
                    () = &mut stop => return Ok::<(), anyhow::Error>(()),
                    () = tokio::time::sleep(FRESH) => setting.write_tokens()?,
                }
            }
        })?;
        println!("\nstopping …");
    }
    let kept = setting.stop(keep)?;
    if let Some(folder) = kept {
        println!("kept: {}", folder.display());
    }
    Ok(())
}
