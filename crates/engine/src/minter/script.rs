//! What an administrator grants to the role that makes the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use chaperone_mask::quoted;
use chaperone_model::{TableClasses, TableName};

/// SQL that makes the minting role with the least that it needs, for an administrator to read and run. Without tables (a
/// connection without protected data) it says what to grant in words.
pub fn script(minter: &str, database: &str, tables: Option<&BTreeMap<TableName, TableClasses>>) -> String {
    let minter = quoted(minter);
    let mut sql = format!(
        "-- The role by which Chaperone makes a role for each session. It can make roles, and pass on what is granted here,\n\
         -- and nothing else: no superuser, no owner of anything. Set its password with \\password.\n\
         CREATE ROLE {minter} LOGIN CREATEROLE;\n\
         GRANT CONNECT, TEMPORARY ON DATABASE {} TO {minter} WITH GRANT OPTION;\n",
        quoted(database)
    );
    let Some(tables) = tables else {
        // a String takes everything
        let _ = writeln!(
            sql,
            "-- Then, for each schema and table that agents may use at all:\n\
             --   GRANT USAGE ON SCHEMA … TO {minter} WITH GRANT OPTION;\n\
             --   GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE … TO {minter} WITH GRANT OPTION;"
        );
        return sql;
    };
    let schemas: BTreeSet<&str> = tables.keys().map(|table| &*table.schema).collect();
    for schema in schemas {
        let schema = quoted(schema);
        let _ = writeln!(
            sql,
            "GRANT USAGE ON SCHEMA {schema} TO {minter} WITH GRANT OPTION;\n\
             GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {minter} WITH GRANT OPTION;"
        );
    }
    for table in tables.keys() {
        let table = format!("{}.{}", quoted(&table.schema), quoted(&table.name));
        // what PUBLIC may read every role may
        let _ = writeln!(
            sql,
            "REVOKE ALL ON TABLE {table} FROM PUBLIC;\n\
             GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {table} TO {minter} WITH GRANT OPTION;"
        );
    }
    sql
}
