//! Policies follow their folder: a good set replaces the old one at once, a broken one is reported and changes
//! nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chaperone_engine::Engine;
use chaperone_evidence::Entry;
use chaperone_policy::PolicySet;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How often the folder is looked at. A signal (SIGHUP) asks for a look at once.
const EVERY: Duration = Duration::from_secs(1);

/// Every `*.cedar` file of a folder, by name, in order.
pub fn read(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read policies `{}`", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read policies `{}`", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read policy `{}`", path.display()))?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            files.push((name, text));
        }
    }
    if files.is_empty() {
        bail!(
            "no `*.cedar` file in `{}`: without a policy nothing is permitted, so nothing is served",
            folder.display()
        );
    }
    files.sort();
    Ok(files)
}

/// Watches a folder of policies for as long as the gateway runs.
pub async fn watch(
    folder: PathBuf,
    mut known: Vec<(String, String)>,
    policies: watch::Sender<Arc<PolicySet>>,
    engine: Engine,
) {
    let mut hangup = signal(SignalKind::hangup()).ok();
    loop {
        let asked = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = asked => {}
        }
        match read(&folder) {
            Ok(files) if files == known => {}
            Ok(files) => {
                replace(&files, &policies, &engine).await;
                known = files;
            }
            // a folder that is being written is looked at again; the policies in force stay
            Err(error) => tracing::warn!(error = format!("{error:#}"), "policies cannot be read; those in force stay"),
        }
    }
}

async fn replace(files: &[(String, String)], policies: &watch::Sender<Arc<PolicySet>>, engine: &Engine) {
    let previous = policies.borrow().version().to_owned();
    let entry = match PolicySet::load(files) {
        Ok(set) => {
            let version = set.version().to_owned();
            let unbound = crate::resolve::unbound_table_rules(&set, engine);
            if !unbound.is_empty() {
                for fault in unbound {
                    tracing::error!(fault, "the new policies are refused; those in force stay");
                }
                Entry::alert("policy.refused")
            } else {
                policies.send_replace(Arc::new(set));
                engine.sessions().policies_changed();
                tracing::info!(version, previous, "policies replaced");
                Entry::policy_changed(version, Some(previous))
            }
        }
        Err(error) => {
            for fault in &error.faults {
                tracing::error!(%fault, "the new policies are refused; those in force stay");
            }
            Entry::alert("policy.refused")
        }
    };
    if engine.ledger().note(entry).await.is_err() {
        tracing::error!("a change of policy could not be recorded");
    }
}
