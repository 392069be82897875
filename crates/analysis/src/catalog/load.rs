//! Reading the catalog.

use std::collections::BTreeSet;

use chaperone_model::TableName;

use super::rows::rows;
use super::{Catalog, CatalogError, Column, Compared, Relation, Rows, UserType, View, extensions};
use crate::allow;

/// What to ask, in this order, each by itself; best in one `REPEATABLE READ` transaction of a connection of
/// Chaperone's own, so that the answers agree. Every value is wanted as text.
///
/// 0 server version and encoding · 1 search path · 2 relations · 3 columns · 4 indexes · 5 generated columns' sources · 6 types ·
/// 7 functions · 8 operators · 9 functions of one value · 10 casts · 11 inheritance · 12 views · 13 constraints ·
/// 14 triggers · 15 to 18 functions, operators, types and casts of extensions · 19 tables whose writes run code
pub const QUERIES: [&str; 20] = [
    "SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.getdatabaseencoding()",
    "SELECT s.name FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY AS s(name, n) ORDER BY s.n",
    // without those of any session's own, which nobody else can read: what a session made is known from what it sent
    "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relhasrules, c.relrowsecurity, \
     p.partattrs::pg_catalog.text, p.partexprs IS NOT NULL \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = c.oid \
     WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S') AND n.nspname <> 'pg_toast' AND c.relpersistence <> 't'",
    // a domain over a domain over … ends at its base type
    "WITH RECURSIVE base(oid, base) AS (\
       SELECT t.oid, t.oid FROM pg_catalog.pg_type t WHERE t.typtype <> 'd' \
       UNION ALL SELECT t.oid, base.base FROM pg_catalog.pg_type t JOIN base ON t.typbasetype = base.oid \
       WHERE t.typtype = 'd') \
     SELECT a.attrelid, a.attnum, a.attname, a.atttypid, t.oid, tn.nspname, t.typname, t.typtype, \
     coalesce(e.oid, 0), en.nspname, e.typname, a.attgenerated <> '', coalesce(l.collisdeterministic, true) \
     FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     JOIN base ON base.oid = a.atttypid JOIN pg_catalog.pg_type t ON t.oid = base.base \
     JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace \
     LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' \
     LEFT JOIN pg_catalog.pg_namespace en ON en.oid = e.typnamespace \
     WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname <> 'pg_toast' AND a.attnum > 0 AND NOT a.attisdropped \
     ORDER BY a.attrelid, a.attnum",
    "SELECT i.indrelid, i.indkey::pg_catalog.text, i.indisprimary FROM pg_catalog.pg_index i \
     JOIN pg_catalog.pg_class c ON c.oid = i.indrelid WHERE c.relkind IN ('r', 'p', 'm')",
    "SELECT DISTINCT d.adrelid, d.adnum, p.refobjsubid FROM pg_catalog.pg_attrdef d \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated <> '' \
     JOIN pg_catalog.pg_depend p ON p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
     AND p.refobjid = d.adrelid AND p.refobjsubid > 0 \
     AND ((p.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND p.objid = d.oid) \
       OR (p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND p.objid = d.adrelid AND p.objsubid = d.adnum))",
    "SELECT t.oid, n.nspname, t.typname, t.typtype FROM pg_catalog.pg_type t \
     JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname NOT IN ('pg_catalog', 'pg_toast') \
     AND n.nspname !~ '^pg_(toast_)?temp_'",
    // in pg_catalog too, where it is no code in C of an extension: it could be meant by any name of the server's own
    "SELECT DISTINCT n.nspname, p.proname FROM pg_catalog.pg_proc p \
     JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
     WHERE n.nspname <> 'pg_catalog' OR (p.oid >= 16384 AND NOT (l.lanname = 'c' AND EXISTS (\
       SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
       AND d.objid = p.oid AND d.deptype = 'e')))",
    "SELECT DISTINCT n.nspname, o.oprname FROM pg_catalog.pg_operator o \
     JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE n.nspname <> 'pg_catalog' OR o.oid >= 16384",
    // with one value of any type; and whether that can be a row
    "SELECT n.nspname, p.proname, pg_catalog.bool_or((n.nspname <> 'pg_catalog' OR t.typtype IN ('c', 'p')) \
     AND (p.provariadic <> 0 OR t.typname NOT IN ('internal', 'cstring', 'anyarray', 'anyenum', 'anyrange', \
     'anymultirange'))) FROM pg_catalog.pg_proc p \
     JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
     JOIN pg_catalog.pg_type t ON t.oid = p.proargtypes[0] \
     WHERE p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1 AND t.typname <> 'internal' GROUP BY 1, 2",
    CASTS,
    "SELECT i.inhparent, i.inhrelid FROM pg_catalog.pg_inherits i",
    // written under a path on which nothing but the server's own is found, so that all else is qualified
    "SELECT v.oid, v.text, v.options FROM \
     (SELECT pg_catalog.set_config('search_path', 'pg_catalog', true) AS path OFFSET 0) s CROSS JOIN LATERAL \
     (SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid) AS text, c.reloptions::pg_catalog.text AS options \
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
      WHERE c.relkind = 'v' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND s.path IS NOT NULL OFFSET 0) v",
    // `C`: a check that rows need not satisfy that are there, since it was not looked at then, or depends on the time.
    // `U`: a unique index that is not valid, since rows that are there are equal perhaps; then any write to one of them fails.
    // 0 stands for a row as a whole
    "SELECT c.conrelid, CASE WHEN c.contype IN ('c', 'n') AND (NOT c.convalidated \
       OR c.conbin::pg_catalog.text ~ 'SQLVALUEFUNCTION|COERCEVIAIO|NEXTVALUEEXPR' \
       OR EXISTS (SELECT FROM pg_catalog.regexp_matches(c.conbin::pg_catalog.text, ':(funcid|opno) ([0-9]+)', 'g') AS m \
         LEFT JOIN pg_catalog.pg_operator o ON m[1] = 'opno' AND o.oid::pg_catalog.text = m[2] \
         JOIN pg_catalog.pg_proc p ON p.oid::pg_catalog.text = CASE m[1] WHEN 'funcid' THEN m[2] ELSE o.oprcode::pg_catalog.oid::pg_catalog.text END \
         WHERE p.provolatile <> 'i')) THEN 'C' ELSE c.contype::pg_catalog.text END, \
     pg_catalog.array_to_string(CASE c.contype WHEN 'x' THEN pg_catalog.array_remove(c.conkey, 0::pg_catalog.int2) ELSE c.conkey END, ' '), c.confrelid, \
     pg_catalog.array_to_string(c.confkey, ' '), c.contype = 'f' AND (c.confdeltype NOT IN ('a', 'r') OR c.confupdtype NOT IN ('a', 'r')) \
     FROM pg_catalog.pg_constraint c \
     WHERE c.conrelid <> 0 AND (c.contype IN ('c', 'f', 'p', 'u', 'x') OR (c.contype = 'n' AND NOT c.convalidated)) \
     UNION ALL SELECT i.indrelid, CASE WHEN i.indisunique OR i.indisexclusion THEN CASE WHEN i.indisready AND NOT i.indisvalid THEN 'U' ELSE 'u' END \
       WHEN i.indisready AND NOT i.indisvalid THEN 'C' ELSE 'e' END, \
     pg_catalog.concat_ws(' ', (SELECT pg_catalog.string_agg(k.n::pg_catalog.text, ' ') FROM pg_catalog.unnest(i.indkey) k(n) WHERE k.n <> 0), \
       CASE WHEN pg_catalog.concat(i.indexprs::pg_catalog.text, i.indpred::pg_catalog.text) LIKE '% :varattno 0 %' THEN '0' END, \
       (SELECT pg_catalog.string_agg(DISTINCT d.refobjsubid::pg_catalog.text, ' ') FROM pg_catalog.pg_depend d \
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid \
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = i.indrelid AND d.refobjsubid > 0)), \
     0, '', false FROM pg_catalog.pg_index i WHERE i.indisunique OR i.indisexclusion OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL",
    "SELECT DISTINCT t.tgrelid FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal",
    extensions::FUNCTIONS,
    extensions::OPERATORS,
    extensions::TYPES,
    extensions::CASTS,
    CODE,
];

/// What runs a function that somebody added without being named: casts (binary-coercible and input/output casts run none), and
/// the order and the hashes of a type (`o`), by which every `ORDER BY`, `GROUP BY` and `DISTINCT` goes. An operator class that is
/// nobody's default counts for nothing: only an index uses it.
const CASTS: &str = "SELECT c.castsource, c.casttarget, c.castcontext, s.typnamespace = 11, t.typnamespace = 11 \
     FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type s ON s.oid = c.castsource \
     JOIN pg_catalog.pg_type t ON t.oid = c.casttarget WHERE c.castmethod = 'f' AND c.castfunc >= 16384 \
     UNION ALL SELECT t.oid, t.oid, 'o', t.typnamespace = 11, t.typnamespace = 11 FROM \
       (SELECT a.amprocfamily, a.amproclefttype, a.amproc FROM pg_catalog.pg_amproc a \
        UNION ALL SELECT o.amopfamily, o.amoplefttype, p.oprcode FROM pg_catalog.pg_amop o \
        JOIN pg_catalog.pg_operator p ON p.oid = o.amopopr WHERE o.amoplefttype = o.amoprighttype) f(family, type, function) \
     JOIN pg_catalog.pg_proc p ON p.oid = f.function JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
     JOIN pg_catalog.pg_type t ON t.oid = f.type \
     WHERE p.oid >= 16384 AND NOT (l.lanname = 'c' AND EXISTS (SELECT FROM pg_catalog.pg_depend d \
       WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')) \
     AND EXISTS (SELECT FROM pg_catalog.pg_opclass c JOIN pg_catalog.pg_am m ON m.oid = c.opcmethod \
       WHERE c.opcfamily = f.family AND c.opcdefault AND m.amname IN ('btree', 'hash'))";

/// Tables where a write runs code that is not the server's own: a default, a generated column, a check, an index, a
/// partition's key, a type of a column or of something in one of those, such as a domain or what is made of one.
/// Functions in C that an extension brought are taken for what they are said to be. With a name: where a default or a
/// check calls this function of the server's own, which is not immutable.
const CODE: &str = "WITH RECURSIVE types(fromclass, fromoid, class, oid) AS (\
       SELECT d.refclassid, d.refobjid, d.classid, d.objid FROM pg_catalog.pg_depend d \
       WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass \
         OR (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass) \
       UNION ALL SELECT d.refclassid, d.refobjid, 'pg_catalog.pg_type'::pg_catalog.regclass, c.contypid FROM pg_catalog.pg_depend d \
       JOIN pg_catalog.pg_constraint c ON c.oid = d.objid AND c.contypid <> 0 \
       WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.deptype = 'n'), \
     own(class, oid) AS (\
       (SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, p.oid FROM pg_catalog.pg_proc p \
       JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE p.oid >= 16384 AND NOT (l.lanname = 'c' AND EXISTS \
         (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
          AND d.objid = p.oid AND d.deptype = 'e')) \
       UNION ALL SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, o.oid FROM pg_catalog.pg_operator o \
       WHERE o.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
         WHERE d.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND d.objid = o.oid AND d.deptype = 'e') \
       UNION ALL SELECT 'pg_catalog.pg_opclass'::pg_catalog.regclass, o.oid FROM pg_catalog.pg_opclass o \
       WHERE o.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
         WHERE d.classid = 'pg_catalog.pg_opclass'::pg_catalog.regclass AND d.objid = o.oid AND d.deptype = 'e')) \
       UNION SELECT types.class, types.oid FROM own JOIN types ON types.fromclass = own.class AND types.fromoid = own.oid), \
     runs AS (SELECT d.classid, d.objid, d.objsubid FROM pg_catalog.pg_depend d \
       JOIN own ON own.class = d.refclassid AND own.oid = d.refobjid) \
     SELECT d.adrelid, NULL FROM pg_catalog.pg_attrdef d JOIN runs ON \
       (runs.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND runs.objid = d.oid) \
     UNION SELECT c.oid, NULL FROM pg_catalog.pg_class c JOIN runs ON runs.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
       AND runs.objid = c.oid WHERE c.relkind IN ('r', 'p') \
     UNION SELECT c.conrelid, NULL FROM pg_catalog.pg_constraint c JOIN runs ON \
       runs.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND runs.objid = c.oid WHERE c.contype = 'c' AND c.conrelid <> 0 \
     UNION SELECT i.indrelid, NULL FROM pg_catalog.pg_index i JOIN runs ON \
       runs.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND runs.objid = i.indexrelid \
     UNION SELECT e.relation, p.proname::pg_catalog.text FROM \
       (SELECT d.adrelid, d.adbin::pg_catalog.text FROM pg_catalog.pg_attrdef d \
        UNION ALL SELECT c.conrelid, c.conbin::pg_catalog.text FROM pg_catalog.pg_constraint c \
        WHERE c.contype = 'c' AND c.conrelid <> 0) e(relation, tree) \
       CROSS JOIN LATERAL pg_catalog.regexp_matches(e.tree, ':funcid ([0-9]+)', 'g') AS m(found) \
       JOIN pg_catalog.pg_proc p ON p.oid::pg_catalog.text = m.found[1] WHERE p.oid < 16384 AND p.provolatile <> 'i'";

impl Catalog {
    /// Builds the snapshot from the answers to [`QUERIES`], in their order.
    ///
    /// # Errors
    /// Answers that are missing or not of the shape that the queries give.
    pub fn load(answers: &[Rows]) -> Result<Catalog, CatalogError> {
        let [
            version,
            path,
            relations,
            columns,
            indexes,
            generated,
            types,
            functions,
            operators,
            attributes,
            casts,
            inherits,
            views,
            constraints,
            triggers,
            extension_functions,
            extension_operators,
            extension_types,
            extension_casts,
            code,
        ] = answers
        else {
            return Err(CatalogError::Answers { got: answers.len(), expected: QUERIES.len() });
        };
        let mut catalog = Catalog::default();
        for row in rows(0, version) {
            catalog.server_version = row.number(0)?;
            catalog.utf8 = row.optional(1) == Some("UTF8");
        }
        for row in rows(1, path) {
            catalog.search_path.push(row.text(0)?.to_owned());
        }
        let mut names = std::collections::HashMap::new();
        for row in rows(2, relations) {
            let name = TableName::new(row.text(1)?, row.text(2)?);
            let oid: u32 = row.number(0)?;
            let relation = Relation {
                oid,
                kind: row.char(3)?,
                has_rules: row.flag(4)?,
                has_row_security: row.flag(5)?,
                partition_key: row.optional(6).map(|_| row.vector(6)).transpose()?.unwrap_or_default(),
                partitioned_by_expression: row.flag(7)?,
                ..Relation::default()
            };
            names.insert(oid, name.clone());
            catalog.relations.insert(name, relation);
        }
        catalog.permanent = std::sync::Arc::new(catalog.relations.values().map(|relation| relation.oid).collect());
        let find = |oid: u32| names.get(&oid);
        for row in rows(3, columns) {
            let column = Column {
                number: row.number(1)?,
                name: row.text(2)?.to_owned(),
                type_oid: row.number(3)?,
                base_oid: row.number(4)?,
                base: TableName::new(row.text(5)?, row.text(6)?),
                base_kind: row.char(7)?,
                element_oid: row.number(8)?,
                element: match (row.optional(9), row.optional(10)) {
                    (Some(schema), Some(name)) => Some(TableName::new(schema, name)),
                    _ => None,
                },
                generated_from: row.flag(11)?.then(Vec::new),
                // what is not said is not relied on
                bytewise: row.optional(12).is_some_and(|flag| matches!(flag, "t" | "true")),
            };
            if let Some(relation) = find(row.number(0)?).and_then(|name| catalog.relations.get_mut(name)) {
                relation.columns.push(column);
            }
        }
        for row in rows(4, indexes) {
            let columns = row.vector(1)?;
            if let Some(relation) = find(row.number(0)?).and_then(|name| catalog.relations.get_mut(name)) {
                if row.flag(2)? {
                    relation.primary_key.clone_from(&columns);
                }
                relation.indexes.push(columns);
            }
        }
        for row in rows(5, generated) {
            let (of, from): (i16, i16) = (row.number(1)?, row.number(2)?);
            if let Some(relation) = find(row.number(0)?).and_then(|name| catalog.relations.get_mut(name))
                && let Some(column) = relation.columns.iter_mut().find(|column| column.number == of)
                && from != of
            {
                column.generated_from.get_or_insert_default().push(from);
            }
        }
        for row in rows(6, types) {
            let name = TableName::new(row.text(1)?, row.text(2)?);
            catalog.types.insert(name, UserType { oid: row.number(0)?, kind: row.char(3)?, known: false });
        }
        for (number, answer, map) in [(7, functions, &mut catalog.functions), (8, operators, &mut catalog.operators)] {
            for row in rows(number, answer) {
                map.entry(row.text(1)?.to_owned()).or_default().insert(row.text(0)?.to_owned());
            }
        }
        catalog.know_extensions(extension_functions, extension_operators, extension_types)?;
        for row in rows(9, attributes) {
            let (schema, name) = (row.text(0)?, row.text(1)?);
            let pure = schema == allow::PG_CATALOG && allow::PURE.binary_search(&name).is_ok();
            if !pure && !catalog.knows_function_anywhere(schema, name) {
                if row.flag(2)? {
                    catalog.attributes.entry(name.to_owned()).or_default().insert(schema.to_owned());
                }
                catalog.value_attributes.entry(name.to_owned()).or_default().insert(schema.to_owned());
            }
        }
        catalog.poisoned = poisoned(casts, &catalog.known_casts(extension_casts)?)?;
        for row in rows(11, inherits) {
            // indexes have children too
            if let (Some(parent), Some(child)) = (find(row.number(0)?), find(row.number(1)?)) {
                catalog.children.entry(parent.clone()).or_default().push(child.clone());
            }
        }
        for row in rows(12, views) {
            // one that is gone since it was listed has no text
            let (Some(name), Some(text)) = (find(row.number(0)?).cloned(), row.optional(1)) else { continue };
            let barrier = row.optional(2).is_some_and(|options| options.contains("security_barrier"));
            let view = View::read(text, barrier, &catalog);
            if let Some(relation) = catalog.relations.get_mut(&name) {
                relation.view = view;
            }
        }
        for row in rows(13, constraints) {
            let Some(name) = find(row.number(0)?).cloned() else { continue };
            let columns = row.optional(2).map(|_| row.vector(2)).transpose()?.unwrap_or_default();
            let other = find(row.number(3)?).cloned();
            let others = row.optional(4).map(|_| row.vector(4)).transpose()?.unwrap_or_default();
            if let Some(other) = &other
                && let Some(relation) = catalog.relations.get_mut(other)
            {
                let with = Some((name.clone(), columns.clone()));
                relation.compared.push(Compared { kind: 'r', columns: others.clone(), with, acts: row.flag(5)? });
            }
            if let Some(relation) = catalog.relations.get_mut(&name) {
                let with = other.map(|other| (other, others));
                relation.compared.push(Compared { kind: row.char(1)?, columns, with, acts: false });
            }
        }
        for row in rows(14, triggers) {
            if let Some(relation) = find(row.number(0)?).and_then(|name| catalog.relations.get_mut(name)) {
                relation.has_triggers = true;
            }
        }
        for row in rows(19, code) {
            // `query_to_xml` and its like run SQL from a string, others read what no table holds
            let harmless = row.optional(1).is_some_and(|name| {
                allow::PURE.binary_search(&name).is_ok()
                    || allow::SESSION.binary_search(&name).is_ok()
                    || name == "regclass"
            });
            if let Some(relation) = find(row.number(0)?).and_then(|name| catalog.relations.get_mut(name)) {
                relation.runs_code |= !harmless;
            }
        }
        Ok(catalog)
    }
}

/// Not a cast's context, but the order of a type.
const ORDER: char = 'o';

/// Types that a statement cannot touch without perhaps running a cast's function, or that of their order. A cast between a built-in type and
/// somebody's own is reached only through a value of the latter. Casts of extensions that are `known` run nothing else.
fn poisoned(casts: &Rows, known: &BTreeSet<(u32, u32)>) -> Result<BTreeSet<u32>, CatalogError> {
    let mut poisoned = BTreeSet::new();
    for row in rows(10, casts) {
        let (source, target): (u32, u32) = (row.number(0)?, row.number(1)?);
        if row.char(2)? != ORDER && known.contains(&(source, target)) {
            continue;
        }
        let (source_builtin, target_builtin) = (row.flag(3)?, row.flag(4)?);
        if !source_builtin || target_builtin {
            poisoned.insert(source);
        }
        if !target_builtin || source_builtin {
            poisoned.insert(target);
        }
    }
    Ok(poisoned)
}
