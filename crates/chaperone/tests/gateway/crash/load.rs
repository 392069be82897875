//! Clients at work until their gateway is gone.

use std::time::Duration;

use anyhow::Result;
use chaperone_testkit::raw::{Client, Message, Transport, frontend as frame};
use tokio::sync::mpsc::UnboundedSender;

/// What a client does again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Writes and reads by simple queries.
    Simple,
    /// Writes by prepared statements.
    Extended,
    /// Many writes and reads before the first answer.
    Pipeline,
    /// Writes in transactions, every other rolled back.
    Transactions,
    /// Copies rows into the table.
    CopyIn,
    /// Copies rows out.
    CopyOut,
    /// Reads the clinic, masked.
    Masked,
    /// Asks for megabytes.
    Big,
    /// The same, and reads them slowly.
    Slow,
    /// Comes, asks once, says goodbye, comes again.
    Visits,
}

/// All of it.
pub const WORKS: [Work; 10] = [
    Work::Simple,
    Work::Extended,
    Work::Pipeline,
    Work::Transactions,
    Work::CopyIn,
    Work::CopyOut,
    Work::Masked,
    Work::Big,
    Work::Slow,
    Work::Visits,
];

/// One client.
pub struct Task {
    pub work: Work,
    pub round: u32,
    pub client: usize,
    pub address: String,
    pub token: String,
    /// Told once, when it has its session.
    pub greeted: UnboundedSender<()>,
}

/// A session as its client saw it.
pub struct Heard {
    /// The client's own address.
    pub peer: String,
    /// Every byte after the greeting.
    pub bytes: Vec<u8>,
    /// For messages.
    pub task: String,
}

impl Task {
    /// Works until the gateway is gone.
    pub async fn play(self) -> Vec<Heard> {
        let mut heard = Vec::new();
        let mut n = 0;
        loop {
            let Ok(mut client) = Client::connect(&self.address, Transport::Plain).await else { return heard };
            let Some(peer) = client.local_addr() else { return heard };
            let connection = if self.work == Work::Masked { "clinic" } else { "ops" };
            if client.login("agent", connection, &self.token).await.is_err() {
                return heard;
            }
            if heard.is_empty() {
                // nobody listens in rounds that end early
                let _ = self.greeted.send(());
            }
            let mut gone = false;
            while !gone {
                gone = self.step(&mut client, n).await.is_err();
                n += 1;
                if self.work == Work::Visits {
                    break;
                }
            }
            if !gone {
                gone = client.send(&frame::terminate()).await.is_err();
            }
            // the end may come in the middle of a message
            let _ = client.until_closed().await;
            let greeting: usize = client.greeting.iter().map(|message| message.bytes().len()).sum();
            let bytes = client.take_received().split_off(greeting);
            let task = format!("round {}, client {}, {:?}", self.round, self.client, self.work);
            heard.push(Heard { peer: peer.to_string(), bytes, task });
            if gone {
                return heard;
            }
        }
    }

    /// Something of its work; an error when the connection is gone.
    async fn step(&self, client: &mut Client, n: u32) -> Result<()> {
        let insert = |kind, i| format!("insert into ops.scratch values ('{}')", self.mark(kind, n, i));
        match self.work {
            Work::Simple | Work::Visits => {
                done(client.query(&insert('q', 0)).await?);
                done(client.query("select name, unit_price from ops.item order by id limit 20").await?);
            }
            Work::Extended => {
                let mut batch = Vec::new();
                if n == 0 {
                    batch.extend(frame::parse("w", "insert into ops.scratch values ($1)", &[]));
                }
                let mark = self.mark('x', n, 0);
                batch.extend(frame::bind("", "w", &[Some(mark.as_bytes())], &[]));
                batch.extend(frame::execute("", 0));
                batch.extend(frame::sync());
                client.send(&batch).await?;
                done(client.until_ready().await?);
            }
            Work::Pipeline => {
                let mut pipeline = Vec::new();
                for i in 0..15 {
                    let sql = if i % 3 == 2 { "select now(), random()".to_owned() } else { insert('p', i) };
                    pipeline.extend(frame::parse("", &sql, &[]));
                    pipeline.extend(frame::bind("", "", &[], &[]));
                    pipeline.extend(frame::describe_portal(""));
                    pipeline.extend(frame::execute("", 0));
                    if i % 5 == 4 {
                        pipeline.extend(frame::sync());
                    }
                }
                client.send(&pipeline).await?;
                for _ in 0..3 {
                    done(client.until_ready().await?);
                }
            }
            Work::Transactions => {
                done(client.query("begin").await?);
                done(client.query(&insert('q', 0)).await?);
                done(client.query(&format!("{}; {}", insert('t', 1), insert('t', 2))).await?);
                done(client.query(if n.is_multiple_of(2) { "commit" } else { "rollback" }).await?);
            }
            Work::CopyIn => {
                client.send(&frame::query("copy ops.scratch from stdin")).await?;
                done(client.until(b'G').await?);
                for part in 0..4 {
                    let mut rows = Vec::new();
                    for i in 0..10 {
                        rows.extend(frame::copy_data(format!("{}\n", self.mark('c', n, part * 10 + i)).as_bytes()));
                    }
                    client.send(&rows).await?;
                }
                client.send(&frame::copy_done()).await?;
                done(client.until_ready().await?);
            }
            Work::CopyOut => {
                let sql = "copy (select g, md5(g::text) from generate_series(1, 800) g) to stdout";
                done(client.query(sql).await?);
            }
            Work::Masked => {
                let sql = "select first_name, last_name, ssn, dob from clinic.patient where id between 1 and 60";
                done(client.query(sql).await?);
            }
            Work::Big => {
                done(client.query("select g, repeat(md5(g::text), 20) from generate_series(1, 1500) g").await?);
                // the whole journal is read at each start, so it must not grow as fast as it can
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Work::Slow => {
                client.send(&frame::query("select g, repeat('slow', 800) from generate_series(1, 2000) g")).await?;
                for row in 0_u32.. {
                    if client.message().await?.tag == b'Z' {
                        break;
                    }
                    if row % 100 == 0 {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
            }
        }
        Ok(())
    }

    /// A text that no other statement of any client has.
    fn mark(&self, kind: char, n: u32, i: u32) -> String {
        format!("<{kind}.{}.{}.{n}.{i}>", self.round, self.client)
    }
}

/// Nothing in this work is an error.
fn done(answer: Vec<Message>) {
    if let Some(error) = answer.iter().find(|message| message.tag == b'E') {
        panic!("{:?}: {:?}", error.field(b'C'), error.field(b'M'));
    }
}
