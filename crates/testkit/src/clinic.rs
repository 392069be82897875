//! A synthetic clinic: a few hundred invented patients in related tables, and what each column holds.
//!
//! Nobody in it exists. Social security numbers begin with 9, which are never issued; telephone numbers are 555-01xx,
//! kept for fiction; mail addresses are at `example.org` (RFC 2606). The same seed gives the same clinic, byte for byte,
//! on every machine.
//!
//! [`load`] puts it into the database `clinic` of a cluster, and stock lists that hold no protected data into `ops`.

mod names;
mod people;
mod stock;
mod visits;

use anyhow::Result;

use crate::postgres::Cluster;

/// The tables of the clinic, in the schema `clinic`.
pub const SCHEMA: &str = include_str!("clinic/schema.sql");

/// What each column of the clinic holds: a classification file.
pub const CLASSIFICATION: &str = include_str!("clinic/classes.yaml");

/// The tables of the database without protected data, in the schema `ops`.
pub const OPS_SCHEMA: &str = include_str!("clinic/ops.sql");

/// Enough for a demo, and few enough to load in a second.
pub const PATIENTS: usize = 300;

/// The seed of the demo.
pub const SEED: u64 = 20_261_124;

/// Schema and rows of the clinic as SQL text.
pub fn sql(seed: u64, patients: usize) -> String {
    let mut out = String::from(SCHEMA);
    let mut dice = Dice::new(seed);
    people::write(&mut out, &mut dice, patients);
    visits::write(&mut out, &mut dice, patients);
    out.push_str("analyze;\n");
    out
}

/// Schema and rows of the database without protected data as SQL text.
pub fn ops_sql(seed: u64) -> String {
    let mut out = String::from(OPS_SCHEMA);
    stock::write(&mut out, &mut Dice::new(seed));
    out.push_str("analyze;\n");
    out
}

/// Makes the databases `clinic` and `ops`, owned by a new role that may log in but is no superuser, and fills them.
///
/// # Errors
/// The server's first error.
pub fn load(cluster: &Cluster, role: &str, password: &str) -> Result<()> {
    cluster.create_role(role, password)?;
    let own = format!("set role \"{}\";\n", role.replace('"', "\"\""));
    for (database, sql) in [("clinic", sql(SEED, PATIENTS)), ("ops", ops_sql(SEED))] {
        cluster.create_database(database, role)?;
        cluster.psql_in(database, &format!("{own}{sql}"))?;
    }
    Ok(())
}

/// A small generator of our own (SplitMix64): a library's may draw otherwise in its next version.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `from..=to`.
    fn range(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from + 1)
    }

    /// True once in so many throws.
    fn one_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = usize::try_from(self.next() % of.len() as u64).unwrap_or(0);
        &of[at]
    }

    /// A day as `YYYY-MM-DD`; never past the 28th, so that every month has it.
    fn day(&mut self, from_year: u64, to_year: u64) -> String {
        format!("{}-{:02}-{:02}", self.range(from_year, to_year), self.range(1, 12), self.range(1, 28))
    }

    /// A time of an opening hour.
    fn time(&mut self) -> String {
        format!("{:02}:{:02}:00", self.range(7, 19), self.range(0, 11) * 5)
    }

    fn phone(&mut self) -> String {
        format!(
            "({}) 555-01{:02}",
            self.pick(&["217", "309", "414", "515", "608", "712", "816", "913"]),
            self.range(0, 99)
        )
    }
}

/// Rows of one table, written as an `INSERT` of many rows each hundred.
struct Rows<'a> {
    out: &'a mut String,
    head: String,
    in_statement: usize,
}

impl<'a> Rows<'a> {
    fn new(out: &'a mut String, table: &str, columns: &str) -> Self {
        Rows { out, head: format!("insert into {table} ({columns}) values\n"), in_statement: 0 }
    }

    /// Values are SQL already: see [`text`].
    fn push(&mut self, values: &[String]) {
        if self.in_statement == 100 {
            self.end();
        }
        self.out.push_str(if self.in_statement == 0 { &self.head } else { ",\n" });
        self.out.push('(');
        self.out.push_str(&values.join(", "));
        self.out.push(')');
        self.in_statement += 1;
    }

    fn end(&mut self) {
        if self.in_statement > 0 {
            self.out.push_str(";\n");
        }
        self.in_statement = 0;
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// A text as an SQL literal.
fn text(value: impl AsRef<str>) -> String {
    format!("'{}'", value.as_ref().replace('\'', "''"))
}

/// A number as an SQL literal.
fn number(value: impl std::fmt::Display) -> String {
    value.to_string()
}

/// NULL.
fn null() -> String {
    "null".to_owned()
}

#[cfg(test)]
mod tests;
