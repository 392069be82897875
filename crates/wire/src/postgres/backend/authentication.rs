//! `Authentication…`: one tag, a number, and what belongs to it.

use std::fmt;

use crate::postgres::WireError;
use crate::postgres::reader::Reader;

const MESSAGE: &str = "Authentication";

/// What the server asks for, or that it is content.
#[derive(Clone, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// The log-in succeeded.
    Ok,
    /// Kerberos V5, long gone.
    KerberosV5,
    /// The password as it is.
    CleartextPassword,
    /// The password hashed with this salt.
    Md5Password {
        /// For this log-in only.
        salt: [u8; 4],
    },
    /// GSSAPI.
    Gss,
    /// More of a GSSAPI or SSPI exchange.
    GssContinue(&'a [u8]),
    /// SSPI.
    Sspi,
    /// SASL, by one of these mechanisms, the server's favourite first.
    Sasl {
        /// At least one.
        mechanisms: Vec<&'a [u8]>,
    },
    /// A mechanism's challenge.
    SaslContinue(&'a [u8]),
    /// A mechanism's last word.
    SaslFinal(&'a [u8]),
}

impl<'a> Authentication<'a> {
    /// Reads the body of an `Authentication…` message.
    ///
    /// # Errors
    /// A request that does not exist, fields cut short or left over, SASL without a mechanism.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(MESSAGE, body);
        let authentication = match reader.u32()? {
            0 => Authentication::Ok,
            2 => Authentication::KerberosV5,
            3 => Authentication::CleartextPassword,
            5 => Authentication::Md5Password { salt: reader.four()? },
            7 => Authentication::Gss,
            8 => Authentication::GssContinue(reader.rest()),
            9 => Authentication::Sspi,
            10 => Authentication::Sasl { mechanisms: mechanisms(&mut reader)? },
            11 => Authentication::SaslContinue(reader.rest()),
            12 => Authentication::SaslFinal(reader.rest()),
            _ => return Err(WireError::BadField { message: MESSAGE, field: "kind of request" }),
        };
        reader.end()?;
        Ok(authentication)
    }
}

fn mechanisms<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a [u8]>, WireError> {
    let mut mechanisms = Vec::new();
    loop {
        match reader.string()? {
            [] if mechanisms.is_empty() => {
                return Err(WireError::BadField { message: MESSAGE, field: "list of mechanisms: it is empty" });
            }
            [] => return Ok(mechanisms),
            mechanism => mechanisms.push(mechanism),
        }
    }
}

impl fmt::Debug for Authentication<'_> {
    /// Without what is exchanged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Authentication::Ok => "Ok",
            Authentication::KerberosV5 => "KerberosV5",
            Authentication::CleartextPassword => "CleartextPassword",
            Authentication::Md5Password { .. } => "Md5Password",
            Authentication::Gss => "Gss",
            Authentication::GssContinue(_) => "GssContinue",
            Authentication::Sspi => "Sspi",
            Authentication::Sasl { mechanisms } => {
                let names: Vec<_> = mechanisms.iter().map(|name| name.escape_ascii().to_string()).collect();
                return write!(f, "Sasl({names:?})");
            }
            Authentication::SaslContinue(_) => "SaslContinue",
            Authentication::SaslFinal(_) => "SaslFinal",
        })
    }
}
