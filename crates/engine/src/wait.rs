//! What a message of the agent's must wait for before it can be judged.

use chaperone_wire::postgres::frontend::{self, Object, Tag};

use crate::end::End;
use crate::estimate::Estimating;
use crate::receive::Input;
use crate::session::Session;

impl<S> Session<S> {
    /// Whether a message names what may or may not be there: it was given or closed in an earlier segment whose end
    /// is not known. If the database skipped that, the name still means what it meant before.
    pub(crate) fn must_wait(&self, input: &Input) -> Result<bool, End> {
        let (Input::Message(frame) | Input::Start(frame)) = input else { return Ok(false) };
        let unknown = || self.names.closed.is_some_and(|segment| !self.replies.is_known(segment));
        let statement = |name: &[u8]| match self.names.statement(name) {
            Some(prepared) => !self.replies.is_known(prepared.sent.segment),
            None => unknown(),
        };
        let portal = |name: &[u8]| match self.names.portal(name) {
            Some(portal) => !self.replies.is_known(portal.sent.segment),
            None => unknown(),
        };
        Ok(match Tag::from_byte(frame.tag) {
            Some(Tag::Bind) => statement(frontend::bind_names(frame.body()).map_err(End::from_agent)?.1),
            Some(Tag::Execute) => portal(frontend::Execute::parse(frame.body()).map_err(End::from_agent)?.portal),
            Some(Tag::Describe) => {
                let describe = frontend::Describe::parse(frame.body()).map_err(End::from_agent)?;
                match describe.object {
                    Object::Statement => statement(describe.name),
                    Object::Portal => portal(describe.name),
                }
            }
            _ => false,
        })
    }

    /// What the database must be asked before a message can be judged.
    pub(crate) fn asks_first(&self, input: &Input) -> Result<Option<Estimating>, End> {
        if !self.judge.asks_for_estimates() {
            return Ok(None);
        }
        let (Input::Message(frame) | Input::Start(frame)) = input else { return Ok(None) };
        let text = match Tag::from_byte(frame.tag) {
            Some(Tag::Query) => frontend::Query::parse(frame.body()).map_err(End::from_agent)?.text,
            Some(Tag::Parse) => frontend::Parse::parse(frame.body()).map_err(End::from_agent)?.text,
            _ => return Ok(None),
        };
        Ok(self.judge.wants_estimates(&String::from_utf8_lossy(text)))
    }
}
