//! `chaperone explain`: what would become of a statement, and why; nothing is run.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use chaperone_engine::explain::{ExplainError, Explanation, Seen};
use chaperone_evidence::{Statement, Verdict};
use chaperone_mask::Profile;
use chaperone_model::{Principal, Refusal};
use serde_json::json;

use crate::check::shown;
use crate::cli::{ExplainArguments, Format};
use crate::config::Config;
use crate::resolve::{self, Resolved};

/// The largest text that is read, in bytes; a session's limit is larger, but nobody explains that much.
const LARGEST: u64 = 16 << 20;

/// Explains; 0 where the statement would run, 1 where it would be refused.
pub fn run(arguments: &ExplainArguments) -> Result<ExitCode> {
    let (mut config, text) = Config::read(&arguments.config)?;
    if let Some(folder) = &arguments.policies {
        config.policies.clone_from(folder);
    }
    if let Some(file) = &arguments.classification {
        let Some(connection) = config.connections.get_mut(&arguments.connection) else {
            bail!("there is no connection `{}` in the configuration", arguments.connection);
        };
        if connection.phi.is_some() {
            bail!("connection `{}` declares no protected data, so no classification applies", arguments.connection);
        }
        connection.classification = Some(file.clone());
    }
    let resolved = resolve::resolve(config, &text)?;
    let statement = statement(arguments)?;
    crate::serve::runtime()?.block_on(async {
        let principal = principal(arguments, &resolved).await?;
        let policies = Arc::new(resolved.policies);
        let Some(connection) = resolved.connections.into_iter().find(|c| c.name == arguments.connection) else {
            bail!("there is no connection `{}` in the configuration", arguments.connection);
        };
        let who = who(&principal);
        let explained = match Arc::new(connection).explain(policies, principal, &statement).await {
            Ok(explained) => explained,
            Err(ExplainError::Refused(refusal)) => {
                print_refused(arguments, &who, &refusal)?;
                return Ok(ExitCode::FAILURE);
            }
            Err(error) => return Err(error.into()),
        };
        match arguments.format {
            Format::Text => print_text(arguments, &who, &explained),
            Format::Json => print_json(arguments, &who, &explained)?,
        }
        Ok(if explained.runs.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

fn statement(arguments: &ExplainArguments) -> Result<String> {
    match (&arguments.sql, &arguments.file) {
        (Some(sql), None) => Ok(sql.clone()),
        (None, Some(path)) if path == Path::new("-") => {
            let mut text = String::new();
            std::io::stdin().take(LARGEST).read_to_string(&mut text).context("cannot read standard input")?;
            Ok(text)
        }
        (None, Some(path)) => read(path),
        _ => bail!("give the statement: `--sql TEXT`, or `--file FILE` (`-` is standard input)"),
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

async fn principal(arguments: &ExplainArguments, resolved: &Resolved) -> Result<Principal> {
    let principal = match (&arguments.claims, &arguments.token_file) {
        (Some(claims), None) => resolved.identity.imagine(&read(claims)?),
        (None, Some(token)) => resolved.identity.verify(read(token)?.trim()).await,
        _ => bail!("say who asks: `--claims FILE` with a token's claims as JSON, or `--token-file FILE`"),
    };
    principal.context("nobody would be let in with that")
}

/// agent `agent-1` of `corp` for `dr.lee`, groups `care-agents`
fn who(principal: &Principal) -> String {
    let mut who = format!("agent `{}` of issuer `{}`", principal.agent, principal.issuer);
    if let Some(person) = &principal.acts_for {
        who.push_str(&format!(", for `{person}`"));
    }
    if !principal.groups.is_empty() {
        who.push_str(&format!(", in groups `{}`", principal.groups.join("`, `")));
    }
    who
}

fn print_refused(arguments: &ExplainArguments, who: &str, refusal: &Refusal) -> Result<()> {
    match arguments.format {
        Format::Text => {
            println!("{}\nmay not connect to `{}`", shown(who), arguments.connection);
            print_refusal(refusal);
        }
        Format::Json => {
            let said = json!({ "principal": who, "connection": arguments.connection, "refused": refusal });
            println!("{}", serde_json::to_string_pretty(&said)?);
        }
    }
    Ok(())
}

fn print_refusal(refusal: &Refusal) {
    println!("  rule    {} ({})", refusal.rule, refusal.code.0);
    println!("  why     {}", shown(&refusal.message));
    println!("          {}", shown(&refusal.detail));
    println!("  do      {}", shown(&refusal.hint));
}

/// What the policies say; what masking says of the whole text comes at the end.
fn decision(statement: &Statement) -> String {
    let word = if statement.decision.verdict == Verdict::Allow { "allow" } else { "deny" };
    match &statement.decision.policies[..] {
        [] => word.to_owned(),
        policies => format!("{word} by `{}`", policies.join("`, `")),
    }
}

fn print_text(arguments: &ExplainArguments, who: &str, explained: &Explanation) {
    println!("{}", shown(who));
    println!("connects to `{}` by `{}`", arguments.connection, explained.connects_by.join("`, `"));
    println!("policies {}, classification {}", explained.policy_version, explained.classification_version);
    for statement in &explained.statements {
        println!("\nstatement {}", statement.id);
        if let Some(facts) = &statement.facts {
            let needs: Vec<String> = facts
                .needs
                .iter()
                .map(|need| match &need.table {
                    Some(table) => format!("{} on {table}", need.action.name()),
                    None => need.action.name().to_owned(),
                })
                .collect();
            println!("  kind    {}{}", facts.kind, if facts.has_where { ", with WHERE" } else { "" });
            if let Some(rows) = statement.estimated_rows {
                println!("  rows    the database expects {rows}, with everything redacted");
            }
            println!("  needs   {}", if needs.is_empty() { "connect".to_owned() } else { shown(&needs.join(", ")) });
        }
        println!("  policy  {}", decision(statement));
    }
    let seen = relevant(arguments, explained);
    if !seen.is_empty() {
        println!("\nwhat is seen of the columns{}", if arguments.all { "" } else { " of the tables it names" });
        let width = seen.iter().map(|seen| shown(&name(seen)).len()).max().unwrap_or(0);
        for one in seen {
            let filters = if one.may_filter { ", but may decide which rows are seen" } else { "" };
            println!("  {:width$}  {:<9} {}{filters}", shown(&name(one)), one.rung.name(), one.class.name());
        }
    }
    if !explained.masks.is_empty() {
        println!("\nwhat may be said of all that this principal sees on the connection (docs/masking.md)");
        for (profile, broken) in profiles(explained) {
            match &broken[..] {
                [] => println!("  {:<17} kept by every column's mask", profile.name()),
                broken => println!("  {:<17} not kept: {}", profile.name(), broken.join("; ")),
            }
        }
    }
    match &explained.runs {
        Ok(None) => println!("\nruns as it is"),
        Ok(Some(text)) => {
            println!("\nruns as");
            text.lines().for_each(|line| println!("{}", shown(line)));
        }
        Err(refusal) => {
            println!("\nis refused");
            print_refusal(refusal);
        }
    }
}

/// For each profile why it is not kept, once for each class and rung.
fn profiles(explained: &Explanation) -> Vec<(Profile, Vec<String>)> {
    let broken = |profile: Profile| {
        let violations = explained.masks.iter().filter_map(|seen| profile.attest(seen.class, seen.rung).err());
        let told: BTreeSet<String> = violations
            .map(|found| format!("`{}` as `{}` ({})", found.class.name(), found.rung.name(), found.paragraph))
            .collect();
        (profile, told.into_iter().collect())
    };
    Profile::ALL.into_iter().map(broken).collect()
}

fn name(seen: &Seen) -> String {
    format!("{}.{}", seen.table, seen.column)
}

/// The columns of the tables that the statements name, or all.
fn relevant<'e>(arguments: &ExplainArguments, explained: &'e Explanation) -> Vec<&'e Seen> {
    let named = |seen: &&Seen| {
        arguments.all
            || explained
                .statements
                .iter()
                .filter_map(|statement| statement.facts.as_ref())
                .flat_map(|facts| &facts.needs)
                .any(|need| need.table.as_ref() == Some(&seen.table))
    };
    explained.masks.iter().filter(named).collect()
}

fn print_json(arguments: &ExplainArguments, who: &str, explained: &Explanation) -> Result<()> {
    let masks: Vec<_> = relevant(arguments, explained)
        .into_iter()
        .map(|seen| json!({ "column": name(seen), "class": seen.class.name(), "rung": seen.rung.name(), "may_filter": seen.may_filter }))
        .collect();
    let (run, refused) = match &explained.runs {
        Ok(run) => (run.as_deref(), None),
        Err(refusal) => (None, Some(refusal)),
    };
    let all = json!({
        "principal": who,
        "connection": arguments.connection,
        "connects_by": explained.connects_by,
        "policy_version": explained.policy_version,
        "classification_version": explained.classification_version,
        "statements": explained.statements,
        "masks": masks,
        "profiles": profiles(explained).into_iter().map(|(profile, broken)| json!({
            "name": profile.name(),
            "kept": broken.is_empty(),
            "broken_by": broken,
        })).collect::<Vec<_>>(),
        "allowed": refused.is_none(),
        "runs_as": run,
        "refused": refused,
    });
    println!("{}", serde_json::to_string_pretty(&all)?);
    Ok(())
}
