//! Writes, each in a transaction that is rolled back, with a look at the table in between.

use rand::Rng as _;

use super::{Column, Generator, How, Kind, Scope, Source, Statement, Table};

impl Generator<'_> {
    pub(super) fn write(&mut self, place: String) -> Statement {
        let table = self.table();
        let write = self.any_write(&table);
        let write = match write.split_once(" RETURNING ") {
            Some(_) if self.chance(15) => format!("WITH x AS ({write}) SELECT * FROM x"),
            _ => write,
        };
        // what is there now, as far as it is shown
        let look = format!("SELECT count(*), md5(string_agg(x::text, ',' ORDER BY x::text)) FROM {} AS x", table.name);
        Self::steps(place, vec![write, look], How::Sorted, true)
    }

    /// A write to this table.
    pub(super) fn any_write(&mut self, table: &Table) -> String {
        match self.rng.random_range(0..8) {
            0..3 => self.update(table),
            3 | 4 => self.insert(table),
            5 | 6 => self.delete(table),
            _ => self.merge(table),
        }
    }

    fn target(&mut self, table: &Table) -> (String, Scope) {
        let alias = if self.chance(60) { Some(self.fresh("t")) } else { None };
        let columns = table.columns.iter().map(|column| (column.name.clone(), column.kind)).collect();
        // without an alias the target can be named in three parts
        let name = alias.clone().unwrap_or_else(|| {
            let bare = table.name.rsplit('.').next().unwrap_or_default();
            if self.chance(40) { table.name.clone() } else { bare.to_owned() }
        });
        let source = Source { alias: name, columns, key: table.key.clone(), whole: alias.is_some(), rows: 1 };
        let sql = alias.map_or_else(|| table.name.clone(), |alias| format!("{} AS {alias}", table.name));
        (sql, Scope { sources: vec![source] })
    }

    fn returning(&mut self, scope: &Scope) -> String {
        if self.chance(25) {
            return String::new();
        }
        if self.chance(15) {
            return " RETURNING *".to_owned();
        }
        let items: Vec<_> = (0..self.rng.random_range(1..4))
            .map(|n| {
                let kind = self.kind();
                format!("({}) AS r{n}", self.expression(kind, scope, 2))
            })
            .collect();
        format!(" RETURNING {}", items.join(", "))
    }

    fn assignments(&mut self, table: &Table, scope: &Scope) -> Option<String> {
        let columns: Vec<_> =
            table.columns.iter().filter(|column| column.written && Some(&column.name) != table.key.as_ref()).collect();
        let mut set: Vec<String> = Vec::new();
        for _ in 0..self.rng.random_range(1..3) {
            let column = self.pick(&columns)?;
            if set.iter().any(|other| other.starts_with(&format!("{} =", column.name))) {
                continue;
            }
            let value =
                if self.chance(40) { self.literal(column.kind) } else { self.expression(column.kind, scope, 2) };
            set.push(format!("{} = {value}", column.name));
        }
        Some(set.join(", "))
    }

    fn update(&mut self, table: &Table) -> String {
        let (target, mut scope) = self.target(table);
        let own = scope.clone();
        let from = if self.chance(25) {
            let (other, alias) = (self.table(), self.fresh("o"));
            let columns = other.columns.iter().map(|column| (column.name.clone(), column.kind)).collect();
            scope.sources.push(Source { alias: alias.clone(), columns, key: None, whole: true, rows: 1 });
            format!(" FROM (SELECT * FROM {} ORDER BY 1 LIMIT 1) AS {alias}", other.name)
        } else {
            String::new()
        };
        let Some(set) = self.assignments(table, &scope) else { return self.delete(table) };
        let condition = self.predicate(&scope, 2);
        let seen = if self.chance(50) { &own } else { &scope };
        let returning = self.returning(seen);
        format!("UPDATE {target} SET {set}{from} WHERE {condition}{returning}")
    }

    fn delete(&mut self, table: &Table) -> String {
        let (target, scope) = self.target(table);
        let condition = self.predicate(&scope, 2);
        let returning = self.returning(&scope);
        format!("DELETE FROM {target} WHERE {condition}{returning}")
    }

    fn insert(&mut self, table: &Table) -> String {
        let (target, scope) = self.target(table);
        // what is left out has its default
        let left_out: Vec<bool> = table.columns.iter().map(|_| self.chance(20)).collect();
        let written =
            |(column, out): &(&Column, bool)| column.written && (!out || Some(&column.name) == table.key.as_ref());
        let columns: Vec<_> = table.columns.iter().zip(left_out).filter(written).map(|(column, _)| column).collect();
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        let key = table.key.as_deref().unwrap_or_default();
        let id = self.rng.random_range(0..90_000);
        let rows = if self.chance(40) {
            let (from, alias) = (self.table(), self.fresh("i"));
            let columns_of = from.columns.iter().map(|column| (column.name.clone(), column.kind)).collect();
            let inner = Scope {
                sources: vec![Source { alias: alias.clone(), columns: columns_of, key: None, whole: true, rows: 1 }],
            };
            let values: Vec<_> = columns
                .iter()
                .map(|column| if column.name == key { id.to_string() } else { self.expression(column.kind, &inner, 1) })
                .collect();
            format!("SELECT {} FROM (SELECT * FROM {} ORDER BY 1 LIMIT 1) AS {alias}", values.join(", "), from.name)
        } else {
            let values: Vec<_> = columns
                .iter()
                .map(|column| if column.name == key { id.to_string() } else { self.literal(column.kind) })
                .collect();
            format!("VALUES ({})", values.join(", "))
        };
        let conflict = match self.rng.random_range(0..4) {
            0 if !key.is_empty() => match self.assignments(table, &scope) {
                Some(set) => format!(" ON CONFLICT ({key}) DO UPDATE SET {set} WHERE {}", self.predicate(&scope, 1)),
                None => " ON CONFLICT DO NOTHING".to_owned(),
            },
            1 => " ON CONFLICT DO NOTHING".to_owned(),
            _ => String::new(),
        };
        let returning = self.returning(&scope);
        format!("INSERT INTO {target} ({}) {rows}{conflict}{returning}", names.join(", "))
    }

    fn merge(&mut self, table: &Table) -> String {
        let Some(key) = table.key.clone() else { return self.delete(table) };
        let (name, other) = (self.fresh("t"), self.table());
        let columns = table.columns.iter().map(|column| (column.name.clone(), column.kind)).collect();
        let target = Source { alias: name.clone(), columns, key: None, whole: true, rows: 1 };
        let alias = self.fresh("o");
        let columns = other.columns.iter().map(|column| (column.name.clone(), column.kind)).collect();
        let scope =
            Scope { sources: vec![target, Source { alias: alias.clone(), columns, key: None, whole: true, rows: 1 }] };
        let ints = Scope { sources: scope.sources[1..].to_vec() }.columns(Kind::Int);
        let Some(join) = self.pick(&ints) else { return self.delete(table) };
        let condition = self.predicate(&scope, 1);
        let matched = match self.assignments(table, &scope).filter(|_| self.chance(60)) {
            Some(set) => format!("UPDATE SET {set}"),
            None => self.one(&["DELETE", "DO NOTHING"]).to_owned(),
        };
        // one row of the source for one of the target
        format!(
            "MERGE INTO {} AS {name} USING (SELECT DISTINCT ON ({join}) * FROM {} AS {alias} ORDER BY {join}, 1) AS {alias} \
             ON {name}.{key} = {join} WHEN MATCHED AND {condition} THEN {matched}",
            table.name, other.name
        )
    }
}
