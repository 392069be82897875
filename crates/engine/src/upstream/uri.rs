//! libpq's connection URIs, without their secrets.

use std::time::Duration;

use chaperone_wire::postgres::startup::Version;

use super::target::{SessionAttrs, Target, TargetError, TlsMode};

const DEFAULT_PORT: u16 = 5432;

pub(super) fn parse(uri: &str) -> Result<Target, TargetError> {
    let rest =
        uri.strip_prefix("postgres://").or_else(|| uri.strip_prefix("postgresql://")).ok_or(TargetError::Scheme)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    // a password may hold a `/` or `?` that somebody forgot to escape: look everywhere
    if rest.contains('@') {
        return Err(TargetError::Credential);
    }
    let hosts = authority.split(',').map(host).collect::<Result<Vec<_>, _>>()?;
    let database = decode(path)?;
    if database.is_empty() {
        return Err(TargetError::Database);
    }
    let mut settings = Settings::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(TargetError::Escape)?;
        settings.set(&decode(name)?, decode(value)?)?;
    }
    Ok(Target {
        hosts,
        database,
        tls: settings.tls()?,
        session: settings.session,
        connect_timeout: settings.connect_timeout,
        protocol: settings.protocol,
    })
}

struct Settings {
    disable_tls: bool,
    roots: Option<String>,
    session: SessionAttrs,
    connect_timeout: Duration,
    protocol: Version,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            disable_tls: false,
            roots: None,
            session: SessionAttrs::Any,
            connect_timeout: Duration::from_secs(10),
            protocol: Version::V3_2,
        }
    }
}

impl Settings {
    fn set(&mut self, name: &str, value: String) -> Result<(), TargetError> {
        let invalid = |name, allowed| Err(TargetError::Value { name, allowed });
        match name {
            "sslmode" => match value.as_str() {
                "verify-full" => self.disable_tls = false,
                "disable" => self.disable_tls = true,
                _ => return invalid("sslmode", "`verify-full` or `disable`"),
            },
            "sslrootcert" => self.roots = Some(value).filter(|roots| roots != "system"),
            "target_session_attrs" => match value.as_str() {
                "any" => self.session = SessionAttrs::Any,
                "read-write" => self.session = SessionAttrs::ReadWrite,
                _ => return invalid("target_session_attrs", "`any` or `read-write`"),
            },
            "connect_timeout" => match value.parse() {
                Ok(seconds @ 1..=3600) => self.connect_timeout = Duration::from_secs(seconds),
                _ => return invalid("connect_timeout", "a number of seconds from 1 to 3600"),
            },
            "max_protocol_version" => match value.as_str() {
                "3.0" => self.protocol = Version::V3_0,
                "3.2" | "latest" => self.protocol = Version::V3_2,
                _ => return invalid("max_protocol_version", "`3.0`, `3.2` or `latest`"),
            },
            "user" | "password" | "passfile" => return Err(TargetError::Credential),
            other => return Err(TargetError::Parameter(shown(other))),
        }
        Ok(())
    }

    fn tls(&self) -> Result<TlsMode, TargetError> {
        match (&self.roots, self.disable_tls) {
            (_, true) => Ok(TlsMode::Disable),
            (Some(path), false) => TlsMode::with_roots_file(path),
            (None, false) => TlsMode::with_system_roots(),
        }
    }
}

/// A parameter's name as it may be repeated: what is not a plain word may be a part of a secret.
fn shown(name: &str) -> String {
    let plain = name.len() <= 40 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if plain { name.to_owned() } else { "…".to_owned() }
}

/// `host`, `host:port` or `[address]:port`.
fn host(text: &str) -> Result<(String, u16), TargetError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or(TargetError::Host)?;
            let port = match after {
                "" => None,
                after => Some(after.strip_prefix(':').ok_or(TargetError::Host)?),
            };
            (address, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let host = decode(host)?;
    if host.starts_with('/') {
        return Err(TargetError::UnixSocket);
    }
    let port = match port {
        None | Some("") => DEFAULT_PORT,
        Some(digits) => digits.parse().map_err(|_| TargetError::Host)?,
    };
    if host.is_empty() || port == 0 {
        return Err(TargetError::Host);
    }
    Ok((host, port))
}

/// Takes `%xx` escapes away. `+` stays what it is, as in libpq.
fn decode(text: &str) -> Result<String, TargetError> {
    let digit = |byte: Option<u8>| {
        byte.and_then(|byte| char::from(byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok())
    };
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => match (digit(bytes.next()), digit(bytes.next())) {
                (Some(high), Some(low)) => high * 16 + low,
                _ => return Err(TargetError::Escape),
            },
            other => other,
        });
    }
    match String::from_utf8(decoded) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(TargetError::Escape),
    }
}
