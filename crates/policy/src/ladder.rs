//! The mask vector: the highest rung of each column that the policies permit.

use std::collections::HashMap;
use std::sync::Arc;

use chaperone_model::{Class, Classification, Masks, Rung, TableName};

use crate::authority::{Authority, Verdict};
use crate::schema::{self, Ask};
use crate::set::PolicyId;

/// Columns that the policies cannot tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind<'a> {
    Class(Class),
    Column(&'a TableName, &'a str),
}

/// What the rungs of one kind of column come to.
enum Outcome {
    Rung(Rung),
    /// Not even redacted.
    Withheld(Vec<PolicyId>),
}

impl Authority {
    /// The rung of each of `columns` (a live table and all its columns): the highest one permitted, else `redacted`. A column that holds no protected data is raw unless
    /// a policy forbids it. Empty on a connection that declares no PHI.
    ///
    /// `read_redacted` is implied by `select` and needs no policy; where one *forbids* it for a column, the table is
    /// withheld: [`decide`](Authority::decide) then denies every `select` on it, naming that policy. So call this
    /// first; until then such a table is denied as well.
    ///
    /// Every [`Permit`](crate::Permit) given out from now on carries this vector. Policies cannot make it depend on the
    /// time (seconds since the Unix epoch), which is asked for grants, that end.
    pub fn masks(&mut self, columns: &[(TableName, Vec<String>)], _now: i64) -> Arc<Masks> {
        self.vector = Arc::new(self.climb_all(columns));
        self.vector.clone()
    }

    fn climb_all(&mut self, columns: &[(TableName, Vec<String>)]) -> Masks {
        let mut masks = Masks::default();
        let Classification::Tables(tables) = &*self.classification.clone() else { return masks };
        self.forget();
        for (table, _) in columns {
            self.withheld.remove(table);
            self.masked.insert(table.clone());
        }

        // most policies speak of classes, so most columns share their answer with the others of their class
        let apart = Rung::ALL.into_iter().any(|rung| self.slice(Ask::Read(rung)).tells_tables_apart);
        let kind = |table, column, class| if apart { Kind::Column(table, column) } else { Kind::Class(class) };
        let every = columns.iter().flat_map(|(table, names)| {
            let classes = tables.get(table);
            let class = move |name: &str| classes.map_or(Class::Unknown, |classes| classes.class(name));
            names.iter().map(move |name| (table, name.as_str(), class(name)))
        });
        let mut first: HashMap<Kind<'_>, (&TableName, &str, Class)> = HashMap::new();
        for (table, column, class) in every.clone() {
            first.entry(kind(table, column, class)).or_insert((table, column, class));
        }
        let outcomes = self.outcomes(&first);

        for (table, column, class) in every {
            match outcomes.get(&kind(table, column, class)) {
                Some(Outcome::Rung(rung)) => masks.set(table, column, *rung),
                Some(Outcome::Withheld(policies)) => {
                    self.withheld.entry(table.clone()).or_default().extend(policies.iter().cloned());
                }
                // what is not set is redacted
                None => {}
            }
        }
        for policies in self.withheld.values_mut() {
            policies.sort();
            policies.dedup();
        }
        masks
    }

    /// Empty if the question cannot even be asked.
    fn outcomes<'a>(&self, first: &HashMap<Kind<'a>, (&'a TableName, &'a str, Class)>) -> HashMap<Kind<'a>, Outcome> {
        let Ok(asker) = &self.asker else { return HashMap::new() };
        let (Ok(entities), Ok(context)) = (asker.entities_with_columns(first.values().copied()), asker.lasting())
        else {
            return HashMap::new();
        };
        let outcome = |(table, column, class): (&TableName, &str, Class)| {
            let uid = schema::column(&self.connection, table, column);
            climb(class, |rung| self.ask_about(Ask::Read(rung), uid.clone(), &entities, &context))
        };
        first.iter().map(|(kind, column)| (*kind, outcome(*column))).collect()
    }

    /// The tables that may not be read even redacted, with the policies that forbid it. Known after
    /// [`masks`](Authority::masks).
    pub fn withheld(&self) -> impl Iterator<Item = (&TableName, &[PolicyId])> {
        self.withheld.iter().map(|(table, policies)| (table, policies.as_slice()))
    }
}

fn climb(class: Class, ask: impl Fn(Rung) -> Verdict) -> Outcome {
    if let Verdict::Forbidden(policies) | Verdict::Failed(policies) = ask(Rung::Redacted) {
        return Outcome::Withheld(policies.to_vec());
    }
    let permits = |rung: &Rung| matches!(ask(*rung), Verdict::Permitted(_));
    match ask(Rung::Raw) {
        Verdict::Permitted(_) => Outcome::Rung(Rung::Raw),
        Verdict::Unmentioned if !class.is_protected() => Outcome::Rung(Rung::Raw),
        // there is nothing to coarsen in what is not protected: it is seen or it is not
        _ if !class.is_protected() => Outcome::Rung(Rung::Redacted),
        Verdict::Unmentioned | Verdict::Forbidden(_) | Verdict::Failed(_) => {
            Outcome::Rung([Rung::Partial, Rung::Token].into_iter().find(permits).unwrap_or(Rung::Redacted))
        }
    }
}
