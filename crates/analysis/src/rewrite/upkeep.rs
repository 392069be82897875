//! `TRUNCATE` and `ANALYZE`.

use pg_query::NodeEnum;
use pg_query::protobuf::{self as pg, DropBehavior};

use super::define::Defined;
use super::probe::Written;
use super::{Masker, names, refuse};
use crate::output::Output;

impl Masker<'_> {
    /// `TRUNCATE`.
    pub(super) fn truncate(&mut self, mut truncate: pg::TruncateStmt) -> Defined {
        let pg::TruncateStmt { relations, restart_seqs: _, behavior } = &mut truncate;
        self.scopes.push(Vec::new());
        for relation in relations {
            let Some(NodeEnum::RangeVar(range)) = &mut relation.node else {
                return Err(refuse::internal("TRUNCATE has something that is no table"));
            };
            let target = self.target(range)?;
            // TRUNCATE knows its table by its name alone
            range.alias = None;
            if target.own {
                continue;
            }
            self.may_write(&target, &Written::Deleted)?;
            if DropBehavior::try_from(*behavior) == Ok(DropBehavior::DropCascade) {
                return Err(refuse::construct("TRUNCATE … CASCADE"));
            }
        }
        self.scopes.pop();
        Ok((NodeEnum::TruncateStmt(truncate), Output::no_rows()))
    }

    /// `ANALYZE` of temporary tables.
    pub(super) fn analyze(&mut self, mut vacuum: pg::VacuumStmt) -> Defined {
        let pg::VacuumStmt { options, rels, is_vacuumcmd: _ } = &mut vacuum;
        if !options.is_empty() || rels.is_empty() {
            return Err(refuse::ddl("ANALYZE"));
        }
        for rel in rels {
            let Some(NodeEnum::VacuumRelation(rel)) = &mut rel.node else {
                return Err(refuse::internal("ANALYZE has something that is no table"));
            };
            names::parts(&rel.va_cols)?;
            let range = rel.relation.as_mut().ok_or_else(|| refuse::internal("ANALYZE has no table"))?;
            if self.own(range)?.is_none() {
                return Err(refuse::ddl("ANALYZE"));
            }
        }
        Ok((NodeEnum::VacuumStmt(vacuum), Output::no_rows()))
    }
}
