//! `WITH`: queries and writes that have a name for one statement.

use chaperone_model::Refusal;
use pg_query::NodeEnum;
use pg_query::protobuf as pg;

use super::{Masker, names, refuse};

impl Masker<'_> {
    /// Its queries are masked like any other; what `SEARCH` and `CYCLE` add is made of what those show.
    pub(crate) fn with(&mut self, with: &mut pg::WithClause) -> Result<(), Refusal> {
        let pg::WithClause { ctes, recursive, location: _ } = with;
        let (recursive, mut written) = (*recursive, false);
        for cte in ctes {
            let Some(NodeEnum::CommonTableExpr(cte)) = &mut cte.node else {
                return Err(refuse::internal("a WITH clause holds something else"));
            };
            let pg::CommonTableExpr {
                ctename,
                aliascolnames: _,
                ctematerialized: _,
                ctequery,
                search_clause,
                cycle_clause,
                location: _,
                cterecursive: _,
                cterefcount: _,
                ctecolnames: _,
                ctecoltypes: _,
                ctecoltypmods: _,
                ctecolcollations: _,
            } = &mut **cte;
            // what a statement writes must not be made of the masks that a later query shows
            if recursive && written {
                return Err(refuse::construct("WITH RECURSIVE with something after a statement that writes"));
            }
            let as_sent = self.writes.then(|| ctequery.clone());
            match ctequery.as_mut().and_then(|query| query.node.as_mut()) {
                Some(NodeEnum::SelectStmt(_)) => self.subquery(ctequery)?,
                Some(statement) => {
                    written = true;
                    self.write(statement)?;
                }
                None => return Err(refuse::internal("a query is missing")),
            }
            if let Some(search) = search_clause {
                let pg::CteSearchClause { search_col_list, search_breadth_first: _, search_seq_column: _, location: _ } =
                    search;
                // rows of what the query itself shows are compared
                names::parts(search_col_list)?;
            }
            if let Some(cycle) = cycle_clause {
                self.cycle(cycle)?;
            }
            if as_sent.is_some_and(|query| self.shows_masked(&query)) {
                self.masked_ctes.insert(ctename.clone());
            }
        }
        Ok(())
    }

    /// `CYCLE … SET … TO … DEFAULT … USING …`: columns of what the query itself shows are compared, and two values are set.
    fn cycle(&mut self, cycle: &mut pg::CteCycleClause) -> Result<(), Refusal> {
        let pg::CteCycleClause {
            cycle_col_list,
            cycle_mark_column: _,
            cycle_mark_value,
            cycle_mark_default,
            cycle_path_column: _,
            location: _,
            cycle_mark_type: 0,
            cycle_mark_typmod: _,
            cycle_mark_collation: 0,
            cycle_mark_neop: 0,
        } = cycle
        else {
            return Err(refuse::internal("a CYCLE is made as analysis makes it"));
        };
        names::parts(cycle_col_list)?;
        self.optional(cycle_mark_value)?;
        self.optional(cycle_mark_default)
    }
}
