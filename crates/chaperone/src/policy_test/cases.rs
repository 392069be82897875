//! A file of cases, as written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chaperone_model::{AiModel, Rung, TokenFacts, Workload};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::Phi;

/// When a case is asked that does not say: a Wednesday at noon, always the same, so that no test hangs on the day.
const NOON: &str = "2026-01-07T12:00:00Z";

/// A file of cases. Paths in it are relative to its folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Files or folders of policies.
    pub policies: Paths,
    /// What the columns hold. Exactly one of this and `phi: none`.
    pub classification: Option<PathBuf>,
    /// `none`: the connection holds no protected data.
    pub phi: Option<Phi>,
    /// The connection of cases that name none.
    pub connection: Option<String>,
    /// The time of cases that name none.
    #[serde(default)]
    pub at: Option<Instant>,
    /// Schemas in which names without one are looked up.
    #[serde(default = "public")]
    pub search_path: Vec<String>,
    /// Principals that several cases share, by name.
    #[serde(default)]
    pub principals: BTreeMap<String, Principal>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One path or several.
#[derive(Debug)]
pub struct Paths(pub Vec<PathBuf>);

/// Who asks what, and what should be decided.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// For the report.
    pub name: Option<String>,
    /// Who asks.
    pub principal: Who,
    /// On which connection.
    pub connection: Option<String>,
    /// When.
    #[serde(default)]
    pub at: Option<Instant>,
    /// What is asked; left out, whether the session may be opened.
    pub statement: Option<String>,
    /// How many rows the database would expect.
    pub estimated_rows: Option<u64>,
    /// What should be decided.
    pub expect: Expect,
    /// The ids of exactly the policies that should decide.
    pub policies: Option<Vec<String>>,
    /// The rule that should refuse.
    pub rule: Option<String>,
    /// The rungs of columns, by `schema.table.column`.
    #[serde(default)]
    pub masks: BTreeMap<ColumnName, Rung>,
    /// Whether stored values of masked columns may decide which rows are seen.
    #[serde(default)]
    pub filter: BTreeMap<ColumnName, bool>,
    /// Whether writes may be compared with stored values of masked columns.
    #[serde(default)]
    pub probe: BTreeMap<ColumnName, bool>,
}

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// It may run.
    Allow,
    /// It may not.
    Deny,
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Expect::Allow => "allow",
            Expect::Deny => "deny",
        })
    }
}

/// A principal by the name that it has in `principals`, or written out.
#[derive(Debug)]
pub enum Who {
    Named(String),
    Written(Box<Principal>),
}

/// What a token would say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// The issuer's name in the configuration.
    pub issuer: String,
    /// Its URL, if a policy asks for it.
    #[serde(default)]
    pub issuer_url: String,
    /// The agent.
    pub agent: String,
    /// The person behind it.
    pub acts_for: Option<String>,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// OAuth scopes.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The model that drives it.
    pub model: Option<Model>,
    /// The purpose of use.
    pub purpose: Option<String>,
    /// Where it runs.
    pub workload: Option<Place>,
}

/// A model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    name: String,
    version: Option<String>,
}

/// A Kubernetes workload.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    namespace: String,
    service_account: String,
    pod: Option<String>,
    pod_uid: Option<String>,
    node: Option<String>,
}

/// Seconds since the Unix epoch, written as RFC 3339.
#[derive(Debug, Clone, Copy)]
pub struct Instant(pub i64);

/// `schema.table.column`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct ColumnName(pub String);

impl File {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<File> {
        let text = std::fs::read_to_string(path).context("cannot be read")?;
        let file: File = serde_saphyr::from_str(&text).map_err(|error| anyhow::anyhow!("{error}"))?;
        if file.cases.is_empty() {
            bail!("it has no cases: nothing would be tested");
        }
        Ok(file)
    }

    /// Who asks in a case.
    pub fn principal(&self, case: &Case) -> Result<chaperone_model::Principal> {
        match &case.principal {
            Who::Written(principal) => Ok(principal.resolved()),
            Who::Named(name) => match self.principals.get(name) {
                Some(principal) => Ok(principal.resolved()),
                None => bail!("there is no `{name}` in `principals`"),
            },
        }
    }

    /// Where it is asked.
    pub fn connection<'f>(&'f self, case: &'f Case) -> Result<&'f str> {
        let connection = case.connection.as_deref().or(self.connection.as_deref());
        connection.context("`connection` is missing, in the case and in the file")
    }

    /// When it is asked, in seconds since the Unix epoch.
    pub fn at(&self, case: &Case) -> Result<i64> {
        match case.at.or(self.at) {
            Some(Instant(at)) => Ok(at),
            None => Ok(OffsetDateTime::parse(NOON, &Rfc3339)?.unix_timestamp()),
        }
    }
}

impl Principal {
    fn resolved(&self) -> chaperone_model::Principal {
        chaperone_model::Principal {
            issuer: self.issuer.clone(),
            issuer_url: self.issuer_url.clone(),
            agent: self.agent.clone(),
            acts_for: self.acts_for.clone(),
            groups: self.groups.clone(),
            scopes: self.scopes.clone(),
            model: self.model.clone().map(|model| AiModel { name: model.name, version: model.version }),
            purpose: self.purpose.clone(),
            workload: self.workload.clone().map(|place| Workload {
                namespace: place.namespace,
                service_account: place.service_account,
                pod: place.pod,
                pod_uid: place.pod_uid,
                node: place.node,
            }),
            token: TokenFacts {
                id: None,
                key_id: None,
                algorithm: "none".to_owned(),
                issued_at: None,
                expires_at: i64::MAX,
            },
        }
    }
}

fn public() -> Vec<String> {
    vec!["public".to_owned()]
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Paths;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path or a list of paths")
            }

            fn visit_str<E: serde::de::Error>(self, path: &str) -> Result<Paths, E> {
                Ok(Paths(vec![path.into()]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Paths, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = seq.next_element()? {
                    paths.push(path);
                }
                Ok(Paths(paths))
            }
        }
        d.deserialize_any(OneOrMore)
    }
}

impl<'de> Deserialize<'de> for Who {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct NameOrMap;
        impl<'de> Visitor<'de> for NameOrMap {
            type Value = Who;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of one of the `principals`, or a principal")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Who, E> {
                Ok(Who::Named(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Who, A::Error> {
                Principal::deserialize(MapAccessDeserializer::new(map)).map(|written| Who::Written(Box::new(written)))
            }
        }
        d.deserialize_any(NameOrMap)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let time = OffsetDateTime::parse(&text, &Rfc3339)
            .map_err(|_| serde::de::Error::custom("a time is written as `2026-01-07T12:00:00Z`"))?;
        Ok(Instant(time.unix_timestamp()))
    }
}
