//! Types, by name in `pg_catalog`.

/// Types that a statement may name: input, output and casts of all of them compute on the value alone, or look up a
/// name in the catalog. Array types are named through their elements.
#[rustfmt::skip]
pub(crate) const TYPES: [&str; 72] = [
    "aclitem", "bit", "bool", "box", "bpchar", "bytea", "char", "cid", "cidr", "circle", "date", "datemultirange",
    "daterange", "float4", "float8", "inet", "int2", "int2vector", "int4", "int4multirange", "int4range", "int8",
    "int8multirange", "int8range", "interval", "json", "jsonb", "jsonpath", "line", "lseg", "macaddr", "macaddr8",
    "money", "name", "numeric", "nummultirange", "numrange", "oid", "oidvector", "path", "pg_lsn", "point", "polygon",
    "record", "regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator",
    "regproc", "regprocedure", "regrole", "regtype", "text", "tid", "time", "timestamp", "timestamptz", "timetz",
    "tsmultirange", "tsquery", "tsrange", "tstzmultirange", "tstzrange", "tsvector", "uuid", "varbit", "varchar", "xid",
    "xid8",
];

/// System columns (PostgreSQL manual, 5.5). They show where a row lies and when it was written.
pub(crate) const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];
