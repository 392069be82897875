//! `COPY` with the client: of a query, of a table's columns, or into a table.

use chaperone_model::Refusal;
use pg_query::protobuf as pg;
use pg_query::{Node, NodeEnum};

use super::probe::Written;
use super::utility::{copied_in, copied_out};
use crate::output::Returns;

use super::{Item, Masker, names, node, query, refuse};

impl Masker<'_> {
    /// `COPY … TO STDOUT`, and what its query returns; or `COPY … FROM STDIN`.
    pub(super) fn copy(&mut self, mut copy: pg::CopyStmt) -> Result<(NodeEnum, Option<Returns>), Refusal> {
        let pg::CopyStmt { relation, query, attlist, is_from, is_program, filename, options, where_clause } = &mut copy;
        if *is_program || !filename.is_empty() {
            return Err(refuse::statement("COPY with a file or a program of the server"));
        }
        if *is_from {
            options.iter().try_for_each(copied_in)?;
            let Some(range) = relation else { return Err(refuse::internal("COPY FROM has no table")) };
            self.copy_into(range, attlist, where_clause)?;
            return Ok((NodeEnum::CopyStmt(Box::new(copy)), None));
        }
        if where_clause.is_some() {
            return Err(refuse::construct("COPY … TO with a condition"));
        }
        options.iter().try_for_each(copied_out)?;
        if let Some(range) = relation {
            if let Some(own) = self.own(range)? {
                self.reads_own(own);
                return Ok((NodeEnum::CopyStmt(Box::new(copy)), None));
            }
            let columns = self.copied_columns(range, attlist)?;
            attlist.clear();
            // COPY of a table never reads its children
            let select = query::copied(pg::RangeVar { inh: false, ..std::mem::take(range) }, &columns);
            *relation = None;
            *query = Some(Box::new(node(NodeEnum::SelectStmt(Box::new(select)))));
        }
        let returns = self.query_inside(query)?;
        Ok((NodeEnum::CopyStmt(Box::new(copy)), Some(returns)))
    }

    /// The rows are the agent's own, and cannot see the table.
    fn copy_into(
        &mut self,
        range: &mut pg::RangeVar,
        columns: &[Node],
        condition: &mut Option<Box<Node>>,
    ) -> Result<(), Refusal> {
        self.scopes.push(Vec::new());
        let target = self.target(range)?;
        // COPY knows its table by its name alone
        range.alias = None;
        if !target.own {
            let columns = match columns.is_empty() {
                true => target.columns.clone(),
                false => names::parts(columns)?.into_iter().map(str::to_owned).collect(),
            };
            columns.iter().try_for_each(|column| self.may_hold(&target, column))?;
            self.may_write(&target, &Written::Inserted)?;
        }
        self.item(Item::other(&range.relname));
        self.optional(condition)?;
        self.scopes.pop();
        Ok(())
    }

    fn copied_columns(&self, range: &pg::RangeVar, columns: &[Node]) -> Result<Vec<String>, Refusal> {
        let found = self.catalog.relation(&range.schemaname, &range.relname);
        let Some((name, relation)) = found.filter(|_| range.catalogname.is_empty()) else {
            return Err(refuse::unknown_relation(&range.relname));
        };
        if relation.kind != 'r' {
            return Err(refuse::relation(
                &name.to_string(),
                "COPY reads only a table's own rows",
                "use COPY (SELECT …) TO STDOUT",
            ));
        }
        if columns.is_empty() {
            let stored = relation.columns.iter().filter(|column| column.generated_from.is_none());
            return Ok(stored.map(|column| column.name.clone()).collect());
        }
        Ok(names::parts(columns)?.into_iter().map(str::to_owned).collect())
    }
}
