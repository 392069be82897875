//! Who owns what sessions made to stay: a role that can do nothing besides.
//!
//! Code runs with the rights of its owner (`SECURITY DEFINER`, a view, an index on an expression). Were the owner the
//! minter, an agent would write a function, come back, and be one that can make roles and read every column.

use crate::upstream::{Control, UpstreamError};

/// Makes it where there is none, and lets it own something in the schemas where sessions may make something.
pub(super) async fn ready(control: &mut Control, keeper: &str) -> Result<(), UpstreamError> {
    let known = control.query(&format!("SELECT '' FROM pg_catalog.pg_roles WHERE rolname = '{keeper}'")).await?;
    if known.is_empty() {
        match control.query(&format!("CREATE ROLE {keeper} NOLOGIN ROLE CURRENT_USER")).await {
            // duplicate_object: another of our connections was faster
            Err(UpstreamError::Server { code, .. }) if code == "42710" => {}
            other => drop(other?),
        }
    }
    let grants = format!(
        "SELECT pg_catalog.format('GRANT USAGE, CREATE ON SCHEMA %I TO {keeper}', n.nspname) \
         FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
         AND pg_catalog.has_schema_privilege(n.oid, 'CREATE WITH GRANT OPTION') \
         AND pg_catalog.has_schema_privilege(n.oid, 'USAGE WITH GRANT OPTION') \
         AND NOT pg_catalog.has_schema_privilege('{keeper}', n.oid, 'CREATE')"
    );
    for grant in control.query(&grants).await?.into_iter().flatten().flatten() {
        control.query(&grant).await?;
    }
    Ok(())
}
