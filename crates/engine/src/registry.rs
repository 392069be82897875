//! The live sessions: to cancel one, to tell all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chaperone_model::SessionId;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a session is told from outside.
#[derive(Debug)]
pub(crate) enum Control {
    /// A cancel request with the right secret came; answer when it was passed on.
    Cancel(oneshot::Sender<()>),
    /// The policies were replaced.
    PoliciesChanged,
    /// The gateway stops: end when idle, at the latest at the given instant.
    Drain(Instant),
}

/// What an agent must present to cancel: the server's process id and our secret (PostgreSQL manual 55.2.8).
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct CancelKey {
    pub(crate) pid: i32,
    pub(crate) secret: Vec<u8>,
}

#[derive(Debug, Default)]
struct Live {
    sessions: HashMap<SessionId, UnboundedSender<Control>>,
    keys: HashMap<CancelKey, SessionId>,
}

impl std::fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelKey").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// All live sessions of an engine.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    live: Arc<Mutex<Live>>,
}

impl Sessions {
    fn live(&self) -> MutexGuard<'_, Live> {
        // every change is one insert or remove: a panic elsewhere cannot leave it half done
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a session for as long as the returned value lives.
    pub(crate) fn register(&self, id: SessionId, key: CancelKey) -> Registered {
        let (sender, control) = unbounded_channel();
        let mut live = self.live();
        live.sessions.insert(id, sender);
        live.keys.insert(key.clone(), id);
        Registered { sessions: self.clone(), id, key, control }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.live().sessions.len()
    }

    /// Passes a cancel request to the session that it names, and waits until the database has it. A request that
    /// names none is ignored, as PostgreSQL does.
    pub async fn cancel(&self, pid: i32, secret: &[u8]) {
        let (done, passed_on) = oneshot::channel();
        {
            let live = self.live();
            let key = CancelKey { pid, secret: secret.to_vec() };
            let Some(session) = live.keys.get(&key).and_then(|id| live.sessions.get(id)) else { return };
            if session.send(Control::Cancel(done)).is_err() {
                return;
            }
        }
        // an error means that the session ended meanwhile
        let _ = passed_on.await;
    }

    /// Tells every session that the policies were replaced.
    pub fn policies_changed(&self) {
        self.tell(|| Control::PoliciesChanged);
    }

    /// Tells every session to end: at once when idle, at the latest at `deadline`.
    pub fn drain(&self, deadline: Instant) {
        self.tell(|| Control::Drain(deadline));
    }

    fn tell(&self, control: impl Fn() -> Control) {
        for session in self.live().sessions.values() {
            // a session that ends right now needs no message
            let _ = session.send(control());
        }
    }
}

/// A session's entry; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Registered {
    sessions: Sessions,
    id: SessionId,
    key: CancelKey,
    pub(crate) control: UnboundedReceiver<Control>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut live = self.sessions.live();
        live.sessions.remove(&self.id);
        live.keys.remove(&self.key);
    }
}
