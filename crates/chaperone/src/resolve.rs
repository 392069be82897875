//! From the configuration as written to what runs. Nothing is bound, and nothing is asked of a network, until all of
//! it resolves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use chaperone_engine::upstream::{CredentialSource, Target, TlsMode};
use chaperone_engine::{Classified, Connection, Engine, Limits, Masking, OldServer};
use chaperone_evidence::LedgerOptions;
use chaperone_gateway::identity::{Identity, IssuerConfig};
use chaperone_mask::{TokenForm, TokenKeys, ZipTable};
use chaperone_policy::PolicySet;
use zeroize::Zeroizing;

use crate::config::{self, Config, Minter, Phi, Secret, UpstreamTls};

/// What `serve` runs.
pub struct Resolved {
    pub listen: SocketAddr,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub identity: Arc<Identity>,
    pub connections: Vec<Connection>,
    pub policies: PolicySet,
    pub policy_folder: PathBuf,
    pub policy_files: Vec<(String, String)>,
    /// The classification file of each connection that has one.
    pub classification_files: BTreeMap<String, PathBuf>,
    pub evidence: (PathBuf, LedgerOptions),
    pub limits: config::Limits,
    /// The configuration as written. Its secrets are references, so it has none.
    pub text: String,
}

/// Resolves everything, or says the first thing that does not.
pub fn resolve(config: Config, text: &str) -> Result<Resolved> {
    let tls = match &config.tls {
        Some(tls) => Some(chaperone_gateway::tls::server_config(&tls.cert, &tls.key).context("`tls`")?),
        None if config.listen.postgres.ip().is_loopback() => None,
        None => bail!(
            "`tls` is missing: without it tokens would cross the network in the clear, so the gateway listens on loopback only, and `listen.postgres` is {}",
            config.listen.postgres
        ),
    };
    let identity = Arc::new(identity(config.issuers)?);
    if config.connections.is_empty() {
        bail!("`connections` is empty: name at least one database");
    }
    let mut connections = Vec::with_capacity(config.connections.len());
    let mut classification_files = BTreeMap::new();
    let zips = config.zip3.as_deref().map(zip_table).transpose()?.map(Arc::new);
    for (name, raw) in config.connections {
        classification_files.extend(raw.classification.clone().map(|path| (name.clone(), path)));
        connections.push(connection(&name, raw, zips.clone()).with_context(|| format!("connection `{name}`"))?);
    }
    let policy_files = crate::reload::read(&config.policies)?;
    let policies = PolicySet::load(&policy_files).map_err(|error| {
        let faults: Vec<String> = error.faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the policies are not valid:\n  {}", faults.join("\n  "))
    })?;
    refuse_empty(&policies)?;
    let without: BTreeSet<&str> = connections
        .iter()
        .filter(|connection| !connection.is_protected())
        .map(|connection| connection.name.as_str())
        .collect();
    let unbound = unbound(&policies, &without);
    if !unbound.is_empty() {
        bail!("{}", unbound.join("\n"));
    }
    let mut options = LedgerOptions::default();
    if let Some(origin) = config.evidence.origin {
        options.origin = origin;
    }
    Ok(Resolved {
        listen: config.listen.postgres,
        tls,
        identity,
        connections,
        policies,
        policy_folder: config.policies,
        policy_files,
        classification_files,
        evidence: (config.evidence.dir, options),
        limits: config.limits,
        text: text.to_owned(),
    })
}

fn identity(issuers: Vec<config::Issuer>) -> Result<Identity> {
    if issuers.is_empty() {
        bail!("`issuers` is empty: nobody could log in");
    }
    let issuers = issuers.into_iter().map(issuer).collect();
    Identity::new(issuers).context("`issuers`")
}

/// Resolves one database.
pub fn connection(name: &str, raw: config::Connection, zips: Option<Arc<ZipTable>>) -> Result<Connection> {
    let uri = match raw.postgres.contains("://") {
        true => raw.postgres.clone(),
        false => format!("postgres://{}", raw.postgres),
    };
    let mut target = Target::parse(&uri).context("`postgres`")?;
    target.tls = match (raw.tls, &raw.ca) {
        (UpstreamTls::Disable, None) => TlsMode::Disable,
        (UpstreamTls::Disable, Some(_)) => bail!("`ca` makes no sense with `tls: disable`"),
        (UpstreamTls::VerifyFull, Some(ca)) => TlsMode::with_roots_file(ca).context("`ca`")?,
        (UpstreamTls::VerifyFull, None) => TlsMode::with_system_roots().context("the system's CAs")?,
    };
    let ephemeral = matches!(raw.credential, config::Credential::Ephemeral { .. });
    let credential = match raw.credential {
        config::Credential::Ephemeral { minter: Minter::File(path) } => CredentialSource::File(path),
        config::Credential::Ephemeral { minter: Minter::Env(name) } => CredentialSource::Env(name),
        config::Credential::File(path) => CredentialSource::File(path),
        config::Credential::Env(name) => CredentialSource::Env(name),
        config::Credential::Role { user, password } => CredentialSource::Role { user, password_file: password },
    };
    let classification = match (raw.classification, raw.phi) {
        (Some(path), None) => classification(&path)?,
        (None, Some(Phi::None)) => Classified::nothing(),
        (None, None) => {
            bail!("say what it holds: `classification: FILE`, or `phi: none` if it holds no protected data")
        }
        (Some(_), Some(_)) => bail!("`classification` and `phi: none` exclude each other"),
    };
    let defaults = Limits::default();
    let limits = Limits {
        idle: raw.limits.idle.unwrap_or(defaults.idle),
        age: raw.limits.age.unwrap_or(defaults.age),
        token_grace: raw.limits.token_grace.unwrap_or(defaults.token_grace),
        statement: raw.limits.statement.unwrap_or(defaults.statement),
    };
    let tokens = raw.tokens.as_ref().map(tokens).transpose().context("`tokens`")?;
    if tokens.is_some() && classification.tables().is_none() {
        bail!("`tokens` makes no sense with `phi: none`: nothing is masked");
    }
    let masking = Masking { zips, tokens };
    let mut connection = Connection::new(name.to_owned(), target, credential, classification, masking, limits);
    connection.ephemeral = ephemeral;
    connection.old_server = match raw.old_server {
        config::OldServer::Warn => OldServer::Warn,
        config::OldServer::Refuse => OldServer::Refuse,
    };
    Ok(connection)
}

fn tokens(raw: &config::Tokens) -> Result<TokenKeys> {
    let text = Zeroizing::new(match &raw.key {
        Secret::File(path) => {
            std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?
        }
        Secret::Env(name) => std::env::var(name)
            .ok()
            .with_context(|| format!("environment variable `{name}` is not set or not UTF-8"))?,
    });
    let mut master = Zeroizing::new([0; 32]);
    let form = match raw.form {
        config::TokenForm::Hmac => TokenForm::Hmac,
        config::TokenForm::Invertible => TokenForm::Invertible,
    };
    // the error of the decoder would name a digit of the key
    hex::decode_to_slice(text.trim(), &mut *master)
        .map_err(|_| anyhow::anyhow!("the key is not 64 hexadecimal digits; make one with `openssl rand -hex 32`"))?;
    TokenKeys::derive(&master, form).context("no keys")
}

fn zip_table(path: &Path) -> Result<ZipTable> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    text.parse().with_context(|| format!("`zip3`: `{}`", path.display()))
}

/// Reads a classification file.
pub fn classification(path: &Path) -> Result<Classified> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let classes: config::Classes =
        serde_saphyr::from_str(&text).map_err(|error| anyhow::anyhow!("`{}`: {error}", path.display()))?;
    if classes.tables.is_empty() {
        bail!("`{}` lists no table: nothing could be read", path.display());
    }
    Ok(Classified::tables_of(classes.tables, digest(text.as_bytes()), text))
}

/// A policy file without a policy is one that was cut off, or emptied to be written: what it forbade would be permitted.
pub fn refuse_empty(policies: &PolicySet) -> Result<()> {
    match policies.files_without_policy().as_slice() {
        [] => Ok(()),
        files => bail!("`{}` holds no policy: remove it, or write one", files.join("`, `")),
    }
}

/// Rules about tables cannot bind where no catalog is read to resolve names; better refused than silently not in
/// force.
pub fn unbound_table_rules(policies: &PolicySet, engine: &Engine) -> Vec<String> {
    unbound(policies, &engine.unclassified())
}

fn unbound(policies: &PolicySet, unclassified: &BTreeSet<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    for rule in policies.table_rules() {
        for connection in unclassified.iter().filter(|connection| rule.concerns(connection)) {
            faults.push(format!(
                "policy `{}` speaks of tables of `{connection}`, which declares no protected data: names are not resolved there, so the rule could not be kept; speak of the connection, or classify it",
                rule.policy
            ));
        }
    }
    faults
}

/// The first 16 bytes of a SHA-256, in hex: names a text in records.
pub fn digest(text: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text);
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn issuer(raw: config::Issuer) -> IssuerConfig {
    let mut issuer = IssuerConfig::new(raw.name, raw.url, raw.audience);
    let claims = [
        (raw.groups, &mut issuer.groups_claim),
        (raw.model, &mut issuer.model_claim),
        (raw.model_version, &mut issuer.model_version_claim),
        (raw.purpose, &mut issuer.purpose_claim),
    ];
    for (given, claim) in claims {
        if let Some(given) = given {
            *claim = given;
        }
    }
    if let Some(algorithms) = raw.algorithms {
        issuer.algorithms = algorithms;
    }
    if let Some(leeway) = raw.leeway {
        issuer.leeway = leeway;
    }
    issuer.delegation = raw.delegation;
    issuer.jwks_url = raw.jwks;
    issuer.ca_file = raw.ca;
    issuer
}
