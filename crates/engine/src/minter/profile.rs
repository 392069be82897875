//! Profiles: the roles that have the privileges, one for each set of masks, so that access lists do not grow with sessions.

use chaperone_mask::quoted;
use chaperone_model::TableName;

use super::{Making, MintError, Minter, Plan, control, reconcile};
use crate::connection::Connection;

/// What the minter can pass on (conditions run in any order, and the one about sequences raises for others): kind, schema, name, privileges, OID. What belongs to the server itself is everybody's already.
const PASSABLE: &str = "\
    SELECT 'database', '', pg_catalog.current_database(), pg_catalog.string_agg(p, ', ' ORDER BY p), '' \
    FROM pg_catalog.unnest('{CONNECT,TEMPORARY}'::pg_catalog.text[]) AS p \
    WHERE pg_catalog.has_database_privilege(pg_catalog.current_database(), p || ' WITH GRANT OPTION') \
    UNION ALL \
    SELECT 'schema', '', n.nspname, pg_catalog.string_agg(p, ', ' ORDER BY p), n.oid::pg_catalog.text \
    FROM pg_catalog.pg_namespace n, \
    pg_catalog.unnest('{USAGE,CREATE}'::pg_catalog.text[]) AS p \
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
    AND pg_catalog.has_schema_privilege(n.oid, p || ' WITH GRANT OPTION') GROUP BY n.oid, n.nspname \
    UNION ALL \
    SELECT 'table', n.nspname, c.relname, pg_catalog.string_agg(p, ', ' ORDER BY p), c.oid::pg_catalog.text \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, \
    pg_catalog.unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE}'::pg_catalog.text[]) AS p \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
    AND pg_catalog.has_table_privilege(c.oid, p || ' WITH GRANT OPTION') GROUP BY c.oid, n.nspname, c.relname \
    UNION ALL \
    SELECT 'sequence', n.nspname, c.relname, 'USAGE', c.oid::pg_catalog.text \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname !~ '^pg_' \
    AND CASE c.relkind WHEN 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'USAGE WITH GRANT OPTION') END \
    UNION ALL \
    SELECT CASE f.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, n.nspname, \
    pg_catalog.format('%I(%s)', f.proname, pg_catalog.pg_get_function_identity_arguments(f.oid)), 'EXECUTE', f.oid::pg_catalog.text \
    FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace \
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
    AND NOT pg_catalog.has_function_privilege('public', f.oid, 'EXECUTE') \
    AND pg_catalog.has_function_privilege(f.oid, 'EXECUTE WITH GRANT OPTION') \
    ORDER BY 1, 2, 3";

/// What is set for the minter's role is set for those that it makes: they are in its place. As startup parameters, which
/// `RESET` comes back to; so only what a role may set for itself.
const SETTINGS: &str = "\
    SELECT pg_catalog.split_part(c, '=', 1), pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1) \
    FROM pg_catalog.pg_db_role_setting r, pg_catalog.unnest(r.setconfig) AS c \
    WHERE r.setrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER) AND r.setdatabase IN \
    (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) \
    AND pg_catalog.split_part(c, '=', 1) IN (SELECT name FROM pg_catalog.pg_settings WHERE context = 'user') \
    ORDER BY r.setdatabase";

impl Minter {
    /// The profile of a plan, made where there is none.
    pub(super) async fn profile(
        &self,
        making: &mut Making,
        connection: &Connection,
        plan: &Plan,
    ) -> Result<String, MintError> {
        if let Some(name) = plan.profile().filter(|name| making.profiles.contains(name)) {
            return Ok(name);
        }
        if !making.swept {
            // what an earlier process made is not what this one would make, perhaps; its sessions are over
            for name in names(making.ask(connection, &reconcile::listed(&self.names.profiles())).await?) {
                let mut own = control(connection).await?;
                // one that has privileges in another database, where the connection led before, cannot be dropped from here
                if let Err(error) = reconcile::drop_profile(&mut own, &name, &self.names.keeper()).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(connection = connection.name, profile = name, error, "an old profile stays");
                }
                own.close().await;
            }
            making.swept = true;
        }
        making.settings = pairs(making.ask(connection, SETTINGS).await?);
        let privileges = privileges(making.ask(connection, PASSABLE).await?, plan);
        // a table or a column that was made again under the same name has no privileges yet: another profile
        let identity: Vec<String> = privileges.iter().map(|(what, object)| format!("{what} {object}")).collect();
        let name = self.names.profile(&identity.join("\n"));
        if !making.profiles.contains(&name) {
            let granted: String = privileges.iter().map(|(what, _)| format!("GRANT {what} TO {name}; ")).collect();
            // it is there if the answer to our making it was lost; nobody was given it
            let there = making.ask(connection, &reconcile::listed(&name.replace('_', r"\_"))).await?;
            let again =
                if there.is_empty() { String::new() } else { format!("DROP OWNED BY {name}; DROP ROLE {name}; ") };
            let sql = format!("BEGIN; {again}CREATE ROLE {name} NOLOGIN ROLE CURRENT_USER; {granted}COMMIT");
            making.ask(connection, &sql).await?;
            making.profiles.insert(name.clone());
        }
        plan.set_profile(Some(name.clone()));
        Ok(name)
    }
}

/// `SELECT (a) ON TABLE x.y`, and so on, each with the OID that it is about, and numbers of columns.
fn privileges(rows: Vec<Vec<Option<String>>>, plan: &Plan) -> Vec<(String, String)> {
    let mut privileges = Vec::new();
    for row in rows {
        let [Some(kind), Some(schema), Some(name), Some(passable), Some(oid)] = &row[..] else { continue };
        let object = match &**kind {
            "database" | "schema" => quoted(name),
            "function" | "procedure" => format!("{}.{name}", quoted(schema)),
            _ => format!("{}.{}", quoted(schema), quoted(name)),
        };
        let Some(tables) = &plan.tables else {
            privileges.push((format!("{passable} ON {kind} {object}"), oid.clone()));
            continue;
        };
        match &**kind {
            "table" => {
                let table = TableName { schema: schema.clone(), name: name.clone() };
                let Some(need) = tables.get(&table) else { continue };
                let columns: Vec<String> = need.read.values().map(|column| quoted(column)).collect();
                let reads = passable.split(", ").any(|privilege| privilege == "SELECT");
                if reads && !columns.is_empty() {
                    let numbers = need.read.keys();
                    let numbers = numbers.fold(oid.clone(), |all, number| format!("{all},{number}"));
                    privileges.push((format!("SELECT ({}) ON TABLE {object}", columns.join(", ")), numbers));
                }
                let writes: Vec<&str> = passable.split(", ").filter(|privilege| *privilege != "SELECT").collect();
                if !writes.is_empty() {
                    privileges.push((format!("{} ON TABLE {object}", writes.join(", ")), oid.clone()));
                }
            }
            // somebody's code could read for its owner
            "function" | "procedure" => {}
            _ => privileges.push((format!("{passable} ON {kind} {object}"), oid.clone())),
        }
    }
    privileges
}

fn pairs(rows: Vec<Vec<Option<String>>>) -> Vec<(String, String)> {
    let pair = |row: Vec<Option<String>>| match <[Option<String>; 2]>::try_from(row) {
        Ok([Some(name), Some(value)]) => Some((name, value)),
        _ => None,
    };
    rows.into_iter().filter_map(pair).collect()
}

/// The first column of an answer.
pub(super) fn names(rows: Vec<Vec<Option<String>>>) -> Vec<String> {
    rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
}
