//! Relations that the session made for itself: they stay as they are, named with `pg_temp` and nothing else.
//!
//! What they hold was masked when it was put in ([`crate::temporary`]). So nothing stands between a statement and them, and
//! whatever is written to them is remembered as masked.

use chaperone_model::{Refusal, SqlState, TableName};
use pg_query::protobuf as pg;

use super::refuse::{self, refusal};
use super::target::Target;
use super::{Item, Masker};
use crate::temporary::{PG_TEMP, Temporary};

impl<'a> Masker<'a> {
    /// The session's own relation that a name means, which it is then pinned to.
    pub(super) fn own(&mut self, range: &mut pg::RangeVar) -> Result<Option<&'a Temporary>, Refusal> {
        let pg::RangeVar { catalogname, schemaname, relname, inh: _, relpersistence: _, alias: _, location: _ } = range;
        // what a view's text names without a schema is the server's own
        if !catalogname.is_empty() || self.views > 0 || (schemaname.is_empty() && self.ctes.contains(relname)) {
            return Ok(None);
        }
        let Some(own) = self.temporaries.get(schemaname, relname) else {
            return if schemaname == PG_TEMP { Err(refuse::unknown_relation(relname)) } else { Ok(None) };
        };
        if schemaname.is_empty() && self.catalog.relation("", relname).is_some() {
            return Err(Refusal {
                code: SqlState("42P09"),
                ..refusal(
                    "masking.temporary",
                    format!("`{relname}` is the name of a table and of a temporary one that this session has made"),
                    "which of the two is meant depends on whether the temporary one is still there",
                    "qualify it: pg_temp for the temporary one, its schema for the other",
                )
            });
        }
        // an estimate shows nothing that is in it
        let foreseen = !self.protection.masker.unforeseen;
        if foreseen && !own.is_of(self.protection.masks, self.protection.masker.cutoff_year) {
            return Err(refusal(
                "masking.temporary",
                format!("temporary relation `{relname}` was filled under other masks than those of now"),
                "the policy, the schema or the permission it was filled by has changed since",
                "drop it, and fill another one, of another name",
            ));
        }
        schemaname.clear();
        schemaname.push_str(PG_TEMP);
        self.bare.insert(TableName::new(PG_TEMP, &**relname));
        Ok(Some(own))
    }

    /// Rows of such a relation are read.
    pub(super) fn reads_own(&mut self, own: &Temporary) {
        self.filled.masked |= own.masked;
        self.persons += usize::from(self.knows_subjects && !own.needs.is_empty());
    }

    /// Such a relation, as something that is written to.
    pub(super) fn own_target(&mut self, range: &mut pg::RangeVar, own: &Temporary) -> Result<Target, Refusal> {
        if own.is_view {
            return Err(refuse::relation(&range.relname, "it is not a table", "write to a table"));
        }
        self.reads_own(own);
        self.filled.names.insert(range.relname.clone());
        let alias = range.alias.as_ref().map_or(&*range.relname, |alias| &alias.aliasname).to_owned();
        self.item(Item::other(&alias));
        Ok(Target::own(TableName::new(PG_TEMP, &*range.relname), alias))
    }
}
