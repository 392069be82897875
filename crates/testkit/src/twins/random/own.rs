//! What a session makes for itself, and then reads: temporary tables and views, cursors that writes overtake, statements that
//! are prepared before what they read is filled.

use rand::Rng as _;

use super::{Column, Generator, How, Kind, Statement, Table};

impl Generator<'_> {
    /// A relation of the session's own is made and filled, then read and written like any other.
    pub(super) fn made(&mut self, place: String) -> Statement {
        let mut steps = Vec::new();
        let name = format!("own{}", self.count);
        let is_view = match self.rng.random_range(0..6) {
            0 => {
                self.filled_later(&name, &mut steps);
                false
            }
            1 => {
                self.made_as(&name, "CREATE TEMP VIEW", &mut steps);
                true
            }
            _ => {
                let how = self.one(&["CREATE TEMP TABLE", "CREATE TEMPORARY TABLE", "CREATE TABLE pg_temp."]);
                self.made_as(&name, how, &mut steps);
                self.built_upon(&name, &mut steps);
                false
            }
        };
        for _ in 0..self.rng.random_range(1..4) {
            self.used(is_view, &mut steps);
        }
        self.own = None;
        // what is in it lies in the order that a query without one gave
        Statement { makes: true, ..Self::steps(place, steps, How::Sorted, false) }
    }

    /// What is written, and what is read afterwards by the same session: by another statement, a cursor that was open before,
    /// or a statement that was prepared before.
    pub(super) fn written_and_read(&mut self, place: String) -> Statement {
        let (table, (query, _)) = (self.table(), self.query(1));
        let look = match self.chance(50) {
            true => query,
            false => {
                let condition = self.text_of(&table).map(|text| format!(" WHERE {text} > 'A'")).unwrap_or_default();
                format!("SELECT * FROM {} AS x{condition}", table.name)
            }
        };
        let write = self.any_write(&table);
        let again = self.any_write(&table);
        let steps = match self.rng.random_range(0..3) {
            0 => vec![
                format!("DECLARE c CURSOR FOR {look}"),
                write,
                "FETCH ALL FROM c".to_owned(),
                again,
                "CLOSE c".to_owned(),
                look,
            ],
            1 => vec![format!("PREPARE q AS {look}"), write, "EXECUTE q".to_owned(), again, "EXECUTE q".to_owned()],
            _ => vec![format!("PREPARE q AS {write}"), "EXECUTE q".to_owned(), look.clone(), again, look],
        };
        Self::steps(place, steps, How::Sorted, true)
    }

    fn made_as(&mut self, name: &str, how: &str, steps: &mut Vec<String>) {
        let (query, outputs) = self.named();
        let name_of = if how.ends_with('.') { format!("{how}{name}") } else { format!("{how} {name}") };
        let made = match query.strip_prefix("SELECT ") {
            // the other way to say it, where a clause stands before `FROM`
            Some(_) if how == "CREATE TEMPORARY TABLE" && !query.starts_with("SELECT DISTINCT") => {
                let items = outputs.iter().map(|(name, _)| format!("s.{name}")).collect::<Vec<_>>().join(", ");
                format!("SELECT {items} INTO TEMP {name} FROM ({query}) AS s")
            }
            _ => format!("{name_of} AS {query}"),
        };
        steps.push(made);
        self.remember(name, &outputs);
    }

    /// A table of columns, and rows that come afterwards; what is prepared in between is as old as the empty table.
    fn filled_later(&mut self, name: &str, steps: &mut Vec<String>) {
        let (query, outputs) = self.named();
        let columns: Vec<_> = outputs.iter().map(|(name, kind)| format!("{name} {}", kind.sql())).collect();
        let dropped = self.one(&["", "", " ON COMMIT DROP", " ON COMMIT PRESERVE ROWS"]);
        steps.push(format!("CREATE TEMP TABLE {name} ({}){dropped}", columns.join(", ")));
        self.remember(name, &outputs);
        let before = self.chance(40).then(|| self.query(1).0);
        if let Some(before) = &before {
            steps.push(format!("PREPARE early AS {before}"));
        }
        let returning = self.one(&["", " RETURNING *", " RETURNING own::text"]).replace("own", name);
        steps.push(format!("INSERT INTO {name} {query}{returning}"));
        if before.is_some() {
            steps.push("EXECUTE early".to_owned());
        }
    }

    /// An index, statistics, a column more.
    fn built_upon(&mut self, name: &str, steps: &mut Vec<String>) {
        let Some(column) = self.own.clone().and_then(|own| self.pick(&own.columns)) else { return };
        match self.rng.random_range(0..8) {
            0 => steps.push(format!("CREATE INDEX ON {name} ({})", column.name)),
            1 => steps.push(format!("ANALYZE {name}")),
            2 => {
                steps.push(format!("ALTER TABLE {name} ADD COLUMN more int DEFAULT 7"));
                steps.push(format!("UPDATE {name} SET more = (SELECT count(*)::int FROM {name})"));
            }
            _ => {}
        }
    }

    fn used(&mut self, is_view: bool, steps: &mut Vec<String>) {
        let own = self.own.clone();
        match (self.rng.random_range(0..10), own) {
            // a cursor sees what was there when it was opened
            (0, Some(own)) if !is_view => {
                let (query, _) = self.query(1);
                let write = self.any_write(&own);
                steps.extend([format!("DECLARE c CURSOR FOR {query}"), write, "FETCH ALL FROM c".to_owned()]);
                steps.push("CLOSE c".to_owned());
            }
            (1 | 2, Some(own)) if !is_view => steps.push(self.any_write(&own)),
            // rows of it go into a table that stays
            (3, _) => {
                let table = self.tables[self.rng.random_range(0..self.tables.len())].clone();
                steps.push(self.any_write(&table));
            }
            (4, _) => {
                let (query, _) = self.query(1);
                steps.push(format!("COPY ({query}) TO STDOUT"));
            }
            (5, Some(own)) => {
                let text = self.text_of(&own).unwrap_or_else(|| "x::text".to_owned());
                let value = self.one(&["Adams", "M", "", "icu", "021"]);
                let name = self.fresh("p");
                steps
                    .push(format!("PREPARE {name}(text) AS SELECT count(*) FROM {} AS x WHERE {text} >= $1", own.name));
                steps.push(format!("EXECUTE {name}('{value}')"));
            }
            _ => steps.push(self.query(0).0),
        }
    }

    /// A query whose outputs have names.
    fn named(&mut self) -> (String, Vec<(String, Kind)>) {
        loop {
            let (query, outputs) = self.outermost();
            if !outputs.is_empty() {
                return (query, outputs);
            }
        }
    }

    fn remember(&mut self, name: &str, outputs: &[(String, Kind)]) {
        let column = |(name, kind): &(String, Kind)| Column { name: name.clone(), kind: *kind, written: true };
        let columns = outputs.iter().map(column).collect();
        self.own = Some(Table { name: name.to_owned(), columns, key: None, rows: self.rows });
    }

    fn text_of(&mut self, table: &Table) -> Option<String> {
        self.pick(&table.columns).map(|column| format!("x.{}::text", column.name))
    }
}
