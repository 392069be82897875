//! follow: the session's database role follows its masks.
//!
//! What is sent next is masked by what holds now, and the role must be able to read what those masks read: so nothing is
//! taken from the agent while it moves. Should they change again while a statement runs, the role is the stricter lock.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::end::End;
use crate::minter::{MintError, Minted, Plan};
use crate::session::Session;

/// The session's role, if it has one of its own.
#[derive(Default)]
pub(crate) enum Role {
    /// It logged in with the gateway's credential.
    #[default]
    Shared,
    /// Its own.
    Own(Box<Minted>),
    /// On its way to other privileges.
    Moving(Moving),
}

type Moving = Pin<Box<dyn Future<Output = Result<Box<Minted>, MintError>> + Send>>;

impl Role {
    /// The session is over.
    pub(crate) async fn end(self) {
        let minted = match self {
            Role::Shared => return,
            Role::Own(minted) => Ok(minted),
            Role::Moving(moving) => moving.await,
        };
        match minted {
            Ok(minted) => minted.end().await,
            // it is not live any more, and swept up
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "a session's role did not move"),
        }
    }
}

async fn follow(mut minted: Box<Minted>, plan: Arc<Plan>) -> Result<Box<Minted>, MintError> {
    minted.follow(plan).await?;
    Ok(minted)
}

impl<S> Session<S> {
    /// Whether the role can do what the masks need.
    ///
    /// # Errors
    /// It could not be given that.
    pub(crate) fn poll_role(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        loop {
            match &mut self.role {
                Role::Shared => return Ok(true),
                Role::Own(minted) => {
                    // a catalog that is too old is refused when a statement is judged
                    let _ = self.judge.refresh();
                    let Some(plan) = self.judge.plan() else { return Ok(true) };
                    if Arc::ptr_eq(minted.plan(), &plan) {
                        return Ok(true);
                    }
                    if let Role::Own(minted) = std::mem::take(&mut self.role) {
                        self.role = Role::Moving(Box::pin(follow(minted, plan)));
                    }
                }
                Role::Moving(moving) => match moving.as_mut().poll(cx) {
                    Poll::Pending => return Ok(false),
                    Poll::Ready(Ok(minted)) => self.role = Role::Own(minted),
                    Poll::Ready(Err(error)) => {
                        tracing::error!(
                            connection = self.judge.connection.name,
                            error = &error as &dyn std::error::Error,
                            "a session's role cannot be given what its masks need"
                        );
                        self.role = Role::Shared;
                        return Err(End::Credential);
                    }
                },
            }
        }
    }
}
