//! The mask vector: the highest rung of each column that the policies permit.

use std::collections::HashMap;
use std::sync::Arc;

use chaperone_model::{Class, Classification, Masks, Rung, TableName};

use crate::authority::{Authority, Verdict};
use crate::request::Classes;
use crate::schema::Ask;
use crate::set::PolicyId;

/// Columns that the policies cannot tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind<'a> {
    Class(Class),
    Column(&'a TableName, &'a str),
}

/// What the rungs of one kind of column come to.
enum Outcome {
    Shown {
        rung: Rung,
        /// Though masked, its stored values may decide which rows are seen.
        filter: bool,
        /// Though masked, writes may be compared with its stored values.
        probe: bool,
    },
    /// Not even redacted.
    Withheld(Vec<PolicyId>),
}

/// Everything that is asked about a column.
const ASKED: [Ask; 6] = [
    Ask::Read(Rung::Raw),
    Ask::Read(Rung::Partial),
    Ask::Read(Rung::Token),
    Ask::Read(Rung::Redacted),
    Ask::Filter,
    Ask::Probe,
];

impl Authority {
    /// The rung of each of `columns` (a live table and all its columns): the highest one permitted that its class has,
    /// else `redacted`; and whether its stored values may filter and be probed although they are masked. A column that
    /// holds no protected data is raw unless a policy forbids it. Empty on a connection that declares no PHI.
    ///
    /// [Classes that may be tokens](Class::may_be_token) have the rungs raw, token and redacted, all others raw, partial
    /// and redacted.
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
        let class = |table, name: &str| tables.get(table).map_or(Class::Unknown, |classes| classes.class(name));
        for (table, names) in columns {
            self.withheld.remove(table);
            self.masked.insert(table.clone());
            self.held.insert(table.clone(), Classes::of(names.iter().map(|name| class(table, name))));
        }

        // most policies speak of classes, so most columns share their answer with the others of their class
        let apart = ASKED.into_iter().any(|ask| self.slice(ask).tells_tables_apart);
        let kind = |table, column, class| if apart { Kind::Column(table, column) } else { Kind::Class(class) };
        let every = columns
            .iter()
            .flat_map(|(table, names)| names.iter().map(move |name| (table, name.as_str(), class(table, name))));
        let mut first: HashMap<Kind<'_>, (&TableName, &str, Class)> = HashMap::new();
        for (table, column, class) in every.clone() {
            first.entry(kind(table, column, class)).or_insert((table, column, class));
        }
        let outcomes = self.outcomes(&first);

        for (table, column, class) in every {
            match outcomes.get(&kind(table, column, class)) {
                Some(Outcome::Shown { rung, filter, probe }) => {
                    masks.set(table, column, *rung);
                    if *filter {
                        masks.permit_filter(table, column);
                    }
                    if *probe {
                        masks.permit_probe(table, column);
                    }
                }
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
        let Ok(entities) = asker.entities_with_columns(first.values().copied()) else { return HashMap::new() };
        let outcome = |column: (&TableName, &str, Class)| {
            let (_, _, class) = column;
            climb(class, |ask| self.ask_column(ask, column, &entities, asker.lasting()))
        };
        first.iter().map(|(kind, column)| (*kind, outcome(*column))).collect()
    }

    /// The tables that may not be read even redacted, with the policies that forbid it. Known after
    /// [`masks`](Authority::masks).
    pub fn withheld(&self) -> impl Iterator<Item = (&TableName, &[PolicyId])> {
        self.withheld.iter().map(|(table, policies)| (table, policies.as_slice()))
    }
}

fn climb(class: Class, ask: impl Fn(Ask) -> Verdict) -> Outcome {
    if let Verdict::Forbidden(policies) | Verdict::Failed(policies) = ask(Ask::Read(Rung::Redacted)) {
        return Outcome::Withheld(policies.to_vec());
    }
    let permits = |what| matches!(ask(what), Verdict::Permitted(_));
    let rung = match ask(Ask::Read(Rung::Raw)) {
        Verdict::Permitted(_) => Rung::Raw,
        Verdict::Unmentioned if !class.is_protected() => Rung::Raw,
        // there is nothing to coarsen in what is not protected: it is seen or it is not
        _ if !class.is_protected() => Rung::Redacted,
        // identifiers have no coarse form (the last four digits of a number are still part of it), so that rung would
        // show less than the one below; nothing else may be a token, whatever a policy says: names, places and dates
        // are read off how often their tokens occur
        _ if class.may_be_token() && permits(Ask::Read(Rung::Token)) => Rung::Token,
        _ if !class.may_be_token() && permits(Ask::Read(Rung::Partial)) => Rung::Partial,
        _ => Rung::Redacted,
    };
    let masked = rung != Rung::Raw;
    Outcome::Shown { rung, filter: masked && permits(Ask::Filter), probe: masked && permits(Ask::Probe) }
}
