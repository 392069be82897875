//! Functions in SQL of extensions: whether the body is an expression over what is known.

use std::collections::BTreeSet;

use pg_query::NodeEnum;

use super::{OPERATORS, PG_CATALOG, PURE, TYPES};
use crate::depth::Depth;
use crate::parse;
use crate::visit::{Visit, visit};

/// What an expression is made of. Nothing here names a relation.
const KINDS: [&str; 15] = [
    "SelectStmt",
    "ResTarget",
    "ParamRef",
    "ColumnRef",
    "AConst",
    "AExpr",
    "CaseExpr",
    "CaseWhen",
    "TypeCast",
    "TypeName",
    "FuncCall",
    "AIndirection",
    "AIndices",
    "String",
    "Integer",
];

/// If `body` is one `SELECT` of an expression over its parameters whose functions and types are named with `pg_catalog`
/// and on the lists: the operators that go by their bare names in it, whose meaning hangs on the search path.
pub(crate) fn known(body: &str) -> Option<BTreeSet<String>> {
    let trees = parse::tree(body, Depth::of(body).ok()?).ok()?;
    let [tree] = &trees[..] else { return None };
    look(tree.stmt.as_ref()?, false)
}

/// The same of a function whose body was bound when it was made (`RETURN …`, PostgreSQL 14), by its definition. Nothing in
/// such a body hangs on the search path; what is not the server's own in it, the caller knows from the catalog.
pub(crate) fn known_bound(definition: &str) -> bool {
    let Some(Ok(trees)) = Depth::of(definition).ok().map(|depth| parse::tree(definition, depth)) else { return false };
    let [tree] = &trees[..] else { return false };
    let Some(NodeEnum::CreateFunctionStmt(function)) = tree.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()) else {
        return false;
    };
    match function.sql_body.as_ref().and_then(|body| body.node.as_ref()) {
        Some(NodeEnum::ReturnStmt(body)) => body.returnval.as_ref().is_some_and(|value| look(value, true).is_some()),
        _ => false,
    }
}

fn look(tree: &pg_query::Node, bound: bool) -> Option<BTreeSet<String>> {
    let mut look = Look { bound, bare: BTreeSet::new(), open: Vec::new(), list: Vec::new(), field: "", fine: true };
    visit(tree, &mut look);
    // a bare expression ends with its last field
    look.name_ends();
    look.fine.then_some(look.bare)
}

struct Look {
    /// What goes by a bare name is the server's own.
    bound: bool,
    bare: BTreeSet<String>,
    open: Vec<&'static str>,
    /// The names that were read since the last list began.
    list: Vec<String>,
    field: &'static str,
    fine: bool,
}

impl Look {
    /// A name ends where the next field of what has it begins.
    fn name_ends(&mut self) {
        let name: Vec<&str> = self.list.iter().map(String::as_str).collect();
        self.fine &= match (self.open.last().copied(), self.field, &name[..]) {
            (Some("FuncCall"), "funcname", [PG_CATALOG, name]) => PURE.binary_search(name).is_ok(),
            (Some("FuncCall"), "funcname", [name]) => self.bound && PURE.binary_search(name).is_ok(),
            (Some("FuncCall"), "funcname", _) => false,
            (Some("TypeName"), "names", [PG_CATALOG, name]) => TYPES.binary_search(name).is_ok(),
            (Some("TypeName"), "names", [name]) => self.bound && TYPES.binary_search(name).is_ok(),
            (Some("TypeName"), "names", _) => false,
            (Some("AExpr"), "name", [name]) => {
                if !self.bound {
                    self.bare.insert((*name).to_owned());
                }
                OPERATORS.contains(name)
            }
            // where there is no relation, a bare name is that of a parameter
            (Some("ColumnRef"), "fields", [_]) => self.bound,
            (Some("ColumnRef"), "fields", _) => false,
            (Some("AExpr"), "name", name) => matches!(name, [PG_CATALOG, name] if OPERATORS.contains(name)),
            _ => true,
        };
        self.list.clear();
    }
}

impl Visit for Look {
    fn enter(&mut self, kind: &'static str) -> bool {
        self.fine &= KINDS.contains(&kind);
        self.open.push(kind);
        true
    }

    fn field(&mut self, name: &'static str) {
        if self.open.last() != Some(&"String") {
            self.name_ends();
            self.field = name;
        }
    }

    fn text(&mut self, value: &str) {
        if self.open.last() == Some(&"String") {
            self.list.push(value.to_owned());
        }
    }

    fn number(&mut self, _: i64) {}

    fn leave(&mut self, kind: &'static str) {
        if kind != "String" {
            self.name_ends();
            // what stands around it goes on with another field, or ends
            self.field = "";
        }
        self.open.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::{known, known_bound};

    #[test]
    fn an_expression_over_what_is_known() {
        for (body, bare) in [
            ("\n  SELECT pg_catalog.regexp_match( $1::pg_catalog.text, $2::pg_catalog.text, 'i' );\n", &[][..]),
            ("SELECT pg_catalog.translate(pg_catalog.lower($1::pg_catalog.text), $2, 'x')", &[]),
            ("SELECT CASE WHEN pg_catalog.strpos($3, 'c') = 0 THEN $3 || 'i' ELSE $3 END", &["=", "||"]),
            ("SELECT $1 OPERATOR(pg_catalog.=) $2", &[]),
            ("SELECT (pg_catalog.regexp_split_to_array($1::pg_catalog.text, $2, 'i'))[$3]", &[]),
        ] {
            let known = known(body).unwrap_or_else(|| panic!("{body}"));
            assert!(known.iter().map(String::as_str).eq(bare.iter().copied()), "{body}: {known:?}");
        }
    }

    #[test]
    fn anything_else() {
        for body in [
            "SELECT lower($1)",
            "SELECT string",
            "SELECT public.lower($1)",
            "SELECT pg_catalog.query_to_xml($1, true, true, '')",
            "SELECT pg_catalog.lower(public.peek($1))",
            "SELECT pg_catalog.lower((SELECT name FROM clinic.patient))",
            "SELECT name FROM clinic.patient",
            "SELECT $1::clinic.probe",
            "SELECT $1::text",
            "SELECT $1 OPERATOR(public.=) $2",
            "SELECT $1 @@@@ $2",
            "SELECT 1; SELECT 2",
            "DELETE FROM clinic.patient",
            "SELECT CASE WHEN $1 @@@@ $2 THEN 1 END",
            "SELECT pg_catalog.lower($1) WHERE $1 @@@@ $2",
            "SELECT pg_catalog.lower($1) FOR UPDATE",
            "nonsense",
            "",
        ] {
            assert!(known(body).is_none(), "{body}");
        }
    }

    #[test]
    fn bodies_that_were_bound() {
        let define = |body: &str| {
            format!(
                "CREATE OR REPLACE FUNCTION public.f(ext.citext, text DEFAULT 'RETURN x'::text)\n RETURNS text\n \
                     LANGUAGE sql\n IMMUTABLE STRICT\n{body}"
            )
        };
        for body in [
            "RETURN regexp_match(($1)::text, ($2)::text, 'i'::text)",
            "RETURN (regexp_split_to_array(($1)::text, 'i'::text))[$3]",
            "RETURN CASE WHEN (strpos($3, 'c'::text) = 0) THEN ($3 || 'i'::text) ELSE $3 END",
            // PostgreSQL 18 names what its regular expressions take, and so does citext
            "RETURN regexp_match((string)::text, (pattern)::text, 'i'::text)",
        ] {
            assert!(known_bound(&define(body)), "{body}");
        }
        for body in [
            "RETURN trap.reveal()",
            "RETURN query_to_xml($1, true, true, '')",
            "RETURN ($1)::trap.probe",
            "RETURN string.reveal",
            "RETURN f.string",
            "RETURN upper(string.*)",
            "RETURN (SELECT string)",
            "RETURN ($1 OPERATOR(trap.||) 'x')",
            "RETURN (SELECT name FROM clinic.patient)",
            "BEGIN ATOMIC\n SELECT name FROM clinic.patient;\nEND",
            "AS $function$SELECT 1$function$",
        ] {
            assert!(!known_bound(&define(body)), "{body}");
        }
        assert!(!known_bound("SELECT 1"));
        assert!(!known_bound("RETURN 1"));
    }
}
