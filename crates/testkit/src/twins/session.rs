//! An agent's session with one of the twins.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::entry::{Entry, Step, statements};
use super::script::takes_data;
use crate::raw::{Client, Message, frontend as frame};

/// The longest answer that is kept; of a longer one only that it is one is compared.
pub const LONGEST: usize = 16 << 20;

/// A way of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The simple protocol.
    Simple,
    /// The extended one, results as text.
    Text,
    /// The extended one, results in binary.
    Binary,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 3] = [Mode::Simple, Mode::Text, Mode::Binary];

    /// The bytes of a step, a turn each.
    fn turns(self, step: &Step) -> Vec<Vec<u8>> {
        let format = match self {
            Mode::Simple => return vec![frame::query(&step.sql)],
            Mode::Text => 0,
            Mode::Binary => 1,
        };
        let values: Vec<_> = step.values.iter().map(|value| value.as_ref().map(String::as_bytes)).collect();
        let one = |sql: &str| {
            [
                frame::parse("", sql, &[]),
                frame::bind("", "", &values, &[format]),
                frame::describe_portal(""),
                frame::execute("", 0),
                // in copy mode the server passes over a `Sync`, which comes after the data then
                if takes_data(sql) { frame::flush() } else { frame::sync() },
            ]
            .concat()
        };
        statements(&step.sql).into_iter().map(one).collect()
    }
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Every byte; the end of the session is told in words.
    pub bytes: Vec<u8>,
    /// The same as messages.
    pub messages: Vec<Message>,
    /// No error in it.
    pub answered: bool,
    /// It was Chaperone that refused: the error names a rule.
    pub refused: bool,
    /// The session ended.
    pub ended: bool,
    /// The state of the transaction at the end, as `ReadyForQuery` tells it.
    pub state: u8,
}

impl Answer {
    /// The bytes, the rows between two other messages sorted.
    pub fn sorted(&self) -> Vec<u8> {
        let mut messages: Vec<_> = self.messages.iter().map(Message::bytes).collect();
        for rows in messages.chunk_by_mut(|a, b| is_row(a) && is_row(b)) {
            rows.sort();
        }
        messages.concat()
    }

    fn add(&mut self, next: Answer) {
        self.bytes.extend(next.bytes);
        self.messages.extend(next.messages);
        self.answered &= next.answered;
        self.refused |= next.refused;
        self.ended |= next.ended;
        self.state = next.state;
    }

    /// The SQLSTATEs of its errors.
    pub fn outcome(&self) -> Vec<u8> {
        let states: Vec<_> = self.errors().filter_map(|error| error.field(b'C')).collect();
        states.join(" ").into_bytes()
    }

    /// Its errors.
    pub fn errors(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| message.tag == b'E')
    }

    /// Its rows, as text.
    pub fn rows(&self) -> Vec<String> {
        self.messages.iter().filter(|message| message.tag == b'D').map(Message::row).collect()
    }
}

fn names_a_rule(error: &Message) -> bool {
    [b'M', b'D'].iter().any(|&code| error.field(code).is_some_and(|text| text.contains("(rule `")))
}

fn is_row(message: &[u8]) -> bool {
    matches!(message.first(), Some(b'D' | b'd'))
}

/// An agent that sends attacks, and opens another session when one ends.
pub struct Agent<O> {
    open: O,
    client: Client,
    /// What puts the session back after the last attack; sent with what comes next, to save a turn.
    owed: Vec<&'static str>,
}

impl<O: AsyncFn() -> Client> Agent<O> {
    /// An agent that opens its sessions so.
    pub async fn new(open: O) -> Self {
        let client = Self::fresh(&open).await;
        Agent { open, client, owed: Vec::new() }
    }

    async fn fresh(open: &O) -> Client {
        let mut client = open().await;
        client.set_patience(Duration::from_secs(60));
        client.take_received();
        client
    }

    /// Runs an attack, and leaves the session as if it had not been.
    pub async fn say(&mut self, entry: &Entry, mode: Mode) -> Answer {
        if entry.in_transaction {
            self.owed.push("BEGIN");
        }
        let mut answer = Answer { answered: true, state: b'I', ..Answer::default() };
        // a step that is refused shall not make those after it void
        let goes_on = entry.in_transaction && entry.steps.len() > 1;
        for step in &entry.steps {
            if goes_on {
                let failed = answer.state == b'E';
                self.owed.push(if failed { "ROLLBACK TO chaperone_step" } else { "SAVEPOINT chaperone_step" });
            }
            answer.add(self.go_on(step, mode).await);
            if answer.ended {
                return answer;
            }
        }
        if answer.state != b'I' || entry.in_transaction {
            self.owed.push("ROLLBACK");
        }
        if entry.sequence || entry.steps.iter().any(|step| leaves_traces(&step.sql)) {
            self.owed.push("DISCARD ALL");
        }
        answer
    }

    /// Says one thing more in the session as it is. A session that ends is followed by another.
    pub async fn go_on(&mut self, step: &Step, mode: Mode) -> Answer {
        self.settle().await;
        let mut answer = Answer { answered: true, state: b'I', ..Answer::default() };
        for turn in mode.turns(step) {
            let heard = self.turn(&turn, &step.data, mode).await;
            answer.bytes.extend(self.client.take_received());
            match heard {
                Ok(messages) => {
                    answer.state = messages.last().and_then(|ready| ready.body.first()).copied().unwrap_or(b'E');
                    answer.messages.extend(messages);
                }
                Err(error) => {
                    // the end of the session is an answer too
                    answer.bytes.extend(format!("\n[session ended: {error:#}]").into_bytes());
                    answer.ended = true;
                    self.owed.clear();
                    self.client = Self::fresh(&self.open).await;
                    break;
                }
            }
        }
        let (errors, refused) = (answer.errors().count(), answer.errors().any(names_a_rule));
        answer.refused = refused;
        answer.answered = !answer.ended && errors == 0;
        answer
    }

    /// A session that nothing was said in.
    pub async fn start_over(&mut self) {
        self.owed.clear();
        self.client = Self::fresh(&self.open).await;
    }

    /// Messages that are no part of an attack.
    async fn settle(&mut self) {
        let owed = std::mem::take(&mut self.owed);
        if owed.is_empty() {
            return;
        }
        let bytes: Vec<_> = owed.iter().flat_map(|sql| frame::query(sql)).collect();
        let mut heard = self.client.send(&bytes).await;
        for _ in owed {
            if heard.is_ok() {
                heard = self.client.until_ready().await.map(drop);
            }
        }
        if heard.is_err() {
            self.client = Self::fresh(&self.open).await;
        }
        self.client.take_received();
    }

    async fn turn(&mut self, bytes: &[u8], data: &str, mode: Mode) -> Result<Vec<Message>> {
        self.client.send(bytes).await?;
        let mut messages = Vec::new();
        let mut length = 0;
        // of a turn that ends in `Flush` the server owes no `ReadyForQuery` before it is asked
        let mut open = mode != Mode::Simple && bytes.ends_with(&frame::flush());
        loop {
            let message = self.client.message().await?;
            let tag = message.tag;
            length += message.body.len();
            if length > LONGEST {
                self.client.take_received();
            }
            ensure!(length <= LONGEST, "an answer of more than {LONGEST} bytes");
            messages.push(message);
            match tag {
                b'Z' => return Ok(messages),
                b'G' => {
                    let sync = if open { frame::sync() } else { Vec::new() };
                    self.client.send(&[frame::copy_data(data.as_bytes()), frame::copy_done(), sync].concat()).await?;
                    open = false;
                }
                b'E' | b'C' if open => {
                    self.client.send(&frame::sync()).await?;
                    open = false;
                }
                _ => {}
            }
        }
    }
}

/// Whether a text may leave something behind in the session: anything but a query does.
fn leaves_traces(sql: &str) -> bool {
    let first = sql.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let reads = ["SELECT", "TABLE", "VALUES", "WITH", "EXPLAIN", "COPY", "INSERT", "UPDATE", "DELETE", "MERGE"];
    let is_query = reads.iter().any(|read| read.eq_ignore_ascii_case(first));
    !is_query || statements(sql).len() > 1 || sql.contains(" INTO ")
}
