//! `chaperone discover`: a classification to start from, or what is new since somebody made one.
//!
//! What a person decides on goes to standard output or a file; what is said about it goes to standard error.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chaperone_analysis::discover::{
    About, Confidence, Existing, Merged, Proposal, QUERIES, Snapshot, merge, propose_with,
};
use chaperone_engine::Connection;
use chaperone_engine::upstream::{self, Control, OpenLimits};
use chaperone_model::{Class, Subject, TableName};

use crate::cli::{DiscoverArguments, ProposalFormat};
use crate::config::{Classes, Config, Phi};
use crate::resolve;

/// How long each query of the catalog may take: nobody waits for it but the one who asked.
const QUERY_TIME: Duration = Duration::from_secs(300);

/// Schemas with at least this many tables take long enough to say how far it is.
const MANY: usize = 500;

/// Tables that are named in the summary.
const NAMED: usize = 20;

/// Reads definitions, proposes, writes, and sums up.
pub fn run(arguments: &DiscoverArguments) -> Result<()> {
    if arguments.merge.is_some() && arguments.format == ProposalFormat::Json {
        bail!("`--merge` edits a classification, which is YAML: leave out `--format json`");
    }
    let target = arguments.out.as_deref();
    if let Some(out) = target
        && out.exists()
        && arguments.merge.as_deref().is_none_or(|merge| !same_file(out, merge))
    {
        bail!("`{}` exists: give it to `--merge` too, so that what is in it is kept", out.display());
    }
    // a file that cannot be merged with should be known before the database is asked
    let existing = arguments.merge.as_deref().map(read).transpose()?;
    let connection = connection(arguments)?;
    let snapshot = crate::serve::runtime()?.block_on(snapshot(&connection))?;
    let mut proposal = propose_with(&snapshot, progress);
    if !arguments.schema.is_empty() {
        for schema in &arguments.schema {
            if !proposal.tables.iter().any(|table| table.table.schema == *schema) {
                bail!("schema `{}` has no table, or does not exist", schema.escape_debug());
            }
        }
        proposal = proposal.of_schemas(&arguments.schema);
    }
    if proposal.tables.is_empty() {
        bail!("the database of `{}` has no table outside the system's own schemas", connection.name);
    }
    let (text, merged) = match (existing, arguments.format) {
        (Some((path, text, existing)), _) => {
            let merged = merged(&text, existing, &proposal, &arguments.schema)
                .with_context(|| format!("`{}`", path.display()))?;
            (merged.text.clone(), Some(merged))
        }
        (None, ProposalFormat::Yaml) => (proposal.write(), None),
        (None, ProposalFormat::Json) => (serde_json::to_string_pretty(&proposal)? + "\n", None),
    };
    if merged.is_none() && arguments.format == ProposalFormat::Yaml {
        says(&text, &expected(Existing::new(), &proposal, None))?;
    }
    match target {
        Some(path) => replace(path, &text)?,
        None => std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?,
    }
    sum_up(&proposal, merged.as_ref());
    Ok(())
}

/// The connection, whatever its configuration says about protected data: that is what is to be found out.
fn connection(arguments: &DiscoverArguments) -> Result<Connection> {
    let (mut config, _) = Config::read(&arguments.config)?;
    let name = &arguments.connection;
    let Some(mut raw) = config.connections.remove(name) else {
        let known: Vec<&str> = config.connections.keys().map(String::as_str).collect();
        bail!("there is no connection `{name}`; there is {}", known.join(", "));
    };
    raw.classification = None;
    raw.phi = Some(Phi::None);
    raw.tokens = None;
    resolve::connection(name, raw, None).with_context(|| format!("connection `{name}`"))
}

/// Asks for definitions, all as of one instant, in a transaction that cannot write.
async fn snapshot(connection: &Connection) -> Result<Snapshot> {
    let failed = || format!("the database of `{}` cannot be asked for its definitions", connection.name);
    let credential = connection.credential.resolve().await.with_context(failed)?;
    let parameters = [("application_name", "chaperone discover"), ("client_encoding", "UTF8")];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let opened = upstream::open(&connection.target, &credential, &parameters, &OpenLimits::default())
        .await
        .with_context(failed)?;
    let mut control = Control::new(opened, QUERY_TIME);
    control.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.with_context(failed)?;
    let mut answers = Vec::with_capacity(QUERIES.len());
    for query in QUERIES {
        answers.push(control.query(query).await.with_context(failed)?);
    }
    control.close().await;
    Ok(Snapshot::load(&answers)?)
}

fn progress(done: usize, of: usize) {
    if of >= MANY && (done.is_multiple_of(MANY) || done == of) {
        eprintln!("{done} of {of} tables");
    }
}

/// A classification that exists: where, as written, and as read.
fn read(path: &Path) -> Result<(PathBuf, String, Existing)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let classes = parse(&text).with_context(|| format!("`{}`", path.display()))?;
    Ok((path.to_owned(), text, classes))
}

fn parse(text: &str) -> Result<Existing> {
    let classes: Classes = serde_saphyr::from_str(text).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(classes.tables)
}

/// Edits the text, then reads it again: it must say what it said, and what was added.
fn merged(text: &str, existing: Existing, proposal: &Proposal, schemas: &[String]) -> Result<Merged> {
    let asked: Existing = existing
        .iter()
        .filter(|(table, _)| schemas.is_empty() || schemas.contains(&table.schema))
        .map(|(table, classes)| (table.clone(), classes.clone()))
        .collect();
    let merged = merge(text, &asked, proposal)?;
    says(&merged.text, &expected(existing, proposal, Some(&merged.added)))?;
    Ok(merged)
}

/// What a file must say: what it said, and `unknown` for what was added; for a new file, what is proposed.
fn expected(mut before: Existing, proposal: &Proposal, added: Option<&[(TableName, Vec<String>)]>) -> Existing {
    for table in proposal.tables.iter().filter(|table| table.is_writable()) {
        let columns = match added {
            None => None,
            Some(added) => match added.iter().find(|(name, _)| *name == table.table) {
                Some((_, columns)) => Some(columns),
                None => continue,
            },
        };
        let is_new = !before.contains_key(&table.table);
        let classes = before.entry(table.table.clone()).or_default();
        if is_new {
            classes.subject = table.subject.clone().map(Subject::Column);
        }
        for column in table.columns.iter().filter(|column| columns.is_none_or(|new| new.contains(&column.name))) {
            let class = if added.is_some() { Class::Unknown } else { column.class };
            classes.columns.entry(column.name.clone()).or_insert(class);
        }
    }
    before
}

/// Reads a text that is about to be written.
fn says(text: &str, expected: &Existing) -> Result<()> {
    match parse(text) {
        Ok(said) if said == *expected => Ok(()),
        _ => bail!("the text would not say what it should, so nothing is written; report this as a fault of chaperone"),
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Writes beside the file and renames: whoever reads it, and a gateway that watches it, sees the old text or the new.
fn replace(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("cannot write `{}`", path.display());
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = std::fs::File::create_new(&beside)
        .with_context(|| format!("cannot make `{}`; is it left from another run?", beside.display()))?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| {
        // who may read it stays as it was
        match std::fs::metadata(path) {
            Ok(old) => std::fs::set_permissions(&beside, old.permissions()),
            Err(_) => Ok(()),
        }
    });
    let replaced = written.and_then(|()| std::fs::rename(&beside, path)).with_context(failed);
    if replaced.is_err() {
        // nothing more can be done about it
        let _ = std::fs::remove_file(&beside);
    }
    replaced
}

/// Counts, and what a person should look at. Names are written so that a terminal does nothing with them.
fn sum_up(proposal: &Proposal, merged: Option<&Merged>) {
    let columns: usize = proposal.tables.iter().map(|table| table.columns.len()).sum();
    eprintln!("{} tables and views with {columns} columns; no row was read", proposal.tables.len());
    let mut counts: BTreeMap<Class, [usize; 3]> = BTreeMap::new();
    for column in proposal.tables.iter().flat_map(|table| &table.columns) {
        let [high, medium, low] = counts.entry(column.class).or_default();
        *match column.confidence {
            Confidence::High => high,
            Confidence::Medium => medium,
            Confidence::Low => low,
        } += 1;
    }
    eprintln!("  {:<14} {:>6} {:>6} {:>6}", "class", "high", "medium", "low");
    for (class, [high, medium, low]) in counts {
        eprintln!("  {:<14} {high:>6} {medium:>6} {low:>6}", class.name());
    }
    let about = |about: About| {
        let tables = proposal.tables.iter().filter(move |table| table.about == about && !table.is_view);
        tables.map(|table| table.table.clone()).collect::<Vec<_>>()
    };
    list("a row for each patient", &about(About::Patient));
    list("about no person", &about(About::NoPerson));
    list("not linked to patients by any key, and treated as if they were", &about(About::Unsure));
    let unwritable = proposal.tables.iter().filter(|table| !table.is_writable()).map(|table| table.table.clone());
    list("left out: a name has a dot in it, or there are no columns", &unwritable.collect::<Vec<_>>());
    let Some(merged) = merged else { return };
    let count: usize = merged.added.iter().map(|(_, columns)| columns.len()).sum();
    eprintln!("added {count} columns of {} tables; nothing that was there was changed", merged.added.len());
    list("in the file, not in the database: tables", &merged.gone_tables);
    let columns = merged.gone_columns.iter().map(|(table, column)| format!("{table}.{column}"));
    list("in the file, not in the database: columns", &columns.collect::<Vec<_>>());
    let subjects = merged.subjects.iter().map(|(table, column)| format!("{table}: {column}"));
    list("tables of the file without a `subject`, and the column that may be it", &subjects.collect::<Vec<_>>());
}

fn list(what: &str, names: &[impl std::fmt::Display]) {
    if names.is_empty() {
        return;
    }
    eprintln!("{what} ({}):", names.len());
    for name in names.iter().take(NAMED) {
        eprintln!("  {}", name.to_string().escape_debug());
    }
    if names.len() > NAMED {
        eprintln!("  and {} more", names.len() - NAMED);
    }
}
