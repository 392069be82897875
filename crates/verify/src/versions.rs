//! What decided: the policies, classifications and configurations that records name by the digest of their text.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use chaperone_ledger_format::layout;
use chaperone_ledger_format::payload::digest;
use chaperone_ledger_format::record::Body;

use crate::{Report, content};

/// The versions that records name, each with the first place that does.
#[derive(Debug, Default)]
pub(crate) struct Versions(BTreeMap<String, String>);

impl Versions {
    pub(crate) fn note(&mut self, place: &str, body: &Body) {
        match body {
            Body::ServiceStarted(body) => self.add(place, [&body.configuration, &body.policy_version]),
            Body::PolicyChanged(body) => self.add(place, body.previous.iter().chain([&body.version])),
            Body::ClassificationChanged(body) => self.add(place, [&body.previous, &body.version]),
            Body::SessionOpened(body) if !body.abridged => self.add(place, [&body.policy, &body.classification]),
            Body::AuthorityChanged(body) if !body.abridged => self.add(place, [&body.policy, &body.classification]),
            Body::SessionOpened(_)
            | Body::AuthorityChanged(_)
            | Body::ServiceStopped(_)
            | Body::Heartbeat(_)
            | Body::LoginRefused(_)
            | Body::CredentialMinted(_)
            | Body::CredentialDropped(_)
            | Body::Alert(_)
            | Body::Received(_)
            | Body::Answered(_)
            | Body::CancelRequested(_)
            | Body::SessionClosed(_) => {}
        }
    }

    fn add<'v>(&mut self, place: &str, versions: impl IntoIterator<Item = &'v String>) {
        for version in versions {
            if !self.0.contains_key(version) {
                self.0.insert(version.clone(), place.to_owned());
            }
        }
    }

    /// Each is there, and is what its name says.
    pub(crate) fn check(self, dir: &Path, report: &mut Report) {
        for (version, place) in self.0 {
            // another word than a digest stands for nothing that could be kept
            let Some(name) = layout::version(&version) else { continue };
            match content(&dir.join(&name)) {
                Ok(bytes) if digest(&bytes).starts_with(&version) => {}
                Ok(_) => report.tampered(name, "it is not what was in force: its digest is another"),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    report.incomplete(place, format_args!("it was decided by version {version}, which is not kept"));
                }
                Err(error) => report.cannot_check(name, error),
            }
        }
    }
}
