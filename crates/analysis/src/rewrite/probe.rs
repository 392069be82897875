//! Whether a write would tell something by succeeding (rule R14).
//!
//! `UPDATE patient SET died = '1960-01-01' WHERE id = 5` fails where `CHECK (died >= dob)` does: so it compares a hidden birth
//! with a date of the agent's choice. So do unique indexes, exclusions, foreign keys and expressions of indexes. Such a
//! write needs the permission `probe` on the hidden columns.

use std::collections::BTreeSet;

use chaperone_model::{Refusal, TableName};

use super::refuse::{self, refusal};
use super::{Masker, source};
use crate::catalog::{Compared, Relation};

/// What a write does to rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// New rows.
    Inserted,
    /// These columns of rows that are there.
    Updated(BTreeSet<String>),
    /// Rows are gone.
    Deleted,
}

/// Partitions of partitions.
const DEEPEST: usize = 16;

impl Masker<'_> {
    /// Whether rows of a table may be written so.
    pub(super) fn probes(&self, name: &TableName, written: &Written) -> Result<(), Refusal> {
        if let Written::Updated(columns) = written
            && self.moves(name, columns, DEEPEST)
        {
            // in another partition a row is a new one, and all of it is looked at
            let all = self.catalog.relations.get(name).map(|relation| &*relation.columns).unwrap_or_default();
            let all = all.iter().map(|column| column.name.clone()).collect();
            self.probes_in(name, name, &Written::Inserted, DEEPEST)?;
            return self.probes_in(name, name, &Written::Updated(all), DEEPEST);
        }
        self.probes_in(name, name, written, DEEPEST)
    }

    /// Whether a row can come to lie in another partition.
    fn moves(&self, name: &TableName, columns: &BTreeSet<String>, deep: usize) -> bool {
        let Some(relation) = self.catalog.relations.get(name).filter(|_| deep > 0) else { return true };
        let of_key = |column: &&crate::catalog::Column| relation.partition_key.contains(&column.number);
        relation.partitioned_by_expression
            || relation.columns.iter().filter(of_key).any(|column| columns.contains(&column.name))
            || self.catalog.children.get(name).into_iter().flatten().any(|child| self.moves(child, columns, deep - 1))
    }

    /// Whether a column of this name may come to a table. The rows of a child that has one already would show it in the parent;
    /// and with values that differ from row to row (`filled`) the rows are written anew, and every index is made again, one
    /// that is not valid because of equal rows too.
    pub(super) fn may_add(&self, name: &TableName, column: &str, filled: bool) -> Result<(), Refusal> {
        self.may_add_in(name, column, filled, DEEPEST)
    }

    fn may_add_in(&self, name: &TableName, column: &str, filled: bool, deep: usize) -> Result<(), Refusal> {
        let Some(relation) = self.catalog.relations.get(name).filter(|_| deep > 0) else {
            return Err(refuse::internal("a table to be altered is not in the catalog"));
        };
        let indexes = relation.compared.iter().filter(|_| filled).filter(|it| !matches!(it.kind, 'f' | 'r' | 'c'));
        if let Some(hidden) = indexes.filter_map(|it| self.hidden_of(name, relation, &it.columns)).next() {
            return Err(refusal(
                "masking.probe",
                format!("whether this column can be added would tell something of `{hidden}`, which is protected"),
                "its values differ from row to row, so that the table is written anew and its indexes compare all rows",
                "add it without a default or with a constant one, and fill it by UPDATE",
            ));
        }
        for child in self.catalog.children.get(name).into_iter().flatten() {
            let there = self.catalog.relations.get(child);
            if there.is_some_and(|child| child.columns.iter().any(|it| it.name == column)) {
                return Err(refusal(
                    "masking.ddl",
                    format!("`{name}` cannot have a column `{column}`"),
                    "a table that inherits from it has one, whose values would be shown under the new one's name",
                    "give it another name",
                ));
            }
            self.may_add_in(child, column, filled, deep - 1)?;
        }
        Ok(())
    }

    fn probes_in(&self, top: &TableName, name: &TableName, written: &Written, deep: usize) -> Result<(), Refusal> {
        let Some(relation) = self.catalog.relations.get(name).filter(|_| deep > 0) else {
            return Err(refuse::internal("a table to write to is not in the catalog"));
        };
        let triggers = |name: &TableName| {
            refuse::refusal(
                "masking.trigger",
                format!("table `{name}` cannot be written to through this connection"),
                "it has a trigger, whose code could read protected columns and tell of them",
                "ask the connection's owner for another way to write",
            )
        };
        if relation.has_triggers {
            return Err(triggers(name));
        }
        if relation.runs_code && *written != Written::Deleted {
            return Err(refusal(
                "masking.code",
                format!("table `{name}` cannot be written to through this connection"),
                "a default, a check, an index, a generated column or a domain of it runs a function of this database, \
                 which could read protected columns",
                "ask the connection's owner for another way to write",
            ));
        }
        if relation.has_rules {
            return Err(refuse::relation(
                &name.to_string(),
                "it has rewrite rules",
                "ask the connection's owner for another way",
            ));
        }
        let written = &with_generated(relation, written);
        let generated = relation.columns.iter().filter_map(|column| {
            let mut columns = column.generated_from.clone()?;
            columns.push(column.number);
            Some(Compared { kind: 'e', columns, with: None, acts: false })
        });
        let generated: Vec<Compared> = generated.collect();
        for compared in relation.compared.iter().chain(&generated) {
            if let Some(hidden) = self.told_by(top, relation, compared, written) {
                return Err(refusal(
                    "masking.probe",
                    format!("whether this write succeeds would tell something of `{hidden}`, which is protected"),
                    "a constraint or an index compares it with what is written",
                    "leave the columns of that constraint as they are; whoever keeps the policies can permit `probe` on \
                     the protected column",
                ));
            }
            // a foreign key may change or remove the rows that refer to this one
            if compared.acts
                && *written != Written::Inserted
                && let Some((child, columns)) = &compared.with
            {
                let of_child = |number: &i16| {
                    let child = self.catalog.relations.get(child)?;
                    child.columns.iter().find(|column| column.number == *number).map(|column| column.name.clone())
                };
                self.probes_in(
                    child,
                    child,
                    &Written::Updated(columns.iter().filter_map(of_child).collect()),
                    deep - 1,
                )?;
                self.probes_in(child, child, &Written::Deleted, deep - 1)?;
            }
        }
        let children = self.catalog.children.get(name).map(Vec::as_slice).unwrap_or_default();
        children.iter().try_for_each(|child| self.probes_in(top, child, written, deep - 1))
    }

    /// A hidden column that a comparison tells of, if one does. Columns of a partition are those of the table that it is
    /// of (`top`), by name.
    fn told_by(&self, top: &TableName, relation: &Relation, compared: &Compared, written: &Written) -> Option<String> {
        let of = |relation: &Relation, number: i16| {
            relation.columns.iter().find(|column| column.number == number).map(|column| column.name.clone())
        };
        let concerned = match (written, compared.kind) {
            // these look at nothing but the new row
            (Written::Inserted, 'c' | 'C' | 'e' | 'r') => false,
            (Written::Inserted, _) => true,
            (Written::Deleted, kind) => kind == 'r',
            // rows that are there need not satisfy it
            (Written::Updated(_), 'C' | 'U') => true,
            (Written::Updated(written), _) => compared
                .columns
                .iter()
                .any(|number| *number == 0 || of(relation, *number).is_none_or(|name| written.contains(&name))),
        };
        if !concerned {
            return None;
        }
        match (compared.kind, &compared.with) {
            ('f' | 'r', Some((other, columns))) => match self.catalog.relations.get(other) {
                Some(there) => self.hidden_of(other, there, columns).or_else(|| {
                    // the rest of a key is what is stored
                    let stored = *written != Written::Inserted;
                    stored.then(|| self.hidden_of(top, relation, &compared.columns)).flatten()
                }),
                None => Some(other.to_string()),
            },
            // a row as a whole
            (_, None) if compared.columns.contains(&0) => {
                let all: Vec<i16> = relation.columns.iter().map(|column| column.number).collect();
                self.hidden_of(top, relation, &all)
            }
            ('f' | 'r', None) => Some(top.to_string()),
            _ => self.hidden_of(top, relation, &compared.columns),
        }
    }

    /// The first of some columns of `relation`, which is `name` or a part of it, that is hidden and must not be probed.
    fn hidden_of(&self, name: &TableName, relation: &Relation, columns: &[i16]) -> Option<String> {
        let hidden = |number: &i16| {
            let Some(column) = relation.columns.iter().find(|column| column.number == *number) else {
                // an expression; its columns are listed beside it, where they are known
                return (columns.len() == 1).then(|| name.to_string());
            };
            let own = self.catalog.relations.get(name);
            let own = own.and_then(|own| Some((own, own.columns.iter().find(|live| live.name == column.name)?)));
            let shown = own.is_some_and(|(own, live)| source::column_as_stored(name, live, own, &self.protection))
                || self.protection.masks.may_probe(name, &column.name);
            (!shown).then(|| format!("{name}.{}", column.name))
        };
        columns.iter().find_map(hidden)
    }
}

/// The columns that are written, and those that are computed from them.
fn with_generated(relation: &Relation, written: &Written) -> Written {
    let Written::Updated(columns) = written else { return written.clone() };
    let numbers: BTreeSet<i16> =
        relation.columns.iter().filter(|column| columns.contains(&column.name)).map(|column| column.number).collect();
    let computed = relation.columns.iter().filter(|column| {
        column.generated_from.as_ref().is_some_and(|from| from.iter().any(|number| numbers.contains(number)))
    });
    Written::Updated(columns.iter().cloned().chain(computed.map(|column| column.name.clone())).collect())
}
