//! Random statements over tables that exist: what the grammar allows, with names and types that fit, so that most of them
//! run. Predicates, joins, orders and casts fall on masked columns as often as on others.
//!
//! The same seed gives the same statements. No clock and no random function is in them, and what depends on the order of
//! rows (`LIMIT`, `row_number`, aggregates that join strings) has an order: two equal databases answer alike.

mod expression;
mod own;
mod query;
mod write;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::compare::How;
use super::entry::{Entry, Step};

/// What kind of values an expression has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `int4`.
    Int,
    /// `numeric`.
    Number,
    /// `text`, `varchar`, `char(n)`.
    Text,
    /// `boolean`.
    Bool,
    /// `date`.
    Date,
    /// `timestamp`.
    Timestamp,
    /// `timestamptz`.
    Instant,
    /// `jsonb`.
    Json,
    /// `uuid`.
    Uuid,
    /// `bytea`.
    Bytes,
}

impl Kind {
    const ALL: [Kind; 10] = [
        Kind::Int,
        Kind::Number,
        Kind::Text,
        Kind::Bool,
        Kind::Date,
        Kind::Timestamp,
        Kind::Instant,
        Kind::Json,
        Kind::Uuid,
        Kind::Bytes,
    ];

    /// The kind of a type, by its name in `pg_type`; none for those that the grammar has no expressions for.
    pub fn of(type_name: &str) -> Option<Kind> {
        match type_name {
            "int2" | "int4" => Some(Kind::Int),
            "numeric" => Some(Kind::Number),
            "text" | "varchar" | "bpchar" => Some(Kind::Text),
            "bool" => Some(Kind::Bool),
            "date" => Some(Kind::Date),
            "timestamp" => Some(Kind::Timestamp),
            "timestamptz" => Some(Kind::Instant),
            "jsonb" => Some(Kind::Json),
            "uuid" => Some(Kind::Uuid),
            "bytea" => Some(Kind::Bytes),
            _ => None,
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Kind::Int => "int",
            Kind::Number => "numeric",
            Kind::Text => "text",
            Kind::Bool => "bool",
            Kind::Date => "date",
            Kind::Timestamp => "timestamp",
            Kind::Instant => "timestamptz",
            Kind::Json => "jsonb",
            Kind::Uuid => "uuid",
            Kind::Bytes => "bytea",
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether a write may name it: not if it is generated.
    pub written: bool,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name, with the schema.
    pub name: String,
    /// Its columns, those with a kind.
    pub columns: Vec<Column>,
    /// The column of its primary key.
    pub key: Option<String>,
    /// How many rows it has, about: large ones are not crossed.
    pub rows: usize,
}

/// A random statement.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What is sent.
    pub entry: Entry,
    /// How its answers are compared.
    pub how: How,
    /// Whether it writes.
    pub writes: bool,
    /// Whether it makes relations of the session's own.
    pub makes: bool,
}

/// Makes statements, one after the other.
#[derive(Debug)]
pub struct Generator<'t> {
    rng: StdRng,
    tables: &'t [Table],
    names: usize,
    count: usize,
    /// How many rows the last query made has at most, about.
    rows: usize,
    /// What the session has made for itself in the statement at hand.
    own: Option<Table>,
}

/// What a part of a statement may name.
#[derive(Debug, Clone, Default)]
struct Scope {
    sources: Vec<Source>,
}

/// An item of `FROM`.
#[derive(Debug, Clone)]
struct Source {
    alias: String,
    columns: Vec<(String, Kind)>,
    /// A column that tells its rows apart.
    key: Option<String>,
    /// Whether its name alone is a row.
    whole: bool,
    /// How many rows it has at most, about.
    rows: usize,
}

impl Scope {
    fn columns(&self, kind: Kind) -> Vec<String> {
        let of = |source: &Source| {
            let of_kind = source.columns.iter().filter(|(_, other)| *other == kind);
            of_kind.map(|(name, _)| format!("{}.{name}", source.alias)).collect::<Vec<_>>()
        };
        self.sources.iter().flat_map(of).collect()
    }

    fn keys(&self) -> Option<Vec<String>> {
        self.sources.iter().map(|source| Some(format!("{}.{}", source.alias, source.key.as_ref()?))).collect()
    }
}

impl<'t> Generator<'t> {
    /// Statements over these tables.
    ///
    /// # Panics
    /// There is no table.
    pub fn new(tables: &'t [Table], seed: u64) -> Self {
        assert!(!tables.is_empty(), "no tables");
        Generator { rng: StdRng::seed_from_u64(seed), tables, names: 0, count: 0, rows: 1, own: None }
    }

    /// The next statement.
    pub fn statement(&mut self) -> Statement {
        self.names = 0;
        self.count += 1;
        let place = format!("random:{}", self.count);
        match self.rng.random_range(0..24) {
            0..3 => self.write(place),
            3 => self.cursor(place),
            4 => self.copy(place),
            5 => self.prepared(place),
            6 | 7 => self.made(place),
            8 => self.written_and_read(place),
            _ => {
                let (query, sorted) = self.query(0);
                let how = if sorted { How::Bytes } else { How::Sorted };
                Statement { entry: Entry::single(place, query), how, writes: false, makes: false }
            }
        }
    }

    fn steps(place: String, steps: Vec<String>, how: How, writes: bool) -> Statement {
        let steps = steps.into_iter().map(Step::new).collect();
        Statement { entry: Entry { place, steps, sequence: true, in_transaction: true }, how, writes, makes: false }
    }

    fn cursor(&mut self, place: String) -> Statement {
        let (query, sorted) = self.query(0);
        let scroll = self.one(&["", "SCROLL ", "NO SCROLL ", "BINARY "]);
        let fetch = if sorted {
            self.one(&["FETCH 3 FROM c", "FETCH ALL FROM c", "FETCH FORWARD 2 FROM c"])
        } else {
            "FETCH ALL FROM c"
        };
        let steps = vec![format!("DECLARE c {scroll}CURSOR FOR {query}"), fetch.to_owned(), "CLOSE c".to_owned()];
        Self::steps(place, steps, if sorted { How::Bytes } else { How::Sorted }, false)
    }

    fn copy(&mut self, place: String) -> Statement {
        let (query, sorted) = self.query(1);
        let options = self.one(&["", " WITH (FORMAT csv)", " WITH (FORMAT csv, HEADER)", " WITH (NULL 'nil')"]);
        let how = if sorted { How::Bytes } else { How::Sorted };
        Statement {
            entry: Entry::single(place, format!("COPY ({query}) TO STDOUT{options}")),
            how,
            writes: false,
            makes: false,
        }
    }

    fn prepared(&mut self, place: String) -> Statement {
        let (query, sorted) = self.query(1);
        let steps = vec![format!("PREPARE q AS {query}"), "EXECUTE q".to_owned(), "EXECUTE q".to_owned()];
        Self::steps(place, steps, if sorted { How::Bytes } else { How::Sorted }, false)
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.choose(&mut self.rng).copied().unwrap_or_default()
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        of.choose(&mut self.rng).cloned()
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn kind(&mut self) -> Kind {
        // text and numbers as often as all others together
        match self.rng.random_range(0..4) {
            0 => Kind::Text,
            1 => Kind::Int,
            _ => Kind::ALL[self.rng.random_range(0..Kind::ALL.len())],
        }
    }

    fn fresh(&mut self, what: &str) -> String {
        self.names += 1;
        format!("{what}{}", self.names)
    }

    /// A table, the session's own as often as not if there is one.
    fn table(&mut self) -> Table {
        if let Some(own) = self.own.clone()
            && self.chance(60)
        {
            return own;
        }
        self.tables[self.rng.random_range(0..self.tables.len())].clone()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn tables() -> Vec<Table> {
        let column = |(name, kind): &(&str, Kind)| Column { name: (*name).to_owned(), kind: *kind, written: true };
        let table = |name: &str, columns: &[(&str, Kind)]| Table {
            name: name.to_owned(),
            columns: columns.iter().map(column).collect(),
            key: Some("id".to_owned()),
            rows: 50,
        };
        vec![
            table("clinic.a", &[("id", Kind::Int), ("name", Kind::Text), ("born", Kind::Date)]),
            table("clinic.b", &[("id", Kind::Int), ("amount", Kind::Number), ("data", Kind::Json)]),
        ]
    }

    #[test]
    fn a_seed_tells_all_and_statements_are_of_all_kinds() {
        let tables = tables();
        let made = |seed| {
            let mut generator = Generator::new(&tables, seed);
            (0..2000).map(|_| generator.statement().entry.text()).collect::<Vec<_>>()
        };
        let statements = made(1);
        assert_eq!(statements, made(1));
        assert_ne!(statements, made(2));
        let distinct: BTreeSet<_> = statements.iter().collect();
        assert!(distinct.len() > 1900, "{}", distinct.len());
        for part in [
            "JOIN",
            "LATERAL",
            "WITH",
            "UNION",
            "GROUP BY",
            "HAVING",
            "OVER",
            "LIMIT",
            "EXISTS",
            "RETURNING",
            "MERGE",
            "ON CONFLICT",
            "COPY",
            "DECLARE",
            "FOR UPDATE",
            "GROUPING SETS",
            "TEMP TABLE",
            "TEMP VIEW",
            "INTO TEMP",
            "INSERT INTO own",
            "JOIN own",
            "PREPARE early",
        ] {
            assert!(statements.iter().any(|statement| statement.contains(part)), "{part}");
        }
    }
}
