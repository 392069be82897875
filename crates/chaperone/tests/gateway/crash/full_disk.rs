//! A disk that is full: what cannot be recorded does not happen, and the log is sound when there is space again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use chaperone_evidence::CloseReason;
use chaperone_testkit::raw::{Client, Message, Transport, frontend as frame};

use super::trail::Trail;
use crate::stage::{Gateway, Setup};

/// Room for one segment of the journal and little else.
const SMALL: &str = "size=72m";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_statements_and_nothing_else() {
    let mut gateway = Setup::new().start();
    gateway.ask_to_stop();
    gateway.wait();
    let evidence = gateway.path("evidence");
    fs::remove_dir_all(&evidence).unwrap();
    fs::create_dir(&evidence).unwrap();
    let Some(disk) = Disk::mount(&evidence) else {
        eprintln!("skipped: a file system cannot be mounted here, so no disk was filled");
        return;
    };
    fill_and_recover(&mut gateway, &disk).await;
    drop(gateway);
}

async fn fill_and_recover(gateway: &mut Gateway, disk: &Disk) {
    gateway.launch();
    let mut trail = Trail::new(&gateway.path("evidence"));
    let mut idle = listener(gateway).await;
    let mut writer = listener(gateway).await;
    writer.query("create temp table kept (n int)").await.unwrap();
    let mut big = listener(gateway).await;

    // no answer ends the one that fills the disk: it is cut where the record ends
    let noise = "select encode(sha512(g::text::bytea), 'base64') || encode(sha512((-g)::text::bytea), 'base64') \
                 from generate_series(1, 3000000) g";
    big.send(&frame::query(noise)).await.unwrap();
    let mut ended = false;
    while !ended {
        ended = big.message().await.is_err();
    }

    // a session that is there is told, whatever it asks, and ends
    for (client, sql) in [(&mut writer, "insert into kept values (1)"), (&mut idle, "select 1")] {
        client.send(&frame::query(sql)).await.unwrap();
        let told = client.until_closed().await.unwrap();
        assert_eq!(codes(&told), ["58000"], "{sql}");
        assert!(told.iter().all(|message| message.tag == b'E'), "{sql}: {told:?}");
    }
    // and one that is not does not begin
    let mut late = gateway.stranger().await;
    let refused = late.login("agent", "ops", &gateway.token()).await.unwrap_err();
    assert!(format!("{refused:#}").contains("58000"), "{refused:#}");
    gateway.assert_well();

    // it ends when it is asked to, with an error of its own: its last record could not be made
    gateway.ask_to_stop();
    gateway.wait();
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
    trail.follow();
    for client in [&mut idle, &mut writer, &mut big] {
        let peer = client.local_addr().unwrap().to_string();
        let session = trail.sessions.values().find(|session| session.peer == peer).unwrap();
        let received = client.take_received();
        // the one text that is sent without a record says that there can be none
        let recorded = received.iter().zip(&session.answered).take_while(|(one, other)| one == other).count();
        let rest = received.get(recorded..).unwrap_or_default();
        let farewell = rest.is_empty() || (rest.starts_with(b"E\0") && find(rest, b"C58000\0") && rest.len() < 300);
        assert!(farewell, "{} bytes without a record: {}", rest.len(), rest.escape_ascii());
        // in the middle of a row it would be taken for a part of the row
        let part = part_of_a_message(received.get(..recorded).unwrap());
        assert!(rest.is_empty() || !part, "an error in the middle of a message");
    }
    assert!([0, 2].contains(&trail.verify().exit_code()), "{}", trail.verify());

    disk.grow();
    gateway.launch();
    trail.follow();
    assert_eq!(trail.open_sessions(), Vec::<String>::new());
    let reasons: Vec<_> = trail.sessions.values().map(|session| session.closed.unwrap()).collect();
    assert_eq!(reasons, [CloseReason::GatewayStopped; 3]);
    let mut client = gateway.client("ops").await;
    assert_eq!(client.rows("select 1").await.unwrap(), ["1"]);
    drop(client);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// A session that has kept nothing yet of what it hears.
async fn listener(gateway: &Gateway) -> Client {
    let mut client = Client::connect(&format!("127.0.0.1:{}", gateway.port), Transport::Plain).await.unwrap();
    client.set_patience(Duration::from_secs(60));
    client.login("agent", "ops", &gateway.token()).await.unwrap();
    client.take_received();
    client
}

fn codes(messages: &[Message]) -> Vec<String> {
    messages.iter().filter_map(|message| message.field(b'C')).collect()
}

/// Whether the bytes end in the middle of a message.
fn part_of_a_message(mut bytes: &[u8]) -> bool {
    while let Some(([_, length @ ..], rest)) = bytes.split_first_chunk::<5>() {
        let body = usize::try_from(u32::from_be_bytes(*length)).unwrap() - 4;
        match rest.get(body..) {
            Some(next) => bytes = next,
            None => return true,
        }
    }
    !bytes.is_empty()
}

fn find(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// A file system of a few megabytes, gone with this.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Option<Self> {
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", SMALL, "tmpfs"]).arg(at).stderr(Stdio::null()).status();
        mount.is_ok_and(|status| status.success()).then(|| Disk(at.to_owned()))
    }

    /// Space comes back.
    fn grow(&self) {
        let status = Command::new("mount").args(["-o", "remount,size=400m"]).arg(&self.0).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // lazily: when a test fails, its gateway may still be in there
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
