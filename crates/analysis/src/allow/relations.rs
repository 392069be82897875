//! The server's own relations that a session on protected data may read.
//!
//! They hold definitions, not data. What is not listed is refused: `pg_stats`, `pg_statistic`, `pg_largeobject`,
//! `pg_stat_activity`, `pg_authid`, `pg_user_mapping`, `pg_db_role_setting` and their like. Of what is listed, four kinds
//! of columns are redacted by the very mechanism that masks protected tables:
//! - **data and how much of it there is**: `attmissingval` is a value of every old row, `relpages` and `reltuples` count
//!   pages and rows, `last_value` of a sequence counts what was ever inserted;
//! - **bounds of partitions**, which are values of the key (R8);
//! - **code**: the body of a function can hold anything, and nobody needs it to read a schema;
//! - **credentials and addresses** of other servers, files and roles' settings.
//!
//! Who may do what (`relacl`) and the texts of defaults, checks, views and predicates of indexes are the schema's own
//! words, and shown: `pg_get_indexdef` and `information_schema.views` say the same. `docs/limits.md` says so, and
//! `chaperone check` names predicates that hold a value.

use crate::settings;

/// A relation of the server that may be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CatalogRelation {
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    /// Columns that show none of what they hold.
    pub(crate) redacted: &'static [&'static str],
}

impl CatalogRelation {
    /// What to add to the query that stands for it, so that it has only the rows that may be seen.
    pub(crate) fn rows(&self) -> String {
        // the keys of tokens are settings, and so are passwords of replication: those that `SHOW` may name, then
        if (self.schema, self.name) != ("pg_catalog", "pg_settings") {
            return String::new();
        }
        let names: Vec<&str> = settings::all_readable().collect();
        format!(
            " WHERE pg_catalog.lower(name) OPERATOR(pg_catalog.=) ANY ('{{{}}}'::pg_catalog.text[])",
            names.join(",")
        )
    }
}

const fn server(name: &'static str, redacted: &'static [&'static str]) -> CatalogRelation {
    CatalogRelation { schema: "pg_catalog", name, redacted }
}

const fn standard(name: &'static str, redacted: &'static [&'static str]) -> CatalogRelation {
    CatalogRelation { schema: "information_schema", name, redacted }
}

#[rustfmt::skip]
const RELATIONS: &[CatalogRelation] = &[
    // relations, columns, indexes
    server("pg_class", &["relfilenode", "relpages", "reltuples", "relallvisible", "relallfrozen", "relfrozenxid",
        "relminmxid", "relpartbound"]),
    server("pg_attribute", &["attmissingval", "attstattarget", "attfdwoptions"]),
    server("pg_attrdef", &[]),
    server("pg_index", &[]),
    server("pg_inherits", &[]),
    server("pg_partitioned_table", &[]),
    server("pg_constraint", &[]),
    server("pg_sequence", &[]),
    server("pg_statistic_ext", &[]),
    server("pg_am", &[]),
    server("pg_amop", &[]),
    server("pg_amproc", &[]),
    server("pg_opclass", &[]),
    server("pg_opfamily", &[]),
    server("pg_tables", &[]),
    server("pg_views", &[]),
    server("pg_matviews", &[]),
    server("pg_indexes", &[]),
    server("pg_sequences", &["last_value"]),
    // types, functions, operators
    server("pg_type", &[]),
    server("pg_enum", &[]),
    server("pg_range", &[]),
    server("pg_cast", &[]),
    server("pg_collation", &[]),
    server("pg_conversion", &[]),
    server("pg_proc", &["prosrc", "probin", "prosqlbody"]),
    server("pg_aggregate", &[]),
    server("pg_operator", &[]),
    server("pg_language", &[]),
    server("pg_transform", &[]),
    server("pg_ts_config", &[]),
    server("pg_ts_config_map", &[]),
    server("pg_ts_dict", &["dictinitoption"]),
    server("pg_ts_parser", &[]),
    server("pg_ts_template", &[]),
    // rules, triggers, policies
    server("pg_rewrite", &[]),
    server("pg_rules", &[]),
    server("pg_trigger", &[]),
    server("pg_event_trigger", &[]),
    server("pg_policy", &[]),
    server("pg_policies", &[]),
    // schemas, databases, roles
    server("pg_namespace", &[]),
    server("pg_database", &["datfrozenxid", "datminmxid", "datlastsysoid"]),
    server("pg_tablespace", &["spcoptions"]),
    server("pg_roles", &["rolpassword", "rolconfig"]),
    server("pg_user", &["passwd", "useconfig"]),
    server("pg_group", &[]),
    server("pg_auth_members", &[]),
    server("pg_default_acl", &[]),
    server("pg_init_privs", &[]),
    server("pg_settings", &["sourcefile", "sourceline"]),
    // dependencies, comments, extensions
    server("pg_depend", &[]),
    server("pg_shdepend", &[]),
    server("pg_description", &[]),
    server("pg_shdescription", &[]),
    server("pg_extension", &["extconfig", "extcondition"]),
    server("pg_available_extensions", &[]),
    server("pg_available_extension_versions", &[]),
    server("pg_timezone_abbrevs", &[]),
    server("pg_timezone_names", &[]),
    // other servers
    server("pg_foreign_data_wrapper", &["fdwoptions"]),
    server("pg_foreign_server", &["srvoptions"]),
    server("pg_foreign_table", &["ftoptions"]),
    server("pg_user_mappings", &["umoptions"]),
    server("pg_publication", &[]),
    server("pg_publication_rel", &[]),
    server("pg_publication_namespace", &[]),
    server("pg_publication_tables", &[]),
    // the standard's own view of all that, filtered by the role's privileges
    standard("administrable_role_authorizations", &[]),
    standard("applicable_roles", &[]),
    standard("attributes", &[]),
    standard("character_sets", &[]),
    standard("check_constraint_routine_usage", &[]),
    standard("check_constraints", &[]),
    standard("collation_character_set_applicability", &[]),
    standard("collations", &[]),
    standard("column_column_usage", &[]),
    standard("column_domain_usage", &[]),
    standard("column_privileges", &[]),
    standard("column_udt_usage", &[]),
    standard("columns", &[]),
    standard("constraint_column_usage", &[]),
    standard("constraint_table_usage", &[]),
    standard("data_type_privileges", &[]),
    standard("domain_constraints", &[]),
    standard("domain_udt_usage", &[]),
    standard("domains", &[]),
    standard("element_types", &[]),
    standard("enabled_roles", &[]),
    standard("information_schema_catalog_name", &[]),
    standard("key_column_usage", &[]),
    standard("parameters", &[]),
    standard("referential_constraints", &[]),
    standard("role_column_grants", &[]),
    standard("role_routine_grants", &[]),
    standard("role_table_grants", &[]),
    standard("role_udt_grants", &[]),
    standard("role_usage_grants", &[]),
    standard("routine_privileges", &[]),
    standard("routines", &["routine_definition"]),
    standard("schemata", &[]),
    standard("sequences", &[]),
    standard("sql_features", &[]),
    standard("sql_implementation_info", &[]),
    standard("sql_parts", &[]),
    standard("sql_sizing", &[]),
    standard("table_constraints", &[]),
    standard("table_privileges", &[]),
    standard("tables", &[]),
    standard("triggered_update_columns", &[]),
    standard("triggers", &[]),
    standard("udt_privileges", &[]),
    standard("usage_privileges", &[]),
    standard("user_defined_types", &[]),
    standard("view_column_usage", &[]),
    standard("view_routine_usage", &[]),
    standard("view_table_usage", &[]),
    standard("views", &[]),
];

/// The entry of a relation that may be read.
pub(crate) fn catalog_relation(schema: &str, name: &str) -> Option<&'static CatalogRelation> {
    RELATIONS.iter().find(|relation| relation.schema == schema && relation.name == name)
}
