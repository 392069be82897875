//! Queries: what stands in `FROM`, what is grouped, how it is ordered.

use rand::Rng as _;

use super::{Generator, Kind, Scope, Source};

/// Tables above this many rows are not looked through for each row of another.
const LARGE: usize = 400;

/// A `FROM` has no more rows than this, however its conditions come out.
const MOST: usize = 20_000;

/// Columns of a result, by their place.
type Outputs = Vec<(String, Kind)>;

impl Generator<'_> {
    /// A query, and whether it says in which order its rows come.
    pub(super) fn query(&mut self, depth: u32) -> (String, bool) {
        let with = self.chance(12).then(|| self.with(depth));
        let (body, outputs) = self.body(depth, with.as_ref().map(|(_, source)| source));
        let with = with.map(|(with, _)| with).unwrap_or_default();
        // a row with a part that has no order cannot be ordered by
        let sortable = !outputs.is_empty();
        if sortable && self.chance(55) {
            let places: Vec<_> = (1..=outputs.len())
                .map(|place| format!("{place}{}", self.one(&["", " DESC", " NULLS FIRST"])))
                .collect();
            let limit = self.one(&["", "", " LIMIT 7", " LIMIT 5 OFFSET 2", " FETCH FIRST 3 ROWS WITH TIES"]);
            (format!("{with}{body} ORDER BY {}{limit}", places.join(", ")), true)
        } else {
            (format!("{with}{body}"), false)
        }
    }

    fn body(&mut self, depth: u32, with: Option<&Source>) -> (String, Outputs) {
        match self.rng.random_range(0..12) {
            0 => self.set_operation(depth, with),
            1 => self.grouping_sets(),
            _ => self.select(depth, &Scope::default(), with, None),
        }
    }

    /// A query without an order, and its outputs; none if they cannot be named.
    pub(super) fn outermost(&mut self) -> (String, Outputs) {
        self.body(0, None)
    }

    fn with(&mut self, depth: u32) -> (String, Source) {
        let name = self.fresh("w");
        let (body, outputs) = self.select(depth + 1, &Scope::default(), None, None);
        let how = self.one(&["", "MATERIALIZED ", "NOT MATERIALIZED "]);
        let recursive = self.one(&["", "RECURSIVE "]);
        let source = Source { alias: name.clone(), columns: outputs, key: None, whole: true, rows: self.rows };
        (format!("WITH {recursive}{name} AS {how}({body}) "), source)
    }

    /// `SELECT …` without an order, and its outputs; none if they cannot be named.
    fn select(&mut self, depth: u32, outer: &Scope, with: Option<&Source>, only: Option<&[Kind]>) -> (String, Outputs) {
        let (from, scope, rows) = self.from(depth, outer, with);
        let selected = self.select_from(depth, outer, (from, scope), only);
        self.rows = rows;
        selected
    }

    fn select_from(
        &mut self,
        depth: u32,
        outer: &Scope,
        (from, scope): (String, Scope),
        only: Option<&[Kind]>,
    ) -> (String, Outputs) {
        let mut all = scope.clone();
        all.sources.extend(outer.sources.iter().cloned());
        let condition =
            if self.chance(65) { format!(" WHERE {}", self.predicate(&all, 3 - depth.min(2))) } else { String::new() };
        if only.is_none() && self.chance(8) {
            let source = self.pick(&scope.sources).map(|source| source.alias).unwrap_or_default();
            let what = self
                .one(&["row_to_json(@)", "@", "@.*", "(@).*", "@::text", "to_jsonb(@)", "md5(@::text)"])
                .replace('@', &source);
            let locked = if depth == 0 && self.chance(15) { " FOR UPDATE" } else { "" };
            return (format!("SELECT {what} FROM {from}{condition}{locked}"), Vec::new());
        }
        if self.chance(25) {
            return self.grouped(&from, &condition, &all, only);
        }
        let kinds = match only {
            Some(kinds) => kinds.to_vec(),
            None => (0..self.rng.random_range(1..5)).map(|_| self.kind()).collect(),
        };
        let mut items = Vec::new();
        let mut outputs = Vec::new();
        for kind in kinds {
            let name = self.fresh("c");
            let window = if kind == Kind::Int && self.chance(15) { self.window(&scope, &all) } else { None };
            let item = window.unwrap_or_else(|| self.expression(kind, &all, 3 - depth.min(2)));
            items.push(format!("({item}) AS {name}"));
            outputs.push((name, kind));
        }
        let distinct = if self.chance(10) { "DISTINCT " } else { "" };
        (format!("SELECT {distinct}{} FROM {from}{condition}", items.join(", ")), outputs)
    }

    fn grouped(&mut self, from: &str, condition: &str, scope: &Scope, only: Option<&[Kind]>) -> (String, Outputs) {
        let groups = self.rng.random_range(0..3);
        let mut items = Vec::new();
        let mut outputs = Vec::new();
        let mut by = Vec::new();
        if only.is_none() {
            for _ in 0..groups {
                let kind = self.kind();
                let (key, name) = (self.expression(kind, scope, 2), self.fresh("g"));
                items.push(format!("({key}) AS {name}"));
                by.push((items.len()).to_string());
                outputs.push((name, kind));
            }
        }
        let wanted = only.map_or_else(|| vec![self.one_of(&[Kind::Int, Kind::Text, Kind::Number])], <[Kind]>::to_vec);
        for kind in wanted {
            let name = self.fresh("a");
            items.push(format!("({}) AS {name}", self.aggregate(kind, scope)));
            outputs.push((name, kind));
        }
        let by = if by.is_empty() { String::new() } else { format!(" GROUP BY {}", by.join(", ")) };
        let having = if self.chance(25) {
            format!(" HAVING {} > {}", self.aggregate(Kind::Int, scope), self.literal(Kind::Int))
        } else {
            String::new()
        };
        (format!("SELECT {} FROM {from}{condition}{by}{having}", items.join(", ")), outputs)
    }

    fn one_of(&mut self, kinds: &[Kind]) -> Kind {
        kinds[self.rng.random_range(0..kinds.len())]
    }

    /// An aggregate whose value does not depend on the order of rows.
    fn aggregate(&mut self, kind: Kind, scope: &Scope) -> String {
        let inner = self.expression(kind, scope, 1);
        let filter =
            if self.chance(20) { format!(" FILTER (WHERE {})", self.predicate(scope, 1)) } else { String::new() };
        let aggregate = match kind {
            Kind::Int => {
                let other = self.kind();
                let counted = self.expression(other, scope, 1);
                match self.rng.random_range(0..5) {
                    0 => format!("max({inner}){filter}"),
                    1 => format!("min({inner}){filter}"),
                    2 => format!("count(DISTINCT {counted}){filter}::int"),
                    3 => format!("count({counted}){filter}::int"),
                    _ => format!("count(*){filter}::int"),
                }
            }
            Kind::Number => match self.rng.random_range(0..4) {
                0 => format!("sum({inner}){filter}"),
                1 => format!("avg({inner}){filter}"),
                2 => format!("percentile_disc(0.5) WITHIN GROUP (ORDER BY {inner})"),
                _ => format!("max({inner}){filter}"),
            },
            Kind::Text => match self.rng.random_range(0..4) {
                0 => format!("string_agg({inner}, ',' ORDER BY {inner}){filter}"),
                1 => format!("max({inner}){filter}"),
                2 => format!("min({inner}){filter}"),
                _ => format!("(mode() WITHIN GROUP (ORDER BY {inner}))"),
            },
            Kind::Bool => format!("bool_or({inner}){filter}"),
            Kind::Json => format!("jsonb_agg({inner} ORDER BY {inner}){filter}"),
            Kind::Uuid | Kind::Bytes => format!("(array_agg({inner} ORDER BY {inner}){filter})[1]"),
            Kind::Date | Kind::Timestamp | Kind::Instant => format!("{}({inner}){filter}", self.one(&["min", "max"])),
        };
        format!("({aggregate})")
    }

    /// A window function of an order that leaves no ties, or that ties do not change.
    fn window(&mut self, scope: &Scope, all: &Scope) -> Option<String> {
        let keys = scope.keys()?;
        let kind = self.kind();
        let (by, part) = (self.expression(kind, all, 1), self.expression(Kind::Text, all, 1));
        let partition = if self.chance(40) { format!("PARTITION BY {part} ") } else { String::new() };
        let total = format!("{partition}ORDER BY {by}, {}", keys.join(", "));
        Some(match self.rng.random_range(0..5) {
            0 => format!("(row_number() OVER ({total}))::int"),
            1 => format!("(lag({}) OVER ({total}))", self.expression(Kind::Int, all, 1)),
            2 => format!("(ntile(4) OVER ({total}))"),
            3 => format!("(rank() OVER ({partition}ORDER BY {by}))::int"),
            _ => format!("(count(*) OVER ({partition}ORDER BY {by}))::int"),
        })
    }

    fn set_operation(&mut self, depth: u32, with: Option<&Source>) -> (String, Outputs) {
        let kinds: Vec<_> = (0..self.rng.random_range(1..4)).map(|_| self.kind()).collect();
        let (left, outputs) = self.select(depth + 1, &Scope::default(), with, Some(&kinds));
        let (right, _) = self.select(depth + 1, &Scope::default(), with, Some(&kinds));
        let operation = self.one(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"]);
        (format!("({left}) {operation} ({right})"), outputs)
    }

    fn grouping_sets(&mut self) -> (String, Outputs) {
        let (table, alias) = (self.table(), self.fresh("t"));
        let columns: Vec<_> = table.columns.iter().filter(|column| column.kind != Kind::Json).collect();
        let (Some(a), Some(b)) = (self.pick(&columns), self.pick(&columns)) else {
            return ("SELECT 1 AS c".into(), vec![("c".into(), Kind::Int)]);
        };
        let sets = self
            .one(&["GROUPING SETS ((@), (#), ())", "ROLLUP (@, #)", "CUBE (@, #)"])
            .replace('@', &format!("{alias}.{}", a.name));
        let sets = sets.replace('#', &format!("{alias}.{}", b.name));
        let sql = format!(
            "SELECT {alias}.{} AS c1, {alias}.{} AS c2, count(*)::int AS c3 FROM {} {alias} GROUP BY {sets}",
            a.name, b.name, table.name
        );
        (sql, vec![("c1".into(), a.kind), ("c2".into(), b.kind), ("c3".into(), Kind::Int)])
    }

    fn from(&mut self, depth: u32, outer: &Scope, with: Option<&Source>) -> (String, Scope, usize) {
        let (mut sql, first) = self.source(depth, outer, with);
        let mut rows = first.rows;
        let mut scope = Scope { sources: vec![first] };
        for _ in 0..self.rng.random_range(0..3_u32).saturating_sub(depth) {
            let lateral = self.chance(12);
            let (item, source) = match lateral {
                true => self.lateral(depth, &scope),
                false => self.source(depth, outer, with),
            };
            if rows * source.rows > MOST {
                continue;
            }
            rows *= source.rows;
            scope.sources.push(source);
            let kind = self.one_of(&[Kind::Int, Kind::Int, Kind::Text, Kind::Date]);
            let (left, right) = (self.last_but_one(&scope, kind), self.last(&scope, kind));
            match (left, right) {
                (Some(left), Some(right)) => {
                    let join = self.one(&["JOIN", "LEFT JOIN", "JOIN", "FULL JOIN"]);
                    let join = if lateral { "LEFT JOIN" } else { join };
                    let more = if join == "JOIN" && self.chance(20) {
                        format!(" AND {}", self.predicate(&scope, 1))
                    } else {
                        String::new()
                    };
                    sql = format!("{sql} {join} {item} ON {left} = {right}{more}");
                }
                _ => sql = format!("{sql} CROSS JOIN {item}"),
            }
        }
        (sql, scope, rows)
    }

    fn last(&mut self, scope: &Scope, kind: Kind) -> Option<String> {
        let last = Scope { sources: scope.sources.last().cloned().into_iter().collect() };
        self.pick(&last.columns(kind))
    }

    fn last_but_one(&mut self, scope: &Scope, kind: Kind) -> Option<String> {
        let before = Scope { sources: scope.sources.iter().rev().skip(1).cloned().collect() };
        self.pick(&before.columns(kind))
    }

    fn source(&mut self, depth: u32, outer: &Scope, with: Option<&Source>) -> (String, Source) {
        if let Some(with) = with.filter(|_| self.chance(60)) {
            let alias = self.fresh("t");
            return (format!("{} AS {alias}", with.alias), Source { alias, ..with.clone() });
        }
        match self.rng.random_range(0..12) {
            0 if depth < 2 => {
                let (body, columns) = self.select(depth + 1, outer, None, Some(&[Kind::Int, Kind::Text]));
                let alias = self.fresh("s");
                (format!("({body}) AS {alias}"), Source { alias, columns, key: None, whole: true, rows: self.rows })
            }
            1 => {
                let alias = self.fresh("f");
                let columns = vec![("n".to_owned(), Kind::Int)];
                (
                    format!("generate_series(1, 5) AS {alias}(n)"),
                    Source { key: Some("n".into()), alias, columns, whole: false, rows: 5 },
                )
            }
            2 => {
                let alias = self.fresh("v");
                let rows: Vec<_> = (0..3)
                    .map(|n| format!("({n}, {}, {})", self.literal(Kind::Text), self.literal(Kind::Date)))
                    .collect();
                let columns =
                    vec![("n".to_owned(), Kind::Int), ("x".to_owned(), Kind::Text), ("d".to_owned(), Kind::Date)];
                (
                    format!("(VALUES {}) AS {alias}(n, x, d)", rows.join(", ")),
                    Source { key: Some("n".into()), alias, columns, whole: true, rows: 3 },
                )
            }
            _ => {
                let (table, alias) = (self.table(), self.fresh("t"));
                let columns = table.columns.iter().map(|column| (column.name.clone(), column.kind)).collect();
                let rows = table.rows;
                let source = Source { alias: alias.clone(), columns, key: table.key.clone(), whole: true, rows };
                let only = self.one(&["", "", "", "ONLY "]);
                (format!("{only}{} AS {alias}", table.name), source)
            }
        }
    }

    fn lateral(&mut self, depth: u32, scope: &Scope) -> (String, Source) {
        let alias = self.fresh("l");
        let (body, columns) = self.select((depth + 1).max(2), scope, None, Some(&[Kind::Int, Kind::Text]));
        (
            format!("LATERAL ({body} ORDER BY 1, 2 LIMIT 2) AS {alias}"),
            Source { alias, columns, key: None, whole: true, rows: 2 },
        )
    }

    /// A subquery with one column and one row.
    pub(super) fn scalar(&mut self, kind: Kind, scope: &Scope, left: u32) -> String {
        let (table, alias) = (self.table(), self.fresh("q"));
        let source = Source {
            alias: alias.clone(),
            columns: table.columns.iter().map(|column| (column.name.clone(), column.kind)).collect(),
            key: None,
            whole: true,
            rows: table.rows,
        };
        let inner = Scope { sources: vec![source] };
        let mut both = inner.clone();
        both.sources.extend(scope.sources.iter().take(usize::from(table.rows <= LARGE)).cloned());
        let condition = self.predicate(&both, left.min(1));
        format!("(SELECT {} FROM {} AS {alias} WHERE {condition})", self.aggregate(kind, &inner), table.name)
    }

    /// A subquery with one column.
    pub(super) fn single(&mut self, kind: Kind, scope: &Scope, left: u32) -> String {
        let (table, alias) = (self.table(), self.fresh("q"));
        let columns = table.columns.iter().map(|column| (column.name.clone(), column.kind)).collect();
        let mut inner =
            Scope { sources: vec![Source { alias: alias.clone(), columns, key: None, whole: true, rows: table.rows }] };
        let condition = if self.chance(50) {
            inner.sources.extend(scope.sources.iter().take(usize::from(table.rows <= LARGE)).cloned());
            let condition = self.predicate(&inner, left.min(1));
            inner.sources.truncate(1);
            format!(" WHERE {condition}")
        } else {
            String::new()
        };
        format!("SELECT {} FROM {} AS {alias}{condition}", self.expression(kind, &inner, 1), table.name)
    }

    pub(super) fn exists(&mut self, scope: &Scope, left: u32) -> String {
        let not = self.one(&["", "NOT "]);
        let kind = self.kind();
        format!("{not}EXISTS ({})", self.single(kind, scope, left))
    }
}
