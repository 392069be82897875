//! The server's own relations that a session on protected data may read.
//!
//! They hold definitions, not data. The few columns that do hold data or sizes are redacted by the very mechanism
//! that masks protected tables. What is not listed is refused: `pg_stats`, `pg_statistic`, `pg_largeobject`,
//! `pg_stat_activity`, `pg_settings`, `pg_authid` and their like.

/// A relation of the server that may be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CatalogRelation {
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    /// Columns that show data, or how much of it there is.
    pub(crate) redacted: &'static [&'static str],
}

const fn open(schema: &'static str, name: &'static str) -> CatalogRelation {
    CatalogRelation { schema, name, redacted: &[] }
}

const RELATIONS: &[CatalogRelation] = &[
    CatalogRelation {
        schema: "pg_catalog",
        name: "pg_class",
        redacted: &[
            "relfilenode",
            "relpages",
            "reltuples",
            "relallvisible",
            "relallfrozen",
            "relfrozenxid",
            "relminmxid",
            "relpartbound",
            "relacl",
        ],
    },
    CatalogRelation {
        schema: "pg_catalog",
        name: "pg_attribute",
        redacted: &["attmissingval", "attstattarget", "attacl"],
    },
    CatalogRelation { schema: "pg_catalog", name: "pg_index", redacted: &["indpred"] },
    CatalogRelation { schema: "pg_catalog", name: "pg_type", redacted: &["typacl"] },
    CatalogRelation { schema: "pg_catalog", name: "pg_namespace", redacted: &["nspacl"] },
    CatalogRelation {
        schema: "pg_catalog",
        name: "pg_database",
        redacted: &["datfrozenxid", "datminmxid", "datacl", "datlastsysoid"],
    },
    CatalogRelation { schema: "pg_catalog", name: "pg_proc", redacted: &["prosrc", "probin", "prosqlbody", "proacl"] },
    CatalogRelation { schema: "pg_catalog", name: "pg_roles", redacted: &["rolpassword", "rolconfig"] },
    CatalogRelation { schema: "pg_catalog", name: "pg_trigger", redacted: &["tgargs", "tgqual"] },
    CatalogRelation { schema: "pg_catalog", name: "pg_extension", redacted: &["extconfig", "extcondition"] },
    open("pg_catalog", "pg_aggregate"),
    open("pg_catalog", "pg_am"),
    open("pg_catalog", "pg_attrdef"),
    open("pg_catalog", "pg_cast"),
    open("pg_catalog", "pg_collation"),
    open("pg_catalog", "pg_constraint"),
    open("pg_catalog", "pg_depend"),
    open("pg_catalog", "pg_description"),
    open("pg_catalog", "pg_enum"),
    open("pg_catalog", "pg_inherits"),
    CatalogRelation { schema: "pg_catalog", name: "pg_language", redacted: &["lanacl"] },
    open("pg_catalog", "pg_opclass"),
    open("pg_catalog", "pg_operator"),
    open("pg_catalog", "pg_partitioned_table"),
    open("pg_catalog", "pg_policy"),
    open("pg_catalog", "pg_publication"),
    open("pg_catalog", "pg_publication_rel"),
    open("pg_catalog", "pg_publication_namespace"),
    open("pg_catalog", "pg_range"),
    open("pg_catalog", "pg_rewrite"),
    open("pg_catalog", "pg_shdescription"),
    open("pg_catalog", "pg_statistic_ext"),
    open("pg_catalog", "pg_tables"),
    open("pg_catalog", "pg_views"),
    CatalogRelation { schema: "pg_catalog", name: "pg_tablespace", redacted: &["spcacl", "spcoptions"] },
    open("information_schema", "schemata"),
    open("information_schema", "tables"),
    open("information_schema", "columns"),
    open("information_schema", "views"),
    open("information_schema", "table_constraints"),
    open("information_schema", "key_column_usage"),
    open("information_schema", "constraint_column_usage"),
    open("information_schema", "constraint_table_usage"),
    open("information_schema", "referential_constraints"),
    open("information_schema", "check_constraints"),
    open("information_schema", "element_types"),
    open("information_schema", "domains"),
    open("information_schema", "character_sets"),
    open("information_schema", "collations"),
    open("information_schema", "table_privileges"),
    open("information_schema", "column_privileges"),
    open("information_schema", "role_table_grants"),
    open("information_schema", "information_schema_catalog_name"),
];

/// The entry of a relation that may be read.
pub(crate) fn catalog_relation(schema: &str, name: &str) -> Option<&'static CatalogRelation> {
    RELATIONS.iter().find(|relation| relation.schema == schema && relation.name == name)
}
