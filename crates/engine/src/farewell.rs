//! farewell: the last words of a session, and its last records.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::check::fatal;
use crate::end::End;
use crate::session::Session;
use crate::upstream;

/// How long the agent's socket may take to swallow the last bytes.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Last words, last records.
    pub(crate) async fn finish(mut self, mut end: End) {
        match &end {
            End::AgentLost(error) => tracing::debug!(%error, "the agent's connection failed"),
            End::ServerViolation(what) => tracing::warn!(what, "the database does not speak the protocol"),
            other => tracing::debug!(end = ?other, "session ends"),
        }
        if let Some(rule) = end.alert() {
            self.alert(rule);
        }
        if !self.replies.is_empty() {
            // the database would notice only when it has something to say
            let (address, key) = (self.server_address.clone(), self.server_key.clone());
            tokio::spawn(async move {
                if let Err(error) = upstream::cancel(&address, &key).await {
                    tracing::debug!(%error, "what an ended session ran could not be cancelled");
                }
            });
        }
        let cut_off = self.replies.unfinished();
        self.cut_off(cut_off);
        self.add_last_words(&end);
        self.record_rest();
        self.record_answer();
        let mut told = tokio::time::timeout(LAST_WORDS, self.last_words()).await;
        let late = match &told {
            Ok(Err(End::Outdated)) => Some(End::Outdated),
            Ok(Err(End::Unchecked)) => Some(End::Unchecked),
            // the database may be gone, and with it whoever could tell
            Err(_) if self.segments.first_ticket().is_some() => Some(End::Unchecked),
            _ => None,
        };
        if let Some(late) = late {
            // the session was over, but not all of its answers were out, and they will not be
            if let Some(rule) = late.alert() {
                self.alert(rule);
            }
            self.add_last_words(&late);
            self.record_answer();
            told = tokio::time::timeout(LAST_WORDS, self.last_words()).await;
            if matches!(late, End::Outdated) {
                end = late;
            }
        }
        if matches!(told, Ok(Err(End::Ledger))) || matches!(end, End::Ledger) {
            // the one thing an agent is told without a record, since none can be made: a fixed text
            // In the middle of a message it would be taken for a part of that: then the connection just ends.
            if let Some(farewell) = End::Ledger.farewell()
                && self.segments.released_whole()
            {
                let bytes = fatal(farewell.code, farewell.message, farewell.hint);
                let told = async {
                    poll_fn(|cx| self.to_agent.poll_write(cx, &mut self.agent)).await?;
                    self.agent.write_all(&bytes).await
                };
                let _ = tokio::time::timeout(LAST_WORDS, told).await;
            }
        }
        let _ = tokio::time::timeout(LAST_WORDS, self.agent.shutdown()).await;
        // whatever still runs under it ends with it
        drop(self.server);
        self.role.end().await;
        if self.log.close(end.reason()).await.is_err() {
            tracing::error!("the end of a session could not be recorded");
        }
    }

    /// What the agent is told of the end, if a message of ours can follow: not in the middle of another.
    fn add_last_words(&mut self, end: &End) {
        let may_follow = match end {
            // nothing of the database's goes any more
            End::Outdated | End::Unchecked => {
                self.segments.give_up();
                self.answer.give_up();
                self.segments.released_whole()
            }
            _ => self.server_deframer.remaining() == 0,
        };
        if let Some(farewell) = end.farewell().filter(|_| may_follow) {
            self.answer.add(&fatal(farewell.code, farewell.message, farewell.hint));
        }
    }

    async fn last_words(&mut self) -> Result<(), End> {
        poll_fn(|cx| {
            loop {
                let released = self.poll_release(cx)?;
                let written = self.to_agent.poll_write(cx, &mut self.agent).map_err(End::AgentLost)?;
                if !released {
                    return match written {
                        Poll::Ready(()) if self.segments.is_empty() => Poll::Ready(Ok(())),
                        _ => Poll::Pending,
                    };
                }
            }
        })
        .await
    }
}
