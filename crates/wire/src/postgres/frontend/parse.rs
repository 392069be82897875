//! Reading a client's messages. What may hold data (a statement's text, parameters, a password) is kept out of `Debug`.

use std::fmt;
use std::ops::Range;

use super::Tag;
use crate::postgres::WireError;
use crate::postgres::reader::Reader;

/// Any message of a client, borrowed from its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// `Bind`
    Bind(Bind<'a>),
    /// `Close`
    Close(Close<'a>),
    /// `CopyData`: so many bytes.
    CopyData(usize),
    /// `CopyDone`
    CopyDone,
    /// `CopyFail`
    CopyFail,
    /// `Describe`
    Describe(Describe<'a>),
    /// `Execute`
    Execute(Execute<'a>),
    /// `Flush`
    Flush,
    /// `FunctionCall`
    FunctionCall(FunctionCall),
    /// `Parse`
    Parse(Parse<'a>),
    /// `p`: what it holds depends on what was asked. See [`password`], [`SaslInitial::parse`]; a `SASLResponse` is the
    /// body itself.
    Password,
    /// `Query`
    Query(Query<'a>),
    /// `Sync`
    Sync,
    /// `Terminate`
    Terminate,
}

impl<'a> Message<'a> {
    /// Reads the body of a message with this tag.
    ///
    /// # Errors
    /// Fields that are cut short, left over or of a value that does not exist.
    pub fn parse(tag: Tag, body: &'a [u8]) -> Result<Self, WireError> {
        Ok(match tag {
            Tag::Bind => Message::Bind(Bind::parse(body)?),
            Tag::Close => Message::Close(Close::parse(body)?),
            Tag::CopyData => Message::CopyData(body.len()),
            Tag::CopyDone => empty("CopyDone", body, Message::CopyDone)?,
            Tag::CopyFail => {
                copy_fail(body)?;
                Message::CopyFail
            }
            Tag::Describe => Message::Describe(Describe::parse(body)?),
            Tag::Execute => Message::Execute(Execute::parse(body)?),
            Tag::Flush => empty("Flush", body, Message::Flush)?,
            Tag::FunctionCall => Message::FunctionCall(FunctionCall::parse(body)?),
            Tag::Parse => Message::Parse(Parse::parse(body)?),
            Tag::Password => Message::Password,
            Tag::Query => Message::Query(Query::parse(body)?),
            Tag::Sync => empty("Sync", body, Message::Sync)?,
            Tag::Terminate => empty("Terminate", body, Message::Terminate)?,
        })
    }
}

fn empty<'a>(name: &'static str, body: &[u8], message: Message<'a>) -> Result<Message<'a>, WireError> {
    Reader::new(name, body).end().map(|()| message)
}

/// A simple query: one string of statements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// In the session's encoding.
    pub text: &'a [u8],
}

impl<'a> Query<'a> {
    /// Reads the body of a `Query`.
    ///
    /// # Errors
    /// No NUL at the end, or something after it.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Query", body);
        let text = reader.string()?;
        reader.end()?;
        Ok(Query { text })
    }
}

impl fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({} bytes)", self.text.len())
    }
}

/// Prepares a statement.
#[derive(Clone, PartialEq, Eq)]
pub struct Parse<'a> {
    /// Of the statement; empty for the unnamed one.
    pub name: &'a [u8],
    /// In the session's encoding.
    pub text: &'a [u8],
    /// OIDs of the parameters' types, 0 for one to be inferred; may be fewer than there are parameters.
    pub types: Vec<u32>,
}

impl<'a> Parse<'a> {
    /// Reads the body of a `Parse`.
    ///
    /// # Errors
    /// Fields cut short or left over.
    #[expect(
        clippy::self_named_constructors,
        reason = "the protocol calls the message so, and all are read by `parse`"
    )]
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Parse", body);
        let parse = Parse { name: reader.string()?, text: reader.string()?, types: reader.items(4, Reader::u32)? };
        reader.end()?;
        Ok(parse)
    }
}

impl fmt::Debug for Parse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.escape_ascii();
        write!(f, "Parse(\"{name}\", {} bytes, types {:?})", self.text.len(), self.types)
    }
}

/// Makes a portal of a prepared statement and its parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Of the portal; empty for the unnamed one.
    pub portal: &'a [u8],
    /// Of the prepared statement; empty for the unnamed one.
    pub statement: &'a [u8],
    /// Of the parameters: none (all text), one for all, or one each; 0 text, 1 binary.
    pub formats: Vec<i16>,
    /// Where each parameter's value is in the body; `None` is NULL.
    pub params: Vec<Option<Range<usize>>>,
    /// Of the result's columns: none (all text), one for all, or one each; 0 text, 1 binary.
    pub result_formats: Vec<i16>,
}

impl<'a> Bind<'a> {
    /// Reads the body of a `Bind`. Format codes are the server's to judge: it may know more than two one day.
    ///
    /// # Errors
    /// Fields cut short or left over, a negative length that is not -1, format codes that are neither none, one nor as
    /// many as parameters.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Bind", body);
        let bind = Bind {
            portal: reader.string()?,
            statement: reader.string()?,
            formats: reader.items(2, Reader::i16)?,
            params: reader.items(4, Reader::value_range)?,
            result_formats: reader.items(2, Reader::i16)?,
        };
        reader.end()?;
        if bind.formats.len() > 1 && bind.formats.len() != bind.params.len() {
            return Err(WireError::BadField { message: "Bind", field: "number of parameter formats" });
        }
        Ok(bind)
    }

    /// The format code of the parameter at `index`, by the rule of [`Bind::formats`].
    pub fn format(&self, index: usize) -> i16 {
        format_of(&self.formats, index)
    }

    /// The format code of the result column at `index`, by the rule of [`Bind::result_formats`].
    pub fn result_format(&self, index: usize) -> i16 {
        format_of(&self.result_formats, index)
    }
}

fn format_of(formats: &[i16], index: usize) -> i16 {
    match formats {
        [] => 0,
        [all] => *all,
        each => each.get(index).copied().unwrap_or(0),
    }
}

impl fmt::Debug for Bind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bind")
            .field("portal", &format_args!("\"{}\"", self.portal.escape_ascii()))
            .field("statement", &format_args!("\"{}\"", self.statement.escape_ascii()))
            .field("formats", &self.formats)
            .field("params", &self.params)
            .field("result_formats", &self.result_formats)
            .finish()
    }
}

/// The names of the portal and the statement at the start of a `Bind`, without reading on: enough for a relay, and
/// cheap. A `Bind` that streams may be given its first part.
///
/// # Errors
/// No two strings at the start.
pub fn bind_names(body: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let mut reader = Reader::new("Bind", body);
    Ok((reader.string()?, reader.string()?))
}

/// What `Describe` and `Close` speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// `S`: a prepared statement.
    Statement,
    /// `P`: a portal.
    Portal,
}

impl Object {
    /// The byte on the wire.
    pub const fn byte(self) -> u8 {
        match self {
            Object::Statement => b'S',
            Object::Portal => b'P',
        }
    }

    fn read<'a>(message: &'static str, body: &'a [u8]) -> Result<(Object, &'a [u8]), WireError> {
        let mut reader = Reader::new(message, body);
        let object = match reader.u8()? {
            b'S' => Object::Statement,
            b'P' => Object::Portal,
            _ => return Err(WireError::BadField { message, field: "kind of object" }),
        };
        let name = reader.string()?;
        reader.end()?;
        Ok((object, name))
    }
}

/// Asks what a statement or a portal returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Describe<'a> {
    /// Which kind.
    pub object: Object,
    /// Which one; empty for the unnamed.
    pub name: &'a [u8],
}

impl<'a> Describe<'a> {
    /// Reads the body of a `Describe`.
    ///
    /// # Errors
    /// A kind that is not `S` or `P`, fields cut short or left over.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        Object::read("Describe", body).map(|(object, name)| Describe { object, name })
    }
}

impl fmt::Debug for Describe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Describe({:?} \"{}\")", self.object, self.name.escape_ascii())
    }
}

/// Forgets a statement or a portal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Close<'a> {
    /// Which kind.
    pub object: Object,
    /// Which one; empty for the unnamed.
    pub name: &'a [u8],
}

impl<'a> Close<'a> {
    /// Reads the body of a `Close`.
    ///
    /// # Errors
    /// A kind that is not `S` or `P`, fields cut short or left over.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        Object::read("Close", body).map(|(object, name)| Close { object, name })
    }
}

impl fmt::Debug for Close<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Close({:?} \"{}\")", self.object, self.name.escape_ascii())
    }
}

/// Runs a portal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    /// Empty for the unnamed one.
    pub portal: &'a [u8],
    /// Rows after which the portal is suspended; 0 or less for all.
    pub max_rows: i32,
}

impl<'a> Execute<'a> {
    /// Reads the body of an `Execute`.
    ///
    /// # Errors
    /// Fields cut short or left over.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Execute", body);
        let execute = Execute { portal: reader.string()?, max_rows: reader.i32()? };
        reader.end()?;
        Ok(execute)
    }
}

impl fmt::Debug for Execute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Execute(\"{}\", {} rows)", self.portal.escape_ascii(), self.max_rows)
    }
}

/// Calls a function by OID (the fast path, manual 32.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall {
    /// Of the function.
    pub oid: u32,
    /// Of the arguments: none (all text), one for all, or one each.
    pub formats: Vec<i16>,
    /// Where each argument is in the body; `None` is NULL.
    pub args: Vec<Option<Range<usize>>>,
    /// 0 text, 1 binary.
    pub result_format: i16,
}

impl FunctionCall {
    /// Reads the body of a `FunctionCall`.
    ///
    /// # Errors
    /// Fields cut short or left over, a negative length that is not -1.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("FunctionCall", body);
        let call = FunctionCall {
            oid: reader.u32()?,
            formats: reader.items(2, Reader::i16)?,
            args: reader.items(4, Reader::value_range)?,
            result_format: reader.i16()?,
        };
        reader.end()?;
        Ok(call)
    }
}

/// The client's first word in a SASL exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SaslInitial<'a> {
    /// The mechanism chosen.
    pub mechanism: &'a [u8],
    /// The mechanism's own data, if the client sends some at once. Credentials, as a rule.
    pub data: Option<&'a [u8]>,
}

impl<'a> SaslInitial<'a> {
    /// Reads the body of a `SASLInitialResponse`.
    ///
    /// # Errors
    /// Fields cut short or left over, a negative length that is not -1.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("SASLInitialResponse", body);
        let initial = SaslInitial { mechanism: reader.string()?, data: reader.value()? };
        reader.end()?;
        Ok(initial)
    }
}

impl fmt::Debug for SaslInitial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SaslInitial({}, {} bytes)", self.mechanism.escape_ascii(), self.data.map_or(0, <[u8]>::len))
    }
}

/// The password of a `PasswordMessage`; nothing of it belongs in a log.
///
/// # Errors
/// No NUL at the end, or something after it.
pub fn password(body: &[u8]) -> Result<&[u8], WireError> {
    let mut reader = Reader::new("PasswordMessage", body);
    let password = reader.string()?;
    reader.end()?;
    Ok(password)
}

/// The reason in a `CopyFail`, which may hold anything.
///
/// # Errors
/// No NUL at the end, or something after it.
pub fn copy_fail(body: &[u8]) -> Result<&[u8], WireError> {
    let mut reader = Reader::new("CopyFail", body);
    let reason = reader.string()?;
    reader.end()?;
    Ok(reason)
}
