//! rewrite: from a permit to what may go to the database.
//!
//! A [`Runnable`] is made only here. For a statement it takes the [`Permit`]s by value, and asks `analysis` for the
//! text under the very masks that the permit was given with, so that text and permit cannot drift apart.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use chaperone_analysis::{Described, INSIDE, Inside, Output, Rewritten, Statements};
use chaperone_model::{Effects, Refusal};
use chaperone_policy::Permit;
use chaperone_wire::postgres::WireError;
use chaperone_wire::postgres::frontend::encode::{self, Bound};
use chaperone_wire::postgres::frontend::{Object, Parse};

use crate::inside::Foretold;
use crate::own::Own;
use crate::running::Meant;
use crate::shield::Shield;

/// A message that may go to the database: permitted, and masked where it must be.
///
/// It cannot be made from bytes:
/// ```compile_fail,E0451
/// fn forge(bytes: bytes::Bytes) -> chaperone_engine::Runnable {
///     chaperone_engine::Runnable { bytes, effects: chaperone_model::Effects::None }
/// }
/// ```
/// nor twice from one permit:
/// ```compile_fail,E0599
/// fn twice(runnable: chaperone_engine::Runnable) -> [chaperone_engine::Runnable; 2] {
///     [runnable.clone(), runnable]
/// }
/// ```
#[derive(Debug)]
pub struct Runnable {
    bytes: Bytes,
    effects: Effects,
}

/// A statement's text as it may run.
#[derive(Debug)]
pub(crate) struct Text {
    /// What the database is sent instead of the agent's text; `None` is the agent's own.
    pub(crate) run: Option<String>,
    /// What each statement may return; empty when nothing is checked.
    pub(crate) outputs: Vec<Arc<Output>>,
    /// What each was taken to mean; empty when nothing is masked.
    pub(crate) meant: Vec<Arc<Meant>>,
}

/// The text of permitted statements. `permits` has one for each statement.
pub(crate) fn text(
    statements: &Arc<Statements>,
    permits: Vec<Permit>,
    shield: Option<&Shield>,
    own: &mut Own,
) -> Result<(Text, Permitted), Refusal> {
    let permitted = Permitted(());
    debug_assert_eq!(permits.len(), statements.len());
    let Some(shield) = shield else {
        return Ok((Text { run: None, outputs: Vec::new(), meant: Vec::new() }, permitted));
    };
    let mut run = String::new();
    let mut outputs = Vec::with_capacity(permits.len());
    let mut all = Vec::with_capacity(permits.len());
    for (i, permit) in permits.into_iter().enumerate() {
        let masks = permit.masks();
        let rewritten = shield.rewrite(statements, i, masks, &own.temporaries)?;
        let meant = shield.meant(statements, i, masks, &own.temporaries, &rewritten);
        let Rewritten { text, output, filled } = rewritten;
        own.made(&meant, shield);
        if own.temporaries.filled(&filled, masks, shield.cutoff_year) {
            shield.forget();
        }
        if i > 0 {
            run.push_str("; ");
        }
        run.push_str(&text);
        outputs.push(Arc::new(output));
        all.push(meant);
    }
    Ok((Text { run: Some(run), outputs, meant: all }, permitted))
}

/// A text that runs as it was sent, whatever it is: where nothing is protected.
pub(crate) fn as_sent(_: Permit) -> (Text, Permitted) {
    (Text { run: None, outputs: Vec::new(), meant: Vec::new() }, Permitted(()))
}

/// Shows that [`text`] took the permits.
#[derive(Debug)]
pub(crate) struct Permitted(());

impl Runnable {
    /// A simple query.
    pub(crate) fn query(
        _: (Permitted, Foretold),
        as_sent: &Bytes,
        text: &Text,
        effects: Effects,
    ) -> Result<Self, WireError> {
        let bytes = match &text.run {
            None => as_sent.clone(),
            Some(run) => encoded(|out| encode::query(out, run.as_bytes()))?,
        };
        Ok(Runnable { bytes, effects })
    }

    /// A `Parse`. Nothing runs yet, so it has no effects.
    pub(crate) fn parse(_: Permitted, as_sent: &Bytes, text: &Text, parse: &Parse<'_>) -> Result<Self, WireError> {
        let bytes = match &text.run {
            None => as_sent.clone(),
            Some(run) => encoded(|out| encode::parse(out, parse.name, run.as_bytes(), &parse.types))?,
        };
        Ok(Runnable { bytes, effects: Effects::None })
    }

    /// An `Execute` or a function call.
    pub(crate) fn execute(_: (Permit, Foretold), as_sent: &Bytes, effects: Effects) -> Self {
        Runnable { bytes: as_sent.clone(), effects }
    }

    /// A message that runs nothing by itself: `Bind`, `Describe`, `Close`, `Sync`, `Flush`, `Terminate`; or data of a
    /// `COPY` that was permitted when it started.
    pub(crate) fn protocol(as_sent: Bytes, effects: Effects) -> Self {
        Runnable { bytes: as_sent, effects }
    }

    /// A `Bind` of a statement to which columns were added at the front of its answer.
    pub(crate) fn bind(body: &[u8], hidden: usize, effects: Effects) -> Result<Self, WireError> {
        Ok(Runnable { bytes: encoded(|out| encode::bind_with_leading(out, body, hidden))?, effects })
    }

    /// A `Describe` of a portal that the agent did not ask for: the check must see what the rows are made of.
    pub(crate) fn describe_portal(name: &[u8]) -> Result<Self, WireError> {
        Ok(Runnable { bytes: encoded(|out| encode::describe(out, Object::Portal, name))?, effects: Effects::None })
    }

    /// Asks for the description of a query inside a statement that is permitted. Nothing of it runs, and no name is left:
    /// should the agent have given it, it is gone.
    pub(crate) fn describe_inside(_: Permit, inside: &Inside, types: &[u32]) -> Result<Self, WireError> {
        const NAME: &[u8] = INSIDE.as_bytes();
        const MAKER: &[u8] = b"chaperone_prepares";
        let bytes = encoded(|out| {
            encode::close(out, Object::Statement, NAME)?;
            match inside.described {
                Described::AsQuery => encode::parse(out, NAME, inside.text.as_bytes(), types)?,
                Described::AsPrepared => {
                    encode::close(out, Object::Statement, MAKER)?;
                    encode::close(out, Object::Portal, MAKER)?;
                    encode::parse(out, MAKER, inside.text.as_bytes(), &[])?;
                    encode::bind(out, MAKER, MAKER, &Bound::default())?;
                    encode::execute(out, MAKER, 0)?;
                }
            }
            encode::describe(out, Object::Statement, NAME)?;
            encode::close(out, Object::Statement, NAME)?;
            if inside.described == Described::AsPrepared {
                encode::close(out, Object::Portal, MAKER)?;
                encode::close(out, Object::Statement, MAKER)?;
            }
            Ok(())
        })?;
        Ok(Runnable { bytes, effects: Effects::None })
    }

    /// In place of a refused simple query: a text that the database itself refuses. The transaction fails there just
    /// as it would for an error of its own, so that savepoints, `25P02` and the state in `ReadyForQuery` stay true.
    pub(crate) fn failing_query() -> Result<Self, WireError> {
        Ok(Runnable { bytes: encoded(|out| encode::query(out, FAILING))?, effects: Effects::None })
    }

    /// The same in the extended protocol: the database reports the error and skips to the next `Sync` by itself.
    pub(crate) fn failing_parse() -> Result<Self, WireError> {
        Ok(Runnable { bytes: encoded(|out| encode::parse(out, b"", FAILING, &[]))?, effects: Effects::None })
    }

    /// A text that we cannot read: the database parses it, which runs nothing, and reports what is wrong. If it finds
    /// nothing wrong, a text that is wrong in any case follows. The first gets no name, and the second takes its place,
    /// so that nothing is left that could be run.
    pub(crate) fn probe(text: &[u8], types: &[u32], simple: bool) -> Result<Self, WireError> {
        let bytes = encoded(|out| {
            encode::parse(out, b"", text, types)?;
            encode::parse(out, b"", FAILING, &[])?;
            if simple {
                encode::sync(out);
            }
            Ok(())
        })?;
        Ok(Runnable { bytes, effects: Effects::None })
    }
}

/// Not a statement in any version of PostgreSQL; what a database administrator sees in the server's log.
const FAILING: &[u8] = b"refused_by_chaperone";

fn encoded(encode: impl FnOnce(&mut BytesMut) -> Result<(), WireError>) -> Result<Bytes, WireError> {
    let mut out = BytesMut::new();
    encode(&mut out)?;
    Ok(out.freeze())
}

/// Messages that go to the database together, behind one record.
#[derive(Debug, Default)]
pub struct Batch {
    parts: Vec<Bytes>,
    effects: bool,
}

impl Batch {
    /// Adds a message.
    pub fn push(&mut self, runnable: Runnable) {
        self.effects |= runnable.effects == Effects::Possible;
        self.parts.push(runnable.bytes);
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The same batch as one that may run while its record is being made durable, if nothing in it has effects.
    pub fn proven_read(self) -> Result<ReadBatch, Batch> {
        if self.effects { Err(self) } else { Ok(ReadBatch(self)) }
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    pub(crate) fn into_parts(self) -> Vec<Bytes> {
        self.parts
    }
}

/// A [`Batch`] in which nothing has effects.
///
/// That cannot be claimed, only proven:
/// ```compile_fail,E0423
/// fn claim(batch: chaperone_engine::Batch) -> chaperone_engine::ReadBatch {
///     chaperone_engine::ReadBatch(batch)
/// }
/// ```
#[derive(Debug)]
pub struct ReadBatch(Batch);

impl ReadBatch {
    pub(crate) fn into_batch(self) -> Batch {
        self.0
    }
}
