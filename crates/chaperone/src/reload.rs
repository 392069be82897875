//! Policies and classifications follow their files: what is good replaces the old at once, what is broken is reported and
//! changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chaperone_engine::Engine;
use chaperone_evidence::Entry;
use chaperone_policy::PolicySet;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::resolve;
use crate::serve::keep;

/// How often the files are looked at. A signal (SIGHUP) asks for a look at once.
///
/// What is new takes effect when two looks in a row find the same: editors and copying programs empty a file before they
/// write it, and a rule that forbids must not be gone meanwhile. To be safe from a writer that pauses for longer, write
/// beside the file and rename.
const EVERY: Duration = Duration::from_millis(500);

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

/// The files, and what was in them when they were last looked at.
pub struct Watched {
    policy_folder: PathBuf,
    policies: Followed<Vec<(String, String)>>,
    classifications: BTreeMap<String, (PathBuf, Followed<String>)>,
}

/// What was in a file when it last took effect, and what was there at the last look.
struct Followed<T> {
    known: T,
    seen: Option<T>,
}

impl<T: PartialEq> Followed<T> {
    fn new(known: T) -> Self {
        Followed { known, seen: None }
    }

    /// What was found, if it is new and was there at the look before too.
    fn settled(&mut self, found: T) -> Option<&T> {
        if found == self.known {
            self.seen = None;
            None
        } else if self.seen.as_ref() == Some(&found) {
            self.known = found;
            self.seen = None;
            Some(&self.known)
        } else {
            self.seen = Some(found);
            None
        }
    }
}

impl Watched {
    /// What the engine was started with.
    pub fn new(
        policy_folder: PathBuf,
        policies: Vec<(String, String)>,
        classification_files: BTreeMap<String, PathBuf>,
        engine: &Engine,
    ) -> Self {
        let text = |name: &String| engine.classified(name).map(|classified| classified.text.to_string());
        let classifications = classification_files
            .into_iter()
            .map(|(name, path)| {
                let text = text(&name).unwrap_or_default();
                (name, (path, Followed::new(text)))
            })
            .collect();
        Watched { policy_folder, policies: Followed::new(policies), classifications }
    }

    /// Looks at the files for as long as the gateway runs.
    pub async fn watch(mut self, policies: watch::Sender<Arc<PolicySet>>, engine: Engine) {
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
            self.look_at_policies(&policies, &engine).await;
            self.look_at_classifications(&engine).await;
        }
    }

    async fn look_at_policies(&mut self, policies: &watch::Sender<Arc<PolicySet>>, engine: &Engine) {
        match read(&self.policy_folder) {
            Ok(files) => {
                if let Some(files) = self.policies.settled(files) {
                    let outcome = replace(files, policies, engine).await;
                    record(outcome, "policy.refused", engine).await;
                }
            }
            // a folder that is being written is looked at again; the policies in force stay
            Err(error) => tracing::warn!(error = format!("{error:#}"), "policies cannot be read; those in force stay"),
        }
    }

    async fn look_at_classifications(&mut self, engine: &Engine) {
        for (connection, (path, followed)) in &mut self.classifications {
            match std::fs::read_to_string(&*path) {
                Ok(text) => {
                    if followed.settled(text).is_some() {
                        let outcome = reclassify(connection, path, engine).await;
                        record(outcome, "classification.refused", engine).await;
                    }
                }
                Err(error) => tracing::warn!(
                    connection,
                    error = error.to_string(),
                    "the classification cannot be read; the one in force stays"
                ),
            }
        }
    }
}

/// Puts new policies in force, kept beside the log first.
async fn replace(
    files: &[(String, String)],
    policies: &watch::Sender<Arc<PolicySet>>,
    engine: &Engine,
) -> Result<Entry> {
    let previous = policies.borrow().version().to_owned();
    let set = PolicySet::load(files)?;
    resolve::refuse_empty(&set)?;
    let unbound = resolve::unbound_table_rules(&set, engine);
    if !unbound.is_empty() {
        bail!("{}", unbound.join("\n"));
    }
    keep(engine.ledger(), set.bundle()).await?;
    let version = set.version().to_owned();
    policies.send_replace(Arc::new(set));
    engine.sessions().policies_changed();
    tracing::info!(version, previous, "policies replaced");
    Ok(Entry::policy_changed(version, Some(previous)))
}

/// Puts a new classification in force, kept beside the log first.
async fn reclassify(connection: &str, path: &Path, engine: &Engine) -> Result<Entry> {
    let classified = resolve::classification(path)?;
    keep(engine.ledger(), classified.text.as_bytes().to_vec()).await?;
    let version = classified.version.to_string();
    let previous = engine.reclassify(connection, classified)?;
    tracing::info!(connection, version, previous = &*previous, "classification replaced");
    Ok(Entry::classification_changed(connection, version, &*previous))
}

/// What was done goes on record, and so does that something was refused; the reasons are for the operator's log.
async fn record(outcome: Result<Entry>, refused: &'static str, engine: &Engine) {
    let entry = outcome.unwrap_or_else(|error| {
        tracing::error!(error = format!("{error:#}"), "refused; what was in force stays");
        Entry::alert(refused)
    });
    if engine.ledger().note(entry).await.is_err() {
        tracing::error!("a change of what decides could not be recorded");
    }
}

#[cfg(test)]
mod tests {
    use super::Followed;

    #[test]
    fn what_is_new_must_stay_for_two_looks() {
        let mut followed = Followed::new("a");
        assert_eq!(followed.settled("a"), None);
        // emptied, then written: never seen empty twice
        assert_eq!(followed.settled(""), None);
        assert_eq!(followed.settled("b"), None);
        assert_eq!(followed.settled("b"), Some(&"b"));
        assert_eq!(followed.settled("b"), None);
        // and back before anybody noticed
        assert_eq!(followed.settled("c"), None);
        assert_eq!(followed.settled("b"), None);
        assert_eq!(followed.settled("c"), None);
    }
}
