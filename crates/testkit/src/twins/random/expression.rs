//! Expressions of a kind, over what is in scope.

use rand::Rng as _;

use super::{Generator, Kind, Scope};

impl Generator<'_> {
    /// An expression of this kind. `left` is how deep it may still be.
    pub(super) fn expression(&mut self, kind: Kind, scope: &Scope, left: u32) -> String {
        let columns = scope.columns(kind);
        if left == 0 || self.chance(35) {
            return match self.pick(&columns) {
                Some(column) if self.chance(85) => column,
                _ => self.literal(kind),
            };
        }
        if self.chance(12) {
            return self.any(kind, scope, left);
        }
        match kind {
            Kind::Int => self.int(scope, left),
            Kind::Number => self.number(scope, left),
            Kind::Text => self.text(scope, left),
            Kind::Bool => format!("({})", self.predicate(scope, left)),
            Kind::Date => {
                let (date, instant) =
                    (self.expression(Kind::Date, scope, left - 1), self.expression(Kind::Timestamp, scope, left - 1));
                let days = self.rng.random_range(1..400);
                match self.rng.random_range(0..4) {
                    0 => format!("({date} + {days})"),
                    1 => format!("({instant})::date"),
                    2 => format!("date_trunc('month', {date}::timestamp)::date"),
                    _ => format!("greatest({date}, '1960-05-17'::date)"),
                }
            }
            Kind::Timestamp => {
                let date = self.expression(Kind::Date, scope, left - 1);
                let instant = self.expression(Kind::Instant, scope, left - 1);
                match self.rng.random_range(0..3) {
                    0 => format!("({date} + interval '{} hours')", self.rng.random_range(1..4000)),
                    1 => format!("({instant} AT TIME ZONE 'UTC')"),
                    _ => format!("date_trunc('quarter', {date}::timestamp)"),
                }
            }
            Kind::Instant => {
                let stamp = self.expression(Kind::Timestamp, scope, left - 1);
                format!("({stamp} AT TIME ZONE '{}')", self.one(&["UTC", "America/New_York", "Asia/Kolkata"]))
            }
            Kind::Json => {
                let inner = self.kind();
                let value = self.expression(inner, scope, left - 1);
                match self.pick(&scope.sources).filter(|source| source.whole) {
                    Some(source) if self.chance(40) => format!("to_jsonb({})", source.alias),
                    _ => match self.rng.random_range(0..3) {
                        0 => format!("to_jsonb({value})"),
                        1 => format!("jsonb_build_array({value}, 1)"),
                        _ => format!("jsonb_build_object('a', {value}, 'b', {})", self.literal(Kind::Int)),
                    },
                }
            }
            Kind::Uuid => {
                let text = self.expression(Kind::Text, scope, left - 1);
                format!("md5({text})::uuid")
            }
            Kind::Bytes => {
                let text = self.expression(Kind::Text, scope, left - 1);
                self.wrap(&[("convert_to(", ", 'UTF8')"), ("sha256(convert_to(", ", 'UTF8'))")], &text)
            }
        }
    }

    /// What there is of every kind.
    fn any(&mut self, kind: Kind, scope: &Scope, left: u32) -> String {
        let (a, b) = (self.expression(kind, scope, left - 1), self.expression(kind, scope, left - 1));
        match self.rng.random_range(0..6) {
            0 => format!("coalesce({a}, {b})"),
            1 => format!("CASE WHEN {} THEN {a} ELSE {b} END", self.predicate(scope, left - 1)),
            2 if kind != Kind::Json => format!("nullif({a}, {b})"),
            3 if !matches!(kind, Kind::Bool | Kind::Bytes | Kind::Json | Kind::Uuid) => self.scalar(kind, scope, left),
            4 => format!("(ARRAY[{a}, {b}])[{}]", self.rng.random_range(0..4)),
            _ => format!("({a})::{}", kind.sql()),
        }
    }

    fn int(&mut self, scope: &Scope, left: u32) -> String {
        let (a, b) = (self.expression(Kind::Int, scope, left - 1), self.expression(Kind::Int, scope, left - 1));
        match self.rng.random_range(0..9) {
            0 => format!("({a} % 1000 + {b} % 1000)"),
            1 => format!("({a} % 1000 * ({b} % 100))"),
            2 => format!("({a} / nullif({b}, 0))"),
            3 => format!("extract(year FROM {})::int", self.expression(Kind::Date, scope, left - 1)),
            4 => self.scalar(Kind::Int, scope, left),
            // one in a hundred may fail
            5 if self.chance(10) => format!("({})::int", self.expression(Kind::Text, scope, left - 1)),
            _ => {
                let text = self.expression(Kind::Text, scope, left - 1);
                self.wrap(
                    &[
                        ("length(", ")"),
                        ("ascii(", ")"),
                        ("strpos(", ", 'a')"),
                        ("hashtext(", ")"),
                        ("octet_length(", ")"),
                        ("num_nulls(", ")"),
                    ],
                    &text,
                )
            }
        }
    }

    fn number(&mut self, scope: &Scope, left: u32) -> String {
        let (a, b) = (self.expression(Kind::Number, scope, left - 1), self.expression(Kind::Int, scope, left - 1));
        match self.rng.random_range(0..5) {
            0 => format!("round({a}, 2)"),
            1 => format!("({a} + {b})"),
            2 => format!("({a} / nullif({b}, 0))::numeric(30, 3)"),
            3 => format!("extract(epoch FROM {})", self.expression(Kind::Timestamp, scope, left - 1)),
            _ => format!("abs({b}::numeric)"),
        }
    }

    fn text(&mut self, scope: &Scope, left: u32) -> String {
        let text = self.expression(Kind::Text, scope, left - 1);
        let n = self.rng.random_range(1..6);
        match self.rng.random_range(0..12) {
            0 => format!("substr({text}, {n}, 3)"),
            1 => format!("left({text}, {n})"),
            2 => format!("({text} || {})", self.expression(Kind::Text, scope, left - 1)),
            3 => format!("lpad({text}, {}, '*')", n * 4),
            4 => format!("split_part({text}, ' ', {n})"),
            5 => format!("regexp_replace({text}, '[aeiou]+', '-', 'g')"),
            6 => format!("format('%s/%s', {text}, {})", self.expression(Kind::Int, scope, left - 1)),
            7 => format!("to_char({}, 'YYYY-MM-DD')", self.expression(Kind::Date, scope, left - 1)),
            8 => {
                let json = self.expression(Kind::Json, scope, left - 1);
                format!("({json} ->> '{}')", self.one(&["a", "last_name", "ssn", "id", "name", "b"]))
            }
            9 => {
                let kind = self.kind();
                format!("({})::text", self.expression(kind, scope, left - 1))
            }
            _ => self.wrap(
                &[
                    ("upper(", ")"),
                    ("lower(", ")"),
                    ("initcap(", ")"),
                    ("reverse(", ")"),
                    ("md5(", ")"),
                    ("btrim(", ")"),
                    ("quote_nullable(", ")"),
                    ("translate(", ", '0123456789', 'abcdefghij')"),
                    ("encode(convert_to(", ", 'UTF8'), 'hex')"),
                    ("encode(convert_to(", ", 'UTF8'), 'base64')"),
                    ("concat('<', ", ", '>')"),
                ],
                &text,
            ),
        }
    }

    pub(super) fn predicate(&mut self, scope: &Scope, left: u32) -> String {
        let kind = self.kind();
        let deeper = left.saturating_sub(1);
        if left > 1 && self.chance(30) {
            let (a, b) = (self.predicate(scope, deeper), self.predicate(scope, deeper));
            return match self.rng.random_range(0..3) {
                0 => format!("({a} AND {b})"),
                1 => format!("({a} OR {b})"),
                _ => format!("NOT ({a})"),
            };
        }
        let a = self.expression(kind, scope, deeper);
        match self.rng.random_range(0..9) {
            0 => format!("{a} IS NULL"),
            1 => format!("{a} IS NOT NULL"),
            2 => format!("{a} IS DISTINCT FROM {}", self.expression(kind, scope, deeper)),
            3 => format!("{a} IN ({}, {})", self.literal(kind), self.literal(kind)),
            4 if kind != Kind::Bool => {
                format!("{a} BETWEEN {} AND {}", self.literal(kind), self.expression(kind, scope, deeper))
            }
            5 => {
                let text = self.expression(Kind::Text, scope, deeper);
                format!(
                    "{text} {}",
                    self.one(&["LIKE 'A%'", "ILIKE '%a%'", "~ '^[A-M]'", "NOT LIKE '%9%'", "SIMILAR TO '%(x|y)%'"])
                )
            }
            6 if left > 1 => self.exists(scope, left),
            7 if left > 1 && !matches!(kind, Kind::Json) => format!("{a} IN ({})", self.single(kind, scope, left)),
            _ => {
                let b = if self.chance(60) { self.literal(kind) } else { self.expression(kind, scope, deeper) };
                format!("{a} {} {b}", self.one(&["=", "<>", "<", "<=", ">", ">="]))
            }
        }
    }

    pub(super) fn literal(&mut self, kind: Kind) -> String {
        let n: i32 = self.rng.random_range(0..60);
        if self.chance(4) {
            return format!("NULL::{}", kind.sql());
        }
        match kind {
            Kind::Int => n.to_string(),
            Kind::Number => format!("{n}.5"),
            Kind::Text => {
                format!("'{}'", self.one(&["Adams", "M", "a", "icu", "F", "", "12345", "x y", "021", "north"]))
            }
            Kind::Bool => self.one(&["true", "false"]).to_owned(),
            Kind::Date => format!("'{}-06-15'::date", 1930 + n),
            Kind::Timestamp => format!("'{}-07-01 12:00'::timestamp", 1990 + n % 40),
            Kind::Instant => format!("'{}-01-01 00:00+00'::timestamptz", 2000 + n % 30),
            Kind::Json => format!("'{{\"a\": {n}}}'::jsonb"),
            Kind::Uuid => format!("'00000000-0000-0000-0000-0000000000{n:02}'::uuid"),
            Kind::Bytes => format!("'\\x{n:02}'::bytea"),
        }
    }

    fn wrap(&mut self, around: &[(&str, &str)], text: &str) -> String {
        let (before, after) = around[self.rng.random_range(0..around.len())];
        format!("{before}{text}{after}")
    }
}
