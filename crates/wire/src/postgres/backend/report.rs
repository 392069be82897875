//! Errors and notices: those of a server, read, and our own, written (manual 55.8).

use std::borrow::Cow;
use std::fmt;

use bytes::BytesMut;
use chaperone_model::Refusal;

use super::Tag;
use crate::postgres::WireError;
use crate::postgres::reader::Reader;
use crate::postgres::writer::{Writer, message};

/// Codes of fields.
pub mod field {
    /// `S`: severity, in the server's language.
    pub const SEVERITY: u8 = b'S';
    /// `V`: severity, never translated.
    pub const SEVERITY_NAME: u8 = b'V';
    /// `C`: the SQLSTATE.
    pub const CODE: u8 = b'C';
    /// `M`: the message.
    pub const MESSAGE: u8 = b'M';
    /// `D`: more about it.
    pub const DETAIL: u8 = b'D';
    /// `H`: what to do about it.
    pub const HINT: u8 = b'H';
    /// `P`: where in the statement, in characters from 1.
    pub const POSITION: u8 = b'P';
    /// `R`: the routine of the server's source that reported it.
    pub const ROUTINE: u8 = b'R';
}

/// The fields of an `ErrorResponse` or `NoticeResponse`.
#[derive(Clone, PartialEq, Eq)]
pub struct Fields<'a> {
    fields: Vec<(u8, &'a [u8])>,
}

impl<'a> Fields<'a> {
    /// Reads the body of an `ErrorResponse` or `NoticeResponse`. Fields of unknown code are kept, as the manual asks.
    ///
    /// # Errors
    /// Fields cut short or left over.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ErrorResponse", body);
        let mut fields = Vec::new();
        loop {
            match reader.u8()? {
                0 => break,
                code => fields.push((code, reader.string()?)),
            }
        }
        reader.end()?;
        Ok(Fields { fields })
    }

    /// The first field of a code, of which [`field`] lists some.
    pub fn get(&self, code: u8) -> Option<&'a [u8]> {
        self.fields.iter().find(|(known, _)| *known == code).map(|(_, value)| *value)
    }

    /// The SQLSTATE, as five bytes; `XX000` if the server sent none that is one.
    pub fn code(&self) -> &'a str {
        self.get(field::CODE)
            .filter(|code| code.len() == 5 && code.iter().all(u8::is_ascii_alphanumeric))
            .and_then(|code| std::str::from_utf8(code).ok())
            .unwrap_or("XX000")
    }

    /// The severity, from `V`, or from `S` of a server before 9.6.
    pub fn severity(&self) -> Option<Severity> {
        self.get(field::SEVERITY_NAME).or_else(|| self.get(field::SEVERITY)).and_then(Severity::from_name)
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + '_ {
        self.fields.iter().copied()
    }
}

impl fmt::Debug for Fields<'_> {
    /// Texts may quote data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({}, {} in all)", self.code(), self.fields.len())
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The session ends.
    Fatal,
    /// All sessions end.
    Panic,
    /// A notice: something may be wrong.
    Warning,
    /// A notice.
    Notice,
    /// A notice.
    Debug,
    /// A notice.
    Info,
    /// A notice.
    Log,
}

impl Severity {
    /// As in the fields `S` and `V`.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Panic => "PANIC",
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
            Severity::Debug => "DEBUG",
            Severity::Info => "INFO",
            Severity::Log => "LOG",
        }
    }

    fn from_name(name: &[u8]) -> Option<Self> {
        use Severity::{Debug, Error, Fatal, Info, Log, Notice, Panic, Warning};
        [Error, Fatal, Panic, Warning, Notice, Debug, Info, Log]
            .into_iter()
            .find(|severity| severity.name().as_bytes() == name)
    }

    /// Whether it is told by an `ErrorResponse`; else by a `NoticeResponse`.
    pub const fn is_error(self) -> bool {
        match self {
            Severity::Error | Severity::Fatal | Severity::Panic => true,
            Severity::Warning | Severity::Notice | Severity::Debug | Severity::Info | Severity::Log => false,
        }
    }
}

/// An error or notice of our own.
///
/// ```
/// use bytes::BytesMut;
/// use chaperone_wire::postgres::backend::Report;
///
/// let mut out = BytesMut::new();
/// Report::error("42501", "not permitted").hint("ask for a grant").encode(&mut out);
/// assert_eq!(&out[..], b"E\0\0\0\x3aSERROR\0VERROR\0C42501\0Mnot permitted\0Hask for a grant\0\0");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report<'a> {
    severity: Severity,
    code: &'a str,
    message: Cow<'a, str>,
    detail: Option<Cow<'a, str>>,
    hint: Option<Cow<'a, str>>,
}

impl<'a> Report<'a> {
    /// With this SQLSTATE.
    pub fn new(severity: Severity, code: &'a str, message: impl Into<Cow<'a, str>>) -> Self {
        Report { severity, code, message: message.into(), detail: None, hint: None }
    }

    /// The statement failed.
    pub fn error(code: &'a str, message: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// The session ends.
    pub fn fatal(code: &'a str, message: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Severity::Fatal, code, message)
    }

    /// A refusal: DETAIL names the rule, HINT says what to do.
    pub fn refusal(severity: Severity, refusal: &'a Refusal) -> Self {
        let rule = format!("rule `{}`", refusal.rule);
        let detail = if refusal.detail.is_empty() { rule } else { format!("{} ({rule})", refusal.detail) };
        let report = Self::new(severity, refusal.code.0, refusal.message.as_str()).detail(detail);
        if refusal.hint.is_empty() { report } else { report.hint(refusal.hint.as_str()) }
    }

    /// Adds more about it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'a, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'a, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Appends an `ErrorResponse` or a `NoticeResponse`, by the severity. NULs in texts are left out.
    pub fn encode(&self, buffer: &mut BytesMut) {
        let (tag, name) = if self.severity.is_error() {
            (Tag::ErrorResponse, "ErrorResponse")
        } else {
            (Tag::NoticeResponse, "NoticeResponse")
        };
        let written = message(buffer, tag.byte(), name, |body| {
            self.fields(body);
            Ok(())
        });
        debug_assert!(written.is_ok(), "a text of 2 GiB");
    }

    fn fields(&self, body: &mut Writer<'_>) {
        let always = [
            (field::SEVERITY, self.severity.name()),
            (field::SEVERITY_NAME, self.severity.name()),
            (field::CODE, self.code),
            (field::MESSAGE, self.message.as_ref()),
        ];
        let sometimes = [(field::DETAIL, self.detail.as_deref()), (field::HINT, self.hint.as_deref())];
        let sometimes = sometimes.into_iter().filter_map(|(code, text)| Some((code, text?)));
        for (code, text) in always.into_iter().chain(sometimes) {
            body.u8(code);
            body.words(text);
        }
        body.u8(0);
    }
}
