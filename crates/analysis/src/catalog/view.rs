//! Views: what they are made of.

use std::collections::BTreeSet;

use chaperone_model::TableName;
use pg_query::NodeEnum;
use pg_query::protobuf::SelectStmt;

use super::Catalog;
use crate::allow::PG_CATALOG;
use crate::depth::Depth;
use crate::parse;
use crate::visit::{Visit, visit};

/// Longest and deepest text of a view that is put in for its name.
const LONGEST: usize = 64 * 1024;
const DEEPEST: usize = 400;

/// A view that can be put in for its name.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// The query, as the server writes it.
    pub(crate) query: SelectStmt,
    /// `security_barrier`: conditions from outside must not see rows that it leaves out (PostgreSQL manual, 41.5).
    pub(crate) barrier: bool,
    /// The relations that it reads.
    pub(crate) reads: Vec<TableName>,
    /// Names of its CTEs.
    pub(crate) ctes: BTreeSet<String>,
}

impl View {
    /// `None` where its text cannot be read, or names a relation in a way that could mean another one elsewhere.
    pub(crate) fn read(text: &str, barrier: bool, catalog: &Catalog) -> Option<View> {
        let depth = Depth::of(text).ok().filter(|depth| text.len() <= LONGEST && depth.levels() <= DEEPEST)?;
        let query = match parse::tree(text, depth).ok()?.pop()?.stmt?.node? {
            NodeEnum::SelectStmt(query) => *query,
            _ => return None,
        };
        let mut names = Names::default();
        visit(&query, &mut names);
        let Names { ctes, relations, .. } = names;
        let mut reads = BTreeSet::new();
        for relation in relations {
            match &relation[..] {
                [database, schema, name] if database.is_empty() && !schema.is_empty() => {
                    reads.insert(TableName::new(schema, name));
                }
                [database, schema, name] if database.is_empty() && schema.is_empty() && ctes.contains(name) => {}
                [database, schema, name] if database.is_empty() && schema.is_empty() => {
                    let name = TableName::new(PG_CATALOG, name);
                    catalog.relations.contains_key(&name).then(|| reads.insert(name))?;
                }
                _ => return None,
            }
        }
        Some(View { query, barrier, reads: reads.into_iter().collect(), ctes })
    }
}

/// The names of relations anywhere in a statement: database, schema, name.
pub(super) fn relations(statement: &NodeEnum) -> Vec<Vec<String>> {
    let mut names = Names::default();
    visit(statement, &mut names);
    names.relations
}

/// Names in a query: of its CTEs, and of what it reads.
#[derive(Default)]
struct Names {
    ctes: BTreeSet<String>,
    relations: Vec<Vec<String>>,
    path: Vec<&'static str>,
    field: &'static str,
}

impl Visit for Names {
    fn enter(&mut self, kind: &'static str) -> bool {
        self.path.push(kind);
        if kind == "RangeVar" {
            self.relations.push(Vec::new());
        }
        true
    }

    fn field(&mut self, name: &'static str) {
        self.field = name;
    }

    fn text(&mut self, value: &str) {
        match (self.path.last(), self.field) {
            (Some(&"RangeVar"), "catalogname" | "schemaname" | "relname") => {
                if let Some(relation) = self.relations.last_mut() {
                    relation.push(value.to_owned());
                }
            }
            (_, "ctename") => _ = self.ctes.insert(value.to_owned()),
            _ => {}
        }
    }

    fn number(&mut self, _: i64) {}

    fn leave(&mut self, _: &'static str) {
        self.path.pop();
    }
}
