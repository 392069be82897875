//! A server whose release shows planner statistics of hidden columns: a warning, or no session.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use chaperone_testkit::raw::Client;

use crate::stage::{Gateway, Setup, cluster};

/// A way to the database on which it greets with an old release: the text of `server_version` is replaced by one of its
/// length.
fn ages(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for agent in listener.incoming() {
            let (Ok(agent), Ok(server)) = (agent, TcpStream::connect(("127.0.0.1", port))) else { return };
            let (agent_too, server_too) = (agent.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || pass(agent, server, |_| {}));
            thread::spawn(move || pass(server_too, agent_too, age));
        }
    });
    own
}

fn pass(mut from: TcpStream, mut to: TcpStream, change: fn(&mut [u8])) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        change(&mut bytes[..n]);
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

fn age(bytes: &mut [u8]) {
    const NAME: &[u8] = b"server_version\0";
    // a ParameterStatus: its tag and length stand before the name
    let found = bytes.windows(NAME.len()).position(|window| window == NAME);
    let Some(at) = found.filter(|at| at.checked_sub(5).is_some_and(|tag| bytes[tag] == b'S')) else { return };
    let value = &mut bytes[at + NAME.len()..];
    let end = value.iter().position(|byte| *byte == 0).unwrap();
    value[..end].fill(b' ');
    value[..4].copy_from_slice(b"15.6");
}

/// Points the connections to another port, with more said of `clinic`, and starts the gateway again.
fn moved(gateway: &mut Gateway, port: u16, more: &str) {
    let path = gateway.path("chaperone.yaml");
    let config = std::fs::read_to_string(&path).unwrap();
    let own = format!("localhost:{}/clinic', ", cluster().port());
    assert!(config.contains(&own));
    std::fs::write(path, config.replace(&own, &format!("localhost:{port}/clinic', {more}"))).unwrap();
    gateway.kill();
    gateway.launch();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_server_is_named_or_refused() {
    // one for all gateways here
    let database = cluster();
    let port = ages(database.port());
    let mut gateway = Setup::new().start();
    drop(gateway.client("clinic").await);
    assert!(!gateway.log().contains("planner statistics"));

    moved(&mut gateway, port, "");
    for _ in 0..3 {
        let mut client = gateway.client("clinic").await;
        assert_eq!(client.rows("select count(*) from clinic.patient").await.unwrap(), ["300"]);
    }
    let told = gateway.log().matches("PostgreSQL 15.6 shows planner statistics").count();
    assert_eq!(told, 1, "once for the connection and release: {}", gateway.log());

    let mut gateway = Setup::new().start();
    moved(&mut gateway, port, "old_server: refuse, ");
    let mut client = Client::connect(&gateway.address(), gateway.transport()).await.unwrap();
    let refused = format!("{:#}", client.login("agent", "clinic", &gateway.token()).await.unwrap_err());
    assert!(refused.contains("runs a release that its owner does not allow"), "{refused}");
    // the other connection's server is the same one, seen as it is
    drop(gateway.client("ops").await);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
    // and the record says by which rule
    let journal = std::fs::read_dir(gateway.path("evidence").join("journal")).unwrap();
    let rule = b"gateway.old_server";
    let recorded = journal
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .any(|bytes| bytes.windows(rule.len()).any(|window| window == rule));
    assert!(recorded);
}
