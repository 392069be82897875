//! `chaperone credentials`: what an administrator of the database has to grant.

use anyhow::{Context, Result, bail};
use chaperone_engine::minter;

use crate::cli::ScriptArguments;
use crate::config::{Config, Credential};
use crate::resolve;

/// Prints the SQL that makes the minting role of a connection.
pub fn script(arguments: &ScriptArguments) -> Result<()> {
    let (mut config, _) = Config::read(&arguments.config)?;
    let name = &arguments.connection;
    let Some(raw) = config.connections.remove(name) else {
        let known: Vec<&str> = config.connections.keys().map(String::as_str).collect();
        bail!("there is no connection `{name}`; there is {}", known.join(", "));
    };
    if !matches!(raw.credential, Credential::Ephemeral { .. }) {
        bail!(
            "the sessions of `{name}` have no roles of their own: write `credential: {{ ephemeral: {{ minter: {{ file: FILE }} }} }}`, \
             the file with a role and its password on a line each"
        );
    }
    let connection = resolve::connection(name, raw, None).with_context(|| format!("connection `{name}`"))?;
    let credential = crate::serve::runtime()?
        .block_on(connection.credential.resolve())
        .with_context(|| format!("the minter of connection `{name}`"))?;
    let classified = connection.classified();
    let tables = classified.tables().map(|tables| &**tables);
    print!("{}", minter::script(&credential.user, &connection.target.database, tables));
    Ok(())
}
