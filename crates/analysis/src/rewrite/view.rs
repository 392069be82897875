//! Views: their text is put in for their name, and its tables are masked like any others (rule R11).
//!
//! ```sql
//! SELECT id FROM clinic.seniors WHERE ward = 'a'      -- a view: SELECT id, ward FROM clinic.patient WHERE dob < …
//! -- becomes
//! SELECT id FROM (SELECT v.id, v.ward FROM (SELECT patient.id, patient.ward FROM (…) AS patient WHERE …) AS v(id, ward)) AS seniors
//! WHERE ward = 'a'
//! ```
//! So a view shows no more than its tables do, and its conditions on masked columns see masks. The text is the server's own,
//! written so that every relation in it has its schema; functions and types without one are `pg_catalog`'s.

use chaperone_model::{Refusal, Rung, TableName};
use pg_query::NodeEnum;
use pg_query::protobuf as pg;

use super::refuse::{self, refusal};
use super::{Masker, node, string};
use crate::catalog::{Relation, View};

/// Views of views.
const DEEPEST: usize = 8;

/// What the text of a view is known as. Whatever an agent calls its own, it cannot see this name from outside.
const NAME: &str = "chaperone view";

impl Masker<'_> {
    /// The query that stands for a view.
    pub(super) fn view(&mut self, name: &TableName, relation: &Relation) -> Result<pg::SelectStmt, Refusal> {
        let no =
            |detail: &str| refuse::relation(&name.to_string(), detail, "ask the connection's owner for another way");
        let Some(View { query, barrier, reads: _, ctes }) = &relation.view else {
            return Err(no("it is a view whose text cannot be put in for its name"));
        };
        if self.views >= DEEPEST {
            return Err(no("it is a view of views of views, too deep to be looked into"));
        }
        // rule R6, with the names that came in by the view
        if let Some(name) = ctes.iter().find(|name| self.catalog.relation("", name).is_some()) {
            return Err(refusal(
                "masking.cte",
                format!("WITH `{name}` in a view has the name of a table"),
                "which of the two is meant would depend on the place",
                "set another search_path, or ask the connection's owner to rename it in the view",
            ));
        }
        self.ctes.extend(ctes.iter().cloned());
        let mut query = query.clone();
        self.put_in += super::proof::size(&query);
        self.within_bounds()?;
        // names in it mean nothing that is outside of it
        let around = std::mem::replace(&mut self.scopes, vec![Vec::new()]);
        let wanted = std::mem::replace(&mut self.wanted, vec![Vec::new()]);
        self.views += 1;
        let done = self.select(&mut query);
        self.views -= 1;
        self.wanted = wanted;
        self.scopes = around;
        done?;
        Ok(self.columns_of_view(name, relation, query, *barrier))
    }

    /// Its columns by their names, where the classification lists the view without those that are redacted there.
    fn columns_of_view(
        &self,
        name: &TableName,
        relation: &Relation,
        query: pg::SelectStmt,
        barrier: bool,
    ) -> pg::SelectStmt {
        let listed = self.protection.classification.contains_key(name);
        let target_list = relation.columns.iter().map(|column| {
            let fields = vec![string(NAME), string(&column.name)];
            let value = node(NodeEnum::ColumnRef(pg::ColumnRef { fields, location: 0 }));
            let redacted = listed && self.protection.masks.rung(name, &column.name) != Rung::Raw;
            let value = if redacted { hidden(value) } else { value };
            let target = pg::ResTarget { name: column.name.clone(), val: Some(Box::new(value)), ..Default::default() };
            node(NodeEnum::ResTarget(Box::new(target)))
        });
        let alias = pg::Alias {
            aliasname: NAME.to_owned(),
            colnames: relation.columns.iter().map(|column| string(&column.name)).collect(),
        };
        let from = pg::RangeSubselect {
            lateral: false,
            subquery: Some(Box::new(node(NodeEnum::SelectStmt(Box::new(query))))),
            alias: Some(alias),
        };
        pg::SelectStmt {
            target_list: target_list.collect(),
            from_clause: vec![node(NodeEnum::RangeSubselect(Box::new(from)))],
            // conditions do not pass a limit
            limit_offset: barrier.then(|| Box::new(integer(0))),
            limit_option: match barrier {
                true => pg::LimitOption::Count as i32,
                false => pg::LimitOption::Default as i32,
            },
            op: pg::SetOperation::SetopNone as i32,
            ..Default::default()
        }
    }
}

/// `NULL` of the value's type.
fn hidden(value: pg_query::Node) -> pg_query::Node {
    let case = pg::CaseWhen {
        expr: Some(Box::new(node(NodeEnum::AConst(pg::AConst {
            val: Some(pg::a_const::Val::Boolval(pg::Boolean { boolval: false })),
            ..Default::default()
        })))),
        result: Some(Box::new(value)),
        ..Default::default()
    };
    node(NodeEnum::CaseExpr(Box::new(pg::CaseExpr {
        args: vec![node(NodeEnum::CaseWhen(Box::new(case)))],
        ..Default::default()
    })))
}

fn integer(value: i32) -> pg_query::Node {
    node(NodeEnum::AConst(pg::AConst {
        val: Some(pg::a_const::Val::Ival(pg::Integer { ival: value })),
        ..Default::default()
    }))
}
