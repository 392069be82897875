//! A connection's first packets, before there are tags (manual 55.2.1, 55.2.11, 55.7).

use std::fmt;

use bytes::{Buf, BytesMut};

use super::WireError;
use super::reader::Reader;

pub(super) const SSL_REQUEST: u32 = 80_877_103;
pub(super) const CANCEL_REQUEST: u32 = 80_877_102;
const GSSENC_REQUEST: u32 = 80_877_104;
/// `MAX_STARTUP_PACKET_LENGTH` of the server, which does not count the length itself.
const MAX_LENGTH: u32 = 10_000 + 4;
/// The first byte of a TLS record of the handshake, which no length that we accept starts with.
const TLS_HANDSHAKE: u8 = 0x16;

/// A protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 3 in all that still speak.
    pub major: u16,
    /// 0 since 2003, 2 since PostgreSQL 18; 1 was never used.
    pub minor: u16,
}

impl Version {
    /// 3.0.
    pub const V3_0: Version = Version { major: 3, minor: 0 };
    /// 3.2: cancel keys of up to 256 bytes.
    pub const V3_2: Version = Version { major: 3, minor: 2 };

    /// From the number on the wire.
    pub const fn from_code(code: u32) -> Self {
        let [a, b, c, d] = code.to_be_bytes();
        Version { major: u16::from_be_bytes([a, b]), minor: u16::from_be_bytes([c, d]) }
    }

    /// The number on the wire.
    pub const fn code(self) -> u32 {
        let [a, b] = self.major.to_be_bytes();
        let [c, d] = self.minor.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What a connection opens with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// A log-in.
    Startup(StartupMessage),
    /// Asks for TLS: answer `S` or `N`.
    SslRequest,
    /// Asks for GSSAPI encryption: answer `G` or `N`.
    GssEncRequest,
    /// Asks to cancel what another connection runs; it is never answered.
    Cancel(CancelRequest),
    /// TLS without asking (PostgreSQL 17's `sslnegotiation=direct`). Nothing was taken from the buffer: it starts with
    /// the `ClientHello`, whose ALPN must name `postgresql`.
    DirectTls,
}

/// The first packet of a log-in.
#[derive(Clone, PartialEq, Eq)]
pub struct StartupMessage {
    /// As asked for: see [`StartupMessage::negotiate`].
    pub version: Version,
    /// In order, as sent, `user` always among them and no name or value with a NUL. Later ones win.
    pub parameters: Vec<(String, String)>,
}

/// The key of another connection.
#[derive(Clone, PartialEq, Eq)]
pub struct CancelRequest {
    /// Process id, as given in its `BackendKeyData`.
    pub pid: i32,
    /// 4 to 256 bytes. Compare in constant time.
    pub secret: Vec<u8>,
}

/// What both sides will speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// 3.0 or 3.2.
    pub version: Version,
    /// Names of `_pq_.` options asked for; there is none that we know.
    pub unsupported: Vec<String>,
    /// Whether the client must be told, by `NegotiateProtocolVersion`, that it does not get what it asked for.
    pub tell: bool,
}

impl StartupMessage {
    /// The value of a parameter; the last one, if it is given twice.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Who logs in.
    pub fn user(&self) -> &str {
        self.get("user").unwrap_or_default()
    }

    /// The database asked for: the user's name where none is given.
    pub fn database(&self) -> &str {
        self.get("database").filter(|name| !name.is_empty()).unwrap_or(self.user())
    }

    /// The version and options that we agree to: 3.2 to those who ask for it or more, else 3.0.
    pub fn negotiate(&self) -> Negotiated {
        let version = if self.version >= Version::V3_2 { Version::V3_2 } else { Version::V3_0 };
        let unsupported: Vec<_> =
            self.parameters.iter().map(|(name, _)| name).filter(|name| name.starts_with("_pq_.")).cloned().collect();
        let tell = version != self.version || !unsupported.is_empty();
        Negotiated { version, unsupported, tell }
    }
}

impl fmt::Debug for StartupMessage {
    /// Names only: a value may be what a client meant as its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.parameters.iter().map(|(name, _)| name).collect();
        f.debug_struct("StartupMessage").field("version", &self.version).field("parameters", &names).finish()
    }
}

impl fmt::Debug for CancelRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancelRequest(pid {})", self.pid)
    }
}

/// Takes the first packet off the front of `buffer`. `None` when it is not all there yet. To be called again after an
/// answer to `SslRequest` or `GssEncRequest`; that `DirectTls` inside TLS is nonsense is the caller's to know.
///
/// # Errors
/// A length under 8 or over 10,004 (10,000 after the length, as the server has it), a version before 3.0 or after 3.x, a malformed list of
/// parameters, no user.
pub fn next(buffer: &mut BytesMut) -> Result<Option<Opening>, WireError> {
    let Some(first) = buffer.first() else { return Ok(None) };
    if *first == TLS_HANDSHAKE {
        return Ok(Some(Opening::DirectTls));
    }
    let Some(declared) = buffer.first_chunk().map(|length| i32::from_be_bytes(*length)) else { return Ok(None) };
    let length = match u32::try_from(declared) {
        Ok(length) if length >= 8 => length,
        _ => return Err(WireError::BadLength { tag: 0, length: declared }),
    };
    if length > MAX_LENGTH {
        return Err(WireError::TooLong { tag: 0, length, limit: MAX_LENGTH });
    }
    let total = usize::try_from(length).unwrap_or(usize::MAX);
    let Some(body) = buffer.get(4..total) else { return Ok(None) };
    let opening = parse(body)?;
    buffer.advance(total);
    Ok(Some(opening))
}

fn parse(packet: &[u8]) -> Result<Opening, WireError> {
    let mut reader = Reader::new("StartupMessage", packet);
    let code = reader.u32()?;
    match code {
        SSL_REQUEST => Reader::new("SSLRequest", reader.rest()).end().map(|()| Opening::SslRequest),
        GSSENC_REQUEST => Reader::new("GSSENCRequest", reader.rest()).end().map(|()| Opening::GssEncRequest),
        CANCEL_REQUEST => {
            let mut reader = Reader::new("CancelRequest", reader.rest());
            let pid = reader.i32()?;
            let secret = reader.rest().to_vec();
            if !(4..=256).contains(&secret.len()) {
                return Err(WireError::BadField { message: "CancelRequest", field: "length of the key" });
            }
            Ok(Opening::Cancel(CancelRequest { pid, secret }))
        }
        code => {
            let version = Version::from_code(code);
            if version.major != 3 {
                return Err(WireError::UnsupportedVersion { major: version.major, minor: version.minor });
            }
            let parameters = parameters(&mut reader)?;
            let message = StartupMessage { version, parameters };
            if message.user().is_empty() {
                return Err(WireError::BadField { message: "StartupMessage", field: "user: none is given" });
            }
            Ok(Opening::Startup(message))
        }
    }
}

/// Names and values up to an empty name, which must be the packet's last byte.
fn parameters(reader: &mut Reader<'_>) -> Result<Vec<(String, String)>, WireError> {
    const MESSAGE: &str = "StartupMessage";
    let text = |bytes: &[u8], field| {
        String::from_utf8(bytes.to_vec()).map_err(|_| WireError::NotUtf8 { message: MESSAGE, field })
    };
    let mut parameters = Vec::new();
    loop {
        let name = reader.string()?;
        if name.is_empty() {
            reader.end()?;
            return Ok(parameters);
        }
        parameters.push((text(name, "parameter name")?, text(reader.string()?, "parameter value")?));
    }
}

/// Body of the fuzz target: whatever the bytes, parsing ends, and a log-in that was understood encodes to itself.
#[doc(hidden)]
pub fn fuzz_startup(data: &[u8]) {
    let mut buffer = BytesMut::from(data);
    while let Ok(Some(opening)) = next(&mut buffer) {
        match opening {
            Opening::DirectTls => return,
            Opening::Startup(message) => {
                let negotiated = message.negotiate();
                assert!(negotiated.version == Version::V3_0 || negotiated.version == Version::V3_2);
                if let Ok(settings) = super::options::settings(message.get("options").unwrap_or_default()) {
                    let pairs = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                    assert_eq!(super::options::settings(&super::options::join(pairs)), Ok(settings.clone()));
                }
                let mut again = BytesMut::new();
                let pairs = message.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                assert_eq!(super::frontend::encode::startup(&mut again, message.version, pairs), Ok(()));
                assert_eq!(next(&mut again), Ok(Some(Opening::Startup(message))));
            }
            Opening::SslRequest | Opening::GssEncRequest | Opening::Cancel(_) => {}
        }
    }
}
