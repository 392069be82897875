//! How useful the clinic stays behind masks: the statements of `tests/clinical`, direct and through the gateway.
//!
//! Each is run three times: on the database as it is, which shows that the statement is sound; through the gateway, as an
//! agent of a registry; and direct on a copy in which every masked column holds its mask (`setup/masked.sql`). The copy
//! says what the agent ought to get, and knows nothing of how Chaperone gets there: what is answered must be what the
//! copy answers, row by row, by the simple protocol and by the extended one.
//!
//! `make clinical` shows the table. `ONLY=name` runs the statements whose name has this in it, `SHOW=1` prints answers.

mod workload;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use chaperone_testkit::clinic;
use chaperone_testkit::postgres::{Cluster, Options};
use chaperone_testkit::raw::{Client, Message, Transport, frontend as frame};

use self::workload::{Answer, Case, cases, difference, folder};
use crate::stage::{Gateway, MINTER, Setup};

/// How many statements there are at least.
const STATEMENTS: usize = 250;

/// How many of a hundred statements must be answered.
const ANSWERED: usize = 97;

/// How many of a hundred statements must return rows on the database as it is: what finds nothing shows nothing.
const WITH_ROWS: usize = 90;

/// An agent that keeps a registry: years and areas for dates and ZIP codes, tokens for numbers; nobody's name, address or
/// text. It stages cohorts in tables of its own session, and plans appointments.
const POLICY: &str = r#"
@id("reads")
permit (
  principal in Group::"registry",
  action in [Action::"connect", Action::"select", Action::"copy"],
  resource in Connection::"clinic"
);
@id("years-and-areas")
permit (principal in Group::"registry", action == Action::"read_partial", resource)
when {
  resource in Class::"zip" || resource in Class::"birth_date" || resource in Class::"date" || resource in Class::"age"
};
@id("tells-people-apart")
permit (principal in Group::"registry", action == Action::"read_token", resource)
when { resource in Class::"mrn" || resource in Class::"insurance_id" || resource in Class::"account" };
@id("plans")
permit (
  principal in Group::"registry",
  action in [Action::"insert", Action::"update", Action::"delete"],
  resource in Connection::"clinic"
);
@id("stages")
permit (principal in Group::"registry", action == Action::"ddl", resource in Connection::"clinic");
"#;

const ROLE: &str = "gateway";
const PASSWORD: &str = "not-a-secret-of-anyone";
/// The copy with masks in place of values.
const MASKED: &str = "masked";

/// What became of a case.
enum Outcome {
    Answered(Vec<Answer>),
    Refused { rule: String, about: String },
    Failed(String),
}

/// The clinic with the views of its own, and the copy with masks in place of values.
fn cluster() -> Cluster {
    let cluster = Cluster::start(Options::default().set("max_connections", "100")).unwrap();
    clinic::load(&cluster, ROLE, PASSWORD).unwrap();
    let setup = |name: &str| fs::read_to_string(folder().join("setup").join(name)).unwrap();
    cluster.psql_in("clinic", &format!("SET ROLE {ROLE};\n{}", setup("views.sql"))).unwrap();
    cluster.psql(&format!("CREATE DATABASE {MASKED} TEMPLATE clinic OWNER {ROLE}")).unwrap();
    for database in ["clinic", MASKED] {
        cluster.psql(&format!("ALTER ROLE {ROLE} IN DATABASE {database} SET search_path = clinic, public")).unwrap();
    }
    cluster.psql_in(MASKED, &setup("masked.sql")).unwrap();
    cluster
}

/// Its sessions have roles that may read what masks read, and nothing else: so the workload shows that it is enough.
fn gateway(cluster: &Arc<Cluster>) -> Gateway {
    crate::credentials::prepare(cluster);
    cluster.psql(&format!("ALTER ROLE {MINTER} SET search_path = clinic, public")).unwrap();
    Setup::new().cluster(cluster.clone()).policy(POLICY).tokens().minted().start()
}

/// Where statements go.
enum Place<'g> {
    Direct { port: u16, database: &'static str },
    Gateway(&'g Gateway),
}

/// Somebody who asks there. A new session follows whatever may have left something behind.
struct Agent<'g> {
    place: Place<'g>,
    client: Option<Client>,
}

impl<'g> Agent<'g> {
    fn new(place: Place<'g>) -> Self {
        Agent { place, client: None }
    }

    async fn connect(&self) -> Client {
        match &self.place {
            Place::Gateway(gateway) => gateway.client_of("registry", "clinic").await,
            Place::Direct { port, database } => {
                let mut client = Client::connect(&format!("127.0.0.1:{port}"), Transport::Plain).await.unwrap();
                client.login(ROLE, database, PASSWORD).await.unwrap();
                client
            }
        }
    }

    async fn ask(&mut self, case: &Case) -> Outcome {
        self.ask_by(case, case.parameters.as_deref()).await
    }

    /// With values it goes by the extended protocol.
    async fn ask_by(&mut self, case: &Case, values: Option<&[Option<String>]>) -> Outcome {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => self.connect().await,
        };
        let mut answers = Vec::new();
        for step in &case.steps {
            let messages = match values {
                None => client.query(step).await,
                Some(values) => {
                    let values: Vec<Option<&[u8]>> =
                        values.iter().map(|value| value.as_ref().map(|value| value.as_bytes())).collect();
                    let frames = [
                        frame::parse("", step, &[]),
                        frame::describe_statement(""),
                        frame::bind("", "", &values, &[0]),
                        frame::describe_portal(""),
                        frame::execute("", 0),
                        frame::sync(),
                    ];
                    match client.send(&frames.concat()).await {
                        Ok(()) => client.until_ready().await,
                        Err(error) => Err(error),
                    }
                }
            };
            match messages {
                Err(error) => return Outcome::Failed(format!("the session ended: {error:#}")),
                Ok(messages) => match messages.iter().find(|message| message.tag == b'E') {
                    Some(error) => return refused(error),
                    None => answers.push(answer(&messages)),
                },
            }
        }
        if let [_] = &case.steps[..] {
            self.client = Some(client);
        }
        Outcome::Answered(answers)
    }
}

fn answer(messages: &[Message]) -> Answer {
    let described = messages.iter().rev().find(|message| message.tag == b'T');
    let row = |message: &Message| match message.tag {
        b'D' => Some(message.row()),
        b'd' => Some(String::from_utf8_lossy(&message.body).trim_end().to_owned()),
        _ => None,
    };
    let tag = messages.iter().rev().find(|message| message.tag == b'C');
    Answer {
        columns: described.map(Message::columns).unwrap_or_default(),
        rows: messages.iter().filter_map(row).collect(),
        tag: tag
            .map(|message| String::from_utf8_lossy(&message.body).trim_end_matches('\0').to_owned())
            .unwrap_or_default(),
    }
}

/// A refusal names its rule, says why, and what to do.
fn refused(error: &Message) -> Outcome {
    let field = |code: u8| error.field(code).unwrap_or_default();
    let about = format!("{} {}", field(b'C'), field(b'M'));
    let (detail, hint) = (field(b'D'), field(b'H'));
    let Some((reason, rule)) = detail.split_once("(rule `") else { return Outcome::Failed(about) };
    assert!(
        !reason.trim().is_empty() && !hint.is_empty(),
        "a refusal without a reason or a hint: {about}; {detail}; {hint}"
    );
    Outcome::Refused { rule: rule.trim_end_matches("`)").to_owned(), about }
}

/// Tokens cannot be foretold without the key. They are read once, row by row, and must be one for each value; from there
/// on every statement must deal with them as the copy does.
async fn tokens(cluster: &Cluster, gateway: &Gateway) {
    let mut agent = gateway.client_of("registry", "clinic").await;
    for (table, column) in
        [("patient", "mrn"), ("patient", "insurance_id"), ("claim", "insurance_id"), ("claim", "account")]
    {
        let sql = format!("SELECT id, {column} FROM clinic.{table} ORDER BY id");
        let shown = agent.rows(&sql).await.unwrap();
        let stored = cluster.psql_in("clinic", &sql).unwrap();
        let stored: Vec<&str> = stored.lines().collect();
        assert_eq!(shown.len(), stored.len());
        let mut update = format!("UPDATE clinic.{table} SET {column} = v.token FROM (VALUES (0, NULL)");
        let (mut of_value, mut of_token) = (BTreeMap::new(), BTreeMap::new());
        for (shown, stored) in shown.iter().zip(stored) {
            let ((id, token), (own, value)) = (shown.split_once('|').unwrap(), stored.split_once('|').unwrap());
            assert_eq!(id, own);
            assert_eq!(token == "NULL", value.is_empty(), "what is missing stays missing");
            if token != "NULL" {
                assert!(token.starts_with(&format!("phi_{column}_")), "{token}");
                assert_eq!(*of_value.entry(value).or_insert(token), token, "one value, two tokens");
                assert_eq!(*of_token.entry(token).or_insert(value), value, "one token, two values");
                write!(update, ", ({id}, '{token}')").unwrap();
            }
        }
        update += &format!(") AS v (id, token) WHERE v.id = {table}.id");
        cluster.psql_in(MASKED, &update).unwrap();
    }
    cluster.psql_in(MASKED, "VACUUM ANALYZE").unwrap();
}

/// One line of the table.
#[derive(Default, Clone)]
struct Tally {
    statements: usize,
    answered: usize,
    refused: usize,
    failed: usize,
    /// Answered as without masks.
    unchanged: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clinical_workload_is_answered_and_rightly() {
    let start = Instant::now();
    let only = std::env::var("ONLY").ok();
    let all = cases();
    let cluster = Arc::new(cluster());
    let mut gateway = gateway(&cluster);
    tokens(&cluster, &gateway).await;
    let port = cluster.port();
    let release = cluster.psql("SHOW server_version_num").unwrap().parse::<u32>().unwrap() / 10_000;
    let mut direct = Agent::new(Place::Direct { port, database: "clinic" });
    let mut copy = Agent::new(Place::Direct { port, database: MASKED });
    let mut agent = Agent::new(Place::Gateway(&gateway));
    let (mut themes, mut total): (BTreeMap<&str, Tally>, Tally) = Default::default();
    let mut rules: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut broken, mut wrong, mut empty, mut incomparable) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for case in all.iter().filter(|case| only.as_ref().is_none_or(|only| case.name.contains(only))) {
        let name = format!("{}: {}", case.theme, case.name);
        if case.since > release {
            println!("skipped: {name}: PostgreSQL {release} does not have what came with {}", case.since);
            continue;
        }
        let (plain, expected) = match (direct.ask(case).await, copy.ask(case).await) {
            (Outcome::Answered(plain), Outcome::Answered(expected)) => (plain, expected),
            (Outcome::Failed(error), _) => {
                broken.push(format!("{name}: {error}"));
                continue;
            }
            (_, Outcome::Failed(error)) => {
                broken.push(format!("{name}: on the masked copy: {error}"));
                continue;
            }
            _ => unreachable!("a database refuses nothing by rule"),
        };
        if plain.iter().all(|answer| answer.rows.is_empty()) {
            empty.push(name.clone());
        }
        let outcome = agent.ask(case).await;
        let tally = themes.entry(&case.theme).or_default();
        tally.statements += 1;
        match outcome {
            Outcome::Answered(answers) => {
                tally.answered += 1;
                tally.unchanged += usize::from(difference(case, &answers, &plain).is_none());
                if std::env::var_os("SHOW").is_some() {
                    for answer in &answers {
                        println!("{name} | {} | {}\n{}", answer.tag, answer.columns.join("|"), answer.rows.join("\n"));
                    }
                }
                match (&case.incomparable, difference(case, &answers, &expected)) {
                    (Some(reason), _) => incomparable.push(format!("{name}: {reason}")),
                    (None, Some(difference)) => wrong.push(format!("{name}: {difference}")),
                    (None, None) if case.steps.len() == 1 && case.parameters.is_none() => {
                        let again = match agent.ask_by(case, Some(&[])).await {
                            Outcome::Answered(again) => difference(case, &again, &answers),
                            Outcome::Refused { about, .. } | Outcome::Failed(about) => Some(about),
                        };
                        wrong.extend(again.map(|what| format!("{name}: by the extended protocol {what}")));
                    }
                    (None, None) => {}
                }
            }
            Outcome::Refused { rule, about } => {
                tally.refused += 1;
                rules.entry(rule).or_default().push(format!("{name}: {about}"));
            }
            Outcome::Failed(error) => {
                tally.failed += 1;
                rules.entry("no rule".into()).or_default().push(format!("{name}: {error}"));
            }
        }
    }
    println!("{:<16} statements  answered  refused  failed  as without masks", "theme");
    let line = |name: &str, of: &Tally| {
        println!(
            "{name:<16} {:>10} {:>9} {:>8} {:>7} {:>17}",
            of.statements, of.answered, of.refused, of.failed, of.unchanged
        );
    };
    for (theme, tally) in &themes {
        line(theme, tally);
        total.statements += tally.statements;
        total.answered += tally.answered;
        total.refused += tally.refused;
        total.failed += tally.failed;
        total.unchanged += tally.unchanged;
    }
    line("all", &total);
    let share = 100.0 * total.answered as f64 / total.statements as f64;
    println!("{share:.1} % answered; {:.1} s", start.elapsed().as_secs_f64());
    for (rule, cases) in &rules {
        println!("{rule}: {}\n  {}", cases.len(), cases.join("\n  "));
    }
    println!("not compared: {}\n  {}", incomparable.len(), incomparable.join("\n  "));
    println!("no rows: {}\n  {}", empty.len(), empty.join("\n  "));
    drop(agent);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
    assert!(broken.is_empty(), "{} fail without Chaperone:\n{}", broken.len(), broken.join("\n"));
    assert!(wrong.is_empty(), "{} answers are not those of the masked copy:\n{}", wrong.len(), wrong.join("\n"));
    if only.is_none() {
        assert!(all.len() >= STATEMENTS, "{} statements", all.len());
        assert!(empty.len() * 100 <= (100 - WITH_ROWS) * total.statements, "{} return nothing", empty.len());
        assert!(total.answered * 100 >= ANSWERED * total.statements, "{share:.1} % answered");
    }
}
