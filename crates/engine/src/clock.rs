//! When a session must end.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::end::End;

/// When a session must end whatever it does, and when for idleness.
#[derive(Debug)]
pub(crate) struct Clock {
    /// Its age, or its token.
    pub(crate) hard: (Instant, Hard),
    pub(crate) idle: Duration,
    pub(crate) last_request: Instant,
    pub(crate) drain: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

/// What the hard limit is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hard {
    Age,
    Token,
}

impl Clock {
    pub(crate) fn new(hard: (Instant, Hard), idle: Duration) -> Self {
        let now = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(hard.0.min(now + idle)));
        Clock { hard, idle, last_request: now, drain: None, timer }
    }

    /// Checks the limits when the timer fires, and sets it to the next one.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, busy: bool) -> Result<(), End> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= self.hard.0 {
                return Err(match self.hard.1 {
                    Hard::Age => End::TooOld,
                    Hard::Token => End::TokenExpired,
                });
            }
            if self.drain.is_some_and(|deadline| now >= deadline) {
                return Err(End::Drained);
            }
            if busy {
                // a statement that runs is not idleness; the count starts when its answer is out
                self.last_request = now;
            }
            let idle = self.last_request + self.idle;
            if now >= idle {
                return Err(End::Idle);
            }
            let next = self.drain.map_or(idle, |deadline| deadline.min(idle)).min(self.hard.0);
            self.timer.as_mut().reset(next);
        }
        Ok(())
    }

    /// Fires now, to look at the limits anew.
    pub(crate) fn wake(&mut self) {
        self.timer.as_mut().reset(Instant::now());
    }
}
