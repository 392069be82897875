//! The configuration file, as written. Everything is parsed before anything is bound; `resolve` turns it into what
//! runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chaperone_gateway::identity::{Algorithm, Delegation};
use chaperone_model::{TableClasses, TableName};
use serde::Deserialize;

/// `chaperone.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// The gateway's certificate. Left out only when it listens on loopback.
    pub tls: Option<Tls>,
    /// Who may issue tokens.
    pub issuers: Vec<Issuer>,
    /// The databases, by the name that agents give as `dbname`.
    pub connections: BTreeMap<String, Connection>,
    /// A folder of `*.cedar` files.
    pub policies: PathBuf,
    /// A table of ZIP codes in place of the one that comes with Chaperone, which is from 2026.
    pub zip3: Option<PathBuf>,
    /// The evidence log.
    pub evidence: Evidence,
    /// Bounds of the gateway.
    #[serde(default)]
    pub limits: Limits,
}

/// Addresses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// For agents that speak PostgreSQL.
    pub postgres: SocketAddr,
}

/// A certificate and its key, PEM.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// An OpenID Connect issuer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// For records and policies.
    pub name: String,
    /// Its `iss`, exactly.
    pub url: String,
    /// The audience that tokens must be for, exactly.
    pub audience: String,
    /// The claim that lists groups; `groups` by default.
    pub groups: Option<String>,
    /// The claim that names the model; `model` by default.
    pub model: Option<String>,
    /// The claim with its version; `model_version` by default.
    pub model_version: Option<String>,
    /// The claim with the purpose of use; `purpose` by default.
    pub purpose: Option<String>,
    /// How a person behind an agent is named.
    #[serde(default)]
    pub delegation: Delegation,
    /// Signature algorithms that are accepted.
    pub algorithms: Option<Vec<Algorithm>>,
    /// Where its keys are, if discovery does not say.
    pub jwks: Option<String>,
    /// The CA of its certificate, if not the system's.
    pub ca: Option<PathBuf>,
    /// Tolerated difference of clocks; 30 s by default, 120 s at most.
    #[serde(default, deserialize_with = "optional_duration")]
    pub leeway: Option<Duration>,
}

/// A database.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// `host:port/database` or a libpq URI, without user or password.
    pub postgres: String,
    /// How the way there is protected; `verify-full` by default.
    #[serde(default)]
    pub tls: UpstreamTls,
    /// The CA of its certificate, if not the system's.
    pub ca: Option<PathBuf>,
    /// How the gateway logs in.
    pub credential: Credential,
    /// What its columns hold. Exactly one of this and `phi: none`.
    pub classification: Option<PathBuf>,
    /// `none`: the owner declares that the database holds no protected data.
    pub phi: Option<Phi>,
    /// How tokens are made; without it the rung `token` shows nothing.
    pub tokens: Option<Tokens>,
    /// What to do if the server's release is known to show statistics of hidden columns; `warn` by default.
    #[serde(default)]
    pub old_server: OldServer,
    /// Bounds of its sessions.
    #[serde(default)]
    pub limits: SessionLimits,
}

/// How tokens are made. Tokens of two connections agree if their keys and forms do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// A secret of 32 random bytes.
    pub key: Secret,
    /// `hmac` by default.
    #[serde(default)]
    pub form: TokenForm,
}

/// A secret, by reference: 64 hexadecimal digits.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Secret {
    /// A file that holds it and nothing else.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

/// What can be done with a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenForm {
    /// Nobody can go back, whatever key they hold, but by trying values.
    #[default]
    Hmac,
    /// Whoever holds the key can go back.
    Invertible,
}

/// TLS to a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamTls {
    /// Encrypted, and the certificate must be the host's.
    #[default]
    VerifyFull,
    /// In the clear.
    Disable,
}

/// What to do about a server without certain fixes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OldServer {
    /// Say so in the log.
    #[default]
    Warn,
    /// Open no sessions with it.
    Refuse,
}

/// The one thing that can be said about protected data without a classification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phi {
    /// There is none.
    None,
}

/// A credential, by reference.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Credential {
    /// A file with the role on its first line and the password on its second.
    File(PathBuf),
    /// An environment variable with the same.
    Env(String),
    /// A role; its password, if it has one, in a file.
    Role {
        /// The role.
        user: String,
        /// The file.
        password: Option<PathBuf>,
    },
    /// A role for each session, made when it opens and dropped when it ends.
    Ephemeral {
        /// The role that makes them. `chaperone credentials script` says what it needs.
        minter: Minter,
    },
}

/// The credential of a minting role, by reference.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Minter {
    /// A file with the role on its first line and the password on its second.
    File(PathBuf),
    /// An environment variable with the same.
    Env(String),
}

/// Bounds of a session.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionLimits {
    /// Ends a session in which nothing happens; 30 min by default.
    #[serde(default, deserialize_with = "optional_duration")]
    pub idle: Option<Duration>,
    /// Ends any session; 12 h by default.
    #[serde(default, deserialize_with = "optional_duration")]
    pub age: Option<Duration>,
    /// How long a session may outlive its token; 60 s by default.
    #[serde(default, deserialize_with = "optional_duration")]
    pub token_grace: Option<Duration>,
    /// The longest statement in bytes; 32 MiB by default.
    pub statement: Option<u32>,
}

/// The evidence log.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Its folder.
    pub dir: PathBuf,
    /// The name of the log in its checkpoints; the host's name by default.
    pub origin: Option<String>,
}

/// Bounds of the gateway.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// How long sessions may go on after a stop was asked for.
    #[serde(deserialize_with = "duration")]
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: 1000, drain: Duration::from_secs(30) }
    }
}

/// A classification file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// Classes by table.
    pub tables: BTreeMap<TableName, TableClasses>,
}

impl Config {
    /// Reads a configuration. Paths in it are relative to its folder.
    pub fn read(path: &Path) -> Result<(Config, String)> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let mut config: Config =
            serde_saphyr::from_str(&text).map_err(|error| anyhow::anyhow!("`{}`: {error}", path.display()))?;
        config.relative_to(path.parent().unwrap_or(Path::new(".")));
        Ok((config, text))
    }

    fn relative_to(&mut self, base: &Path) {
        let mut paths: Vec<&mut PathBuf> = vec![&mut self.policies, &mut self.evidence.dir];
        paths.extend(self.zip3.as_mut());
        if let Some(tls) = &mut self.tls {
            paths.extend([&mut tls.cert, &mut tls.key]);
        }
        paths.extend(self.issuers.iter_mut().filter_map(|issuer| issuer.ca.as_mut()));
        for connection in self.connections.values_mut() {
            paths.extend(connection.classification.as_mut());
            paths.extend(connection.ca.as_mut());
            if let Some(Tokens { key: Secret::File(path), .. }) = &mut connection.tokens {
                paths.push(path);
            }
            match &mut connection.credential {
                Credential::File(path)
                | Credential::Role { password: Some(path), .. }
                | Credential::Ephemeral { minter: Minter::File(path) } => paths.push(path),
                Credential::Env(_)
                | Credential::Role { password: None, .. }
                | Credential::Ephemeral { minter: Minter::Env(_) } => {}
            }
        }
        for path in paths {
            *path = base.join(&*path);
        }
    }
}

/// `90s`, `30m`, `12h`, `7d`.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let count: u64 = digits.parse().with_context(|| format!("`{text}` is no duration: write 90s, 30m, 12h or 7d"))?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => bail!("`{text}` is no duration: write 90s, 30m, 12h or 7d"),
    };
    let seconds = count.checked_mul(seconds).filter(|s| *s <= 100 * 365 * 86_400);
    Ok(Duration::from_secs(seconds.with_context(|| format!("`{text}` is too long"))?))
}

fn duration<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(d)?).map_err(serde::de::Error::custom)
}

fn optional_duration<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
    duration(d).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
listen: { postgres: 127.0.0.1:6432 }
issuers: [{ name: demo, url: 'http://127.0.0.1:1', audience: chaperone, delegation: rfc8693, leeway: 10s }]
connections:
  clinic:
    postgres: db.internal:5432/clinic
    credential: { file: secrets/clinic }
    classification: clinic.classes.yaml
    limits: { idle: 15m }
  ops: { postgres: db.internal:5432/ops, tls: disable, credential: { env: OPS }, phi: none }
policies: policies
evidence: { dir: /var/lib/chaperone }
";

    #[test]
    fn the_example_is_read() {
        let config: Config = serde_saphyr::from_str(GOOD).unwrap();
        assert_eq!(config.connections.len(), 2);
        assert_eq!(config.connections["clinic"].limits.idle, Some(Duration::from_secs(900)));
        assert_eq!(config.connections["clinic"].tls, UpstreamTls::VerifyFull);
        assert_eq!(config.limits.connections, 1000);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (from, to) in [
            ("audience: chaperone", "audience: chaperone, audiense: x"),
            ("{ file: secrets/clinic }", "{ ephemeral: { minter: { file: x }, user: y } }"),
            ("leeway: 10s", "leeway: 10 parsecs"),
            ("phi: none", "phi: some"),
        ] {
            assert!(GOOD.contains(from));
            let text = GOOD.replace(from, to);
            assert!(serde_saphyr::from_str::<Config>(&text).is_err(), "{to}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(parse_duration("7d").unwrap(), Duration::from_secs(7 * 86_400));
        for bad in ["", "s", "90", "-1s", "1y", "99999999999999999999s", "99999999999d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
