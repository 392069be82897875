//! Whether the catalog is the one that was read: asked in a round trip or two, many times a second.
//!
//! - Has any transaction ended since? `pg_current_snapshot()` is `xmin:xmax:running`. While nothing that has a number runs,
//!   both bounds are the same, and the next transaction that ends moves the upper one: equal then and now, nothing was
//!   committed in between. What has no number changes no row.
//! - If one has, one number for everything that names and masks hang on: a row that changes gets a new `xmin`. Objects that an
//!   administrator makes have numbers from 16384 on (`FirstNormalObjectId`), and are found by an index. What the server
//!   itself came with is a second number, which is asked for only by the look of each second.
//!
//! Relations of somebody's own session (`pg_temp`) are left out: nobody else can name them.

use chaperone_analysis::catalog::Rows;

/// A part of the catalog: the relation, what tells its rows apart, the column by which an administrator's own are found, and
/// which rows count.
type Part = (&'static str, &'static str, Option<&'static str>, &'static str);

const PARTS: [Part; 23] = [
    ("pg_class", "oid::pg_catalog.int8", Some("oid"), "relpersistence <> 't'"),
    ("pg_attribute", "(attrelid::pg_catalog.int8 << 16) + attnum", Some("attrelid"), "attrelid NOT IN"),
    ("pg_attrdef", "oid::pg_catalog.int8", None, "adrelid NOT IN"),
    ("pg_type", "oid::pg_catalog.int8", Some("oid"), OWN_TYPES),
    ("pg_proc", "oid::pg_catalog.int8", Some("oid"), ""),
    ("pg_operator", "oid::pg_catalog.int8", Some("oid"), ""),
    ("pg_cast", "oid::pg_catalog.int8", None, ""),
    ("pg_opclass", "oid::pg_catalog.int8", None, ""),
    ("pg_amop", "oid::pg_catalog.int8", Some("oid"), ""),
    ("pg_amproc", "oid::pg_catalog.int8", Some("oid"), ""),
    ("pg_collation", "oid::pg_catalog.int8", Some("oid"), ""),
    (
        "pg_db_role_setting",
        "(setdatabase::pg_catalog.int8 << 31) # setrole::pg_catalog.int8",
        None,
        "setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))",
    ),
    ("pg_language", "oid::pg_catalog.int8", None, ""),
    ("pg_extension", "oid::pg_catalog.int8", None, ""),
    ("pg_namespace", "oid::pg_catalog.int8", None, "nspname !~ '^pg_(toast_)?temp_'"),
    ("pg_constraint", "oid::pg_catalog.int8", Some("oid"), "conrelid NOT IN"),
    ("pg_index", "indexrelid::pg_catalog.int8", Some("indexrelid"), "indrelid NOT IN"),
    ("pg_trigger", "oid::pg_catalog.int8", None, "tgrelid NOT IN"),
    ("pg_rewrite", "oid::pg_catalog.int8", Some("oid"), "ev_class NOT IN"),
    ("pg_policy", "oid::pg_catalog.int8", None, ""),
    ("pg_partitioned_table", "partrelid::pg_catalog.int8", None, ""),
    (
        "pg_inherits",
        "pg_catalog.hashint8extended(inhrelid::pg_catalog.int8, inhparent::pg_catalog.int8)",
        None,
        "inhrelid NOT IN",
    ),
    (
        "pg_depend",
        "pg_catalog.hashint8extended((classid::pg_catalog.int8 << 31) # objid::pg_catalog.int8, refobjid::pg_catalog.int8)",
        None,
        "refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND deptype = 'e'",
    ),
];

const OWN_TYPES: &str =
    "typnamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_(toast_)?temp_')";

/// What a condition that ends in `NOT IN` goes on with.
const OWN_RELATIONS: &str = " (SELECT oid FROM pg_catalog.pg_class WHERE relpersistence = 't')";

/// The first number of an object that did not come with the server.
const FIRST_NORMAL: u32 = 16384;

/// The snapshot. A standby keeps what runs elsewhere: no snapshot of its shows that nothing does.
const NOW: &str =
    "CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' ELSE pg_catalog.pg_current_snapshot()::pg_catalog.text END";

/// What prepares the questions; once for each connection.
pub(crate) fn prepare() -> [String; 2] {
    let own: Vec<String> = PARTS.iter().map(|part| sum(part, ">=")).collect();
    let servers: Vec<String> = PARTS.iter().filter(|part| part.2.is_some()).map(|part| sum(part, "<")).collect();
    let now = format!("PREPARE chaperone_snapshot AS SELECT {NOW}");
    let catalog = format!(
        "PREPARE chaperone_catalog (pg_catalog.bool) AS SELECT {NOW}, \
         pg_catalog.concat_ws(',', {}, pg_catalog.array_to_string(pg_catalog.current_schemas(true), '/')), \
         CASE WHEN $1 THEN pg_catalog.concat_ws(',', {}) END",
        own.join(", "),
        servers.join(", ")
    );
    [now, catalog]
}

fn sum((relation, key, bound, counted): &Part, side: &str) -> String {
    let bound = bound.map_or_else(|| "true".to_owned(), |column| format!("{column} {side} {FIRST_NORMAL}"));
    let counted = match *counted {
        "" => "true".to_owned(),
        counted if counted.ends_with("NOT IN") => format!("{counted}{OWN_RELATIONS}"),
        counted => counted.to_owned(),
    };
    format!(
        "(SELECT coalesce(pg_catalog.sum(pg_catalog.hashint8extended(xmin::pg_catalog.text::pg_catalog.int8, {key})), 0) \
         FROM pg_catalog.{relation} WHERE {bound} AND {counted})"
    )
}

/// The catalog as it was found to be.
#[derive(Debug, Default)]
pub(crate) struct Fingerprint {
    /// Of what an administrator made, and of what the server came with.
    own: String,
    servers: String,
    /// Snapshots, with nothing running, under which these were found to be so.
    quiet: Option<String>,
    servers_quiet: Option<String>,
}

/// Asks for the snapshot.
pub(crate) const ASK_SNAPSHOT: &str = "EXECUTE chaperone_snapshot";

/// Asks for the numbers; `whole` for that of what the server came with, too.
pub(crate) fn ask(whole: bool) -> &'static str {
    if whole { "EXECUTE chaperone_catalog (true)" } else { "EXECUTE chaperone_catalog (false)" }
}

impl Fingerprint {
    /// Whether the snapshot may tell.
    pub(crate) fn asks_snapshot(&self, whole: bool) -> bool {
        self.quiet.is_some() && (!whole || self.servers_quiet.is_some())
    }

    /// Whether the answer to [`ASK_SNAPSHOT`] says that nothing was committed since.
    pub(crate) fn is_quiet_since(&mut self, whole: bool, answer: &Rows) -> bool {
        let now = answer.first().and_then(|row| row.first()).and_then(Option::as_ref);
        let is_now = |known: &Option<String>| known.is_some() && known.as_ref() == now;
        let is_quiet = is_now(&self.quiet) && (!whole || is_now(&self.servers_quiet));
        if !is_quiet {
            // no snapshot comes again
            (self.quiet, self.servers_quiet) = (None, None);
        }
        is_quiet
    }

    /// Whether the answer to [`ask`] says that the catalog is the same.
    pub(crate) fn is_still(&mut self, whole: bool, answer: &Rows) -> bool {
        let Some((now, own, servers)) = read(answer) else { return false };
        if *own != self.own || (whole && servers.is_none_or(|servers| *servers != self.servers)) {
            return false;
        }
        if is_quiet(now) {
            self.quiet = Some(now.to_owned());
            if whole {
                self.servers_quiet = Some(now.to_owned());
            }
        }
        true
    }

    /// What a catalog is known by, from the answer to [`ask`] for all of it.
    pub(crate) fn of(answer: &Rows) -> Option<Self> {
        let (now, own, servers) = read(answer)?;
        let quiet = is_quiet(now).then(|| now.to_owned());
        Some(Fingerprint { own: own.clone(), servers: servers?.clone(), servers_quiet: quiet.clone(), quiet })
    }

    /// Another server may be asked from now on, whose transactions have other numbers.
    pub(crate) fn forget_snapshots(&mut self) {
        (self.quiet, self.servers_quiet) = (None, None);
    }
}

type Read<'a> = (&'a str, &'a String, Option<&'a String>);

fn read(answer: &Rows) -> Option<Read<'_>> {
    match answer.first().map(Vec::as_slice) {
        Some([Some(now), Some(own), servers]) => Some((now, own, servers.as_ref())),
        _ => None,
    }
}

/// Whether nothing that has a number ran: `7:7:`.
fn is_quiet(snapshot: &str) -> bool {
    let mut parts = snapshot.split(':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(xmin), Some(xmax), Some(""), None) => {
            xmin == xmax && !xmin.is_empty() && xmin.bytes().all(|b| b.is_ascii_digit())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(now: &str, own: &str, servers: Option<&str>) -> Rows {
        vec![vec![Some(now.to_owned()), Some(own.to_owned()), servers.map(str::to_owned)]]
    }

    fn snapshot(now: &str) -> Rows {
        vec![vec![Some(now.to_owned())]]
    }

    #[test]
    fn only_a_snapshot_with_nothing_running_stands_for_the_catalog() {
        for (snapshot, quiet) in [
            ("7:7:", true),
            ("7:8:", false),
            ("7:8:7", false),
            ("", false),
            ("::", false),
            ("7:7:,", false),
            ("7:7", false),
        ] {
            assert_eq!(is_quiet(snapshot), quiet, "{snapshot}");
        }
        let mut known = Fingerprint::of(&answer("7:7:", "a", Some("b"))).unwrap();
        assert!(known.asks_snapshot(true) && known.is_quiet_since(true, &snapshot("7:7:")));
        assert!(!known.is_quiet_since(false, &snapshot("7:8:7")) && !known.asks_snapshot(false));
        assert!(known.is_still(false, &answer("8:9:8", "a", None)) && !known.asks_snapshot(false));
        assert!(known.is_still(false, &answer("9:9:", "a", None)));
        assert!(known.asks_snapshot(false) && !known.asks_snapshot(true));
        assert!(
            known.is_quiet_since(false, &snapshot("9:9:")) && known.is_still(true, &answer("9:9:", "a", Some("b")))
        );
        assert!(known.asks_snapshot(true) && known.is_quiet_since(true, &snapshot("9:9:")));
        known.forget_snapshots();
        assert!(!known.asks_snapshot(false) && !known.is_quiet_since(false, &snapshot("9:9:")));
        // on a standby
        assert!(!Fingerprint::of(&answer("", "a", Some("b"))).unwrap().asks_snapshot(false));
    }

    #[test]
    fn what_is_another_number_or_no_answer_is_another_catalog() {
        let mut known = Fingerprint::of(&answer("7:7:", "a", Some("b"))).unwrap();
        assert!(!known.is_still(false, &answer("9:9:", "x", None)));
        assert!(!known.is_still(true, &answer("9:9:", "a", Some("x"))));
        assert!(!known.is_still(true, &answer("9:9:", "a", None)));
        assert!(!known.is_still(true, &Vec::new()));
        assert!(known.is_quiet_since(true, &snapshot("7:7:")), "nothing of it is kept");
        assert!(!known.is_quiet_since(true, &Vec::new()));
        assert!(Fingerprint::of(&answer("7:7:", "a", None)).is_none());
    }
}
