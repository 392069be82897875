//! What of the catalog is harmless code of extensions (rule R1): by what the catalog says belongs to which extension, and
//! the lists of [`crate::allow`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chaperone_model::TableName;

use super::{Catalog, CatalogError, Rows, rows};
use crate::allow;

/// All functions that share schema and name with one of an extension, or are the server's own outside `pg_catalog`:
/// schema, name, extension, language, body where it is in SQL (the definition, if it was bound when it was made), whether
/// the server brought it, whether its body is bound, and whether nothing in that or in defaults of its arguments is anybody's
/// own: such things would be in `pg_depend`.
pub(super) const FUNCTIONS: &str = "SELECT n.nspname, p.proname, e.extname, l.lanname, \
     CASE WHEN l.lanname = 'sql' THEN CASE WHEN p.prosrc <> '' THEN p.prosrc ELSE pg_catalog.pg_get_functiondef(p.oid) \
     END END, p.oid < 16384, p.prosrc = '', NOT EXISTS (SELECT FROM pg_catalog.pg_depend u \
       WHERE u.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND u.objid = p.oid AND u.deptype = 'n' \
       AND u.refclassid <> 'pg_catalog.pg_namespace'::pg_catalog.regclass AND u.refobjid <> p.prosupport::pg_catalog.oid \
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend t LEFT JOIN pg_catalog.pg_type y ON y.oid = u.refobjid \
         WHERE t.classid = u.refclassid AND t.deptype = 'e' AND t.refobjid = e.oid AND CASE u.refclassid \
         WHEN 'pg_catalog.pg_type'::pg_catalog.regclass THEN t.objid IN (y.oid, y.typelem) \
         ELSE p.prokind = 'a' AND t.objid = u.refobjid END)) \
     FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
     JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
     LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid \
     AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e' \
     LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
     WHERE n.nspname <> 'pg_catalog' AND (n.nspname = 'information_schema' OR (p.pronamespace, p.proname) IN (\
       SELECT m.pronamespace, m.proname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc m ON m.oid = d.objid \
       WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
       AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'))";

/// All operators that share schema and name with one of an extension: schema, name, extension, and schema and name of the
/// function behind it.
pub(super) const OPERATORS: &str = "SELECT n.nspname, o.oprname, e.extname, pn.nspname, p.proname \
     FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace \
     JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace \
     LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND d.objid = o.oid \
     AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e' \
     LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid WHERE n.nspname <> 'pg_catalog'";

/// Base types of extensions: schema, name, extension.
pub(super) const TYPES: &str = "SELECT n.nspname, t.typname, e.extname \
     FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_type t ON t.oid = d.objid \
     JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
     WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.typtype = 'b' \
     AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'";

/// Casts with a function of extensions: source, target, extension, and schema and name of the function.
pub(super) const CASTS: &str = "SELECT c.castsource, c.casttarget, e.extname, n.nspname, p.proname \
     FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_cast c ON c.oid = d.objid \
     JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
     JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
     WHERE d.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass \
     AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'";

/// For each name, in each schema: whether all that has it is harmless.
type Verdicts = BTreeMap<(String, String), bool>;

impl Catalog {
    /// Reads what belongs to extensions. `functions`, `operators` and `types` are the answers to queries 15 to 17.
    pub(super) fn know_extensions(
        &mut self,
        functions: &Rows,
        operators: &Rows,
        types: &Rows,
    ) -> Result<(), CatalogError> {
        self.functions_known(functions)?;
        self.known_operators = self.operators_known(operators)?;
        for row in rows(17, types) {
            let name = TableName::new(row.text(0)?, row.text(1)?);
            let listed = allow::extension(row.text(2)?).is_some_and(|extension| extension.has_type(&name.name));
            if let Some(ty) = self.types.get_mut(&name) {
                ty.known = listed;
            }
        }
        Ok(())
    }

    fn functions_known(&mut self, functions: &Rows) -> Result<(), CatalogError> {
        let mut verdicts = Verdicts::new();
        for row in rows(15, functions) {
            let (schema, name, language) = (row.text(0)?, row.text(1)?, row.text(3)?);
            let of_the_server =
                row.flag(5)? && schema == "information_schema" && allow::INFORMATION_SCHEMA.contains(&name);
            let listed =
                row.optional(2).and_then(allow::extension).is_some_and(|extension| extension.has_function(name));
            let (bound, none_of_anybodys) = (row.flag(6)?, row.flag(7)?);
            let listed = listed && (none_of_anybodys || language == "sql" && !bound);
            let harmless = match language {
                "c" | "internal" => listed,
                "sql" if listed && bound => row.optional(4).is_some_and(allow::known_bound_expression),
                "sql" if listed => match row.optional(4).and_then(allow::known_expression) {
                    Some(bare) => {
                        self.bare_operators.entry(TableName::new(schema, name)).or_default().extend(bare);
                        true
                    }
                    None => false,
                },
                _ => of_the_server,
            };
            *verdicts.entry((name.to_owned(), schema.to_owned())).or_insert(true) &= harmless;
        }
        self.known_functions = known(verdicts);
        Ok(())
    }

    fn operators_known(&self, operators: &Rows) -> Result<HashMap<String, BTreeSet<String>>, CatalogError> {
        let mut verdicts = Verdicts::new();
        for row in rows(16, operators) {
            let of_extension = row.optional(2).is_some_and(|name| allow::extension(name).is_some());
            let harmless = of_extension && self.knows_function_anywhere(row.text(3)?, row.text(4)?);
            *verdicts.entry((row.text(1)?.to_owned(), row.text(0)?.to_owned())).or_insert(true) &= harmless;
        }
        Ok(known(verdicts))
    }

    /// Source and target of casts whose function is harmless; `casts` is the answer to query 18.
    pub(super) fn known_casts(&self, casts: &Rows) -> Result<BTreeSet<(u32, u32)>, CatalogError> {
        let mut known = BTreeSet::new();
        for row in rows(18, casts) {
            let of_extension = allow::extension(row.text(2)?).is_some();
            if of_extension && self.knows_function_anywhere(row.text(3)?, row.text(4)?) {
                known.insert((row.number(0)?, row.number(1)?));
            }
        }
        Ok(known)
    }
}

fn known(verdicts: Verdicts) -> HashMap<String, BTreeSet<String>> {
    let mut known: HashMap<String, BTreeSet<String>> = HashMap::new();
    for ((name, schema), _) in verdicts.into_iter().filter(|(_, harmless)| *harmless) {
        known.entry(name).or_default().insert(schema);
    }
    known
}
