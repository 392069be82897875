//! Masks on a real server: every type, every edge.

use chaperone_mask::{Masker, Type};
use chaperone_model::{Class, Rung};
use chaperone_testkit::postgres::{Cluster, Options};

fn mask(class: Class, rung: Rung, column: &str, ty: &Type) -> String {
    Masker::new(1937).mask(class, rung, column, ty)
}

/// Values, with what stands for each.
type Edges = &'static [(&'static str, &'static str)];

/// Class, type, and values with what stands for each on the partial rung.
const PARTIAL: &[(Class, &str, Edges)] = &[
    (
        Class::Date,
        "date",
        &[
            ("'2024-02-29'", "2024-01-01"),
            ("'2024-01-01'", "2024-01-01"),
            ("'2024-12-31'", "2024-01-01"),
            ("'infinity'", "infinity"),
            ("'-infinity'", "-infinity"),
            ("'0044-03-15 BC'", "0044-01-01 BC"),
            ("'4713-01-24 BC'", "4713-01-01 BC"),
            ("'5874897-12-31'", "NULL"),
            ("'294276-12-31'", "NULL"),
            ("'293999-12-31'", "293999-01-01"),
            ("NULL", "NULL"),
        ],
    ),
    (
        Class::Date,
        "timestamp",
        &[
            ("'2024-12-31 23:59:59.999999'", "2024-01-01 00:00:00"),
            ("'infinity'", "infinity"),
            ("'-infinity'", "-infinity"),
            ("'4713-01-01 BC'", "4713-01-01 00:00:00 BC"),
            ("'294276-12-31 23:59:59'", "294276-01-01 00:00:00"),
            ("NULL", "NULL"),
        ],
    ),
    (
        Class::Date,
        "timestamptz",
        &[
            ("'2024-12-31 23:59:59+00'", "2024-01-01 00:00:00+00"),
            ("'2025-01-01 00:30:00+01'", "2024-01-01 00:00:00+00"),
            ("'infinity'", "infinity"),
            ("'-infinity'", "-infinity"),
            ("NULL", "NULL"),
        ],
    ),
    (
        Class::BirthDate,
        "date",
        &[
            ("'1937-01-01'", "1937-01-01"),
            ("'1937-12-31'", "1937-01-01"),
            ("'1936-12-31'", "NULL"),
            ("'1850-01-01'", "NULL"),
            ("'-infinity'", "NULL"),
            ("'infinity'", "infinity"),
            ("'5874897-12-31'", "NULL"),
            ("'0044-03-15 BC'", "NULL"),
            ("NULL", "NULL"),
        ],
    ),
    (Class::BirthDate, "timestamp", &[("'1936-12-31 23:59'", "NULL"), ("'1937-01-01'", "1937-01-01 00:00:00")]),
    (
        Class::BirthDate,
        "timestamptz",
        &[
            ("'1936-12-31 23:59+00'", "NULL"),
            ("'1937-01-01 00:30+01'", "NULL"),
            ("'1937-06-01'", "1937-01-01 00:00:00+00"),
        ],
    ),
    (
        Class::Zip,
        "text",
        &[
            ("'02139'", "021"),
            ("'02139-4307'", "021"),
            ("'021394307'", "021"),
            ("'03601'", "000"),
            ("'20500'", "000"),
            ("'36925'", "000"),
            ("'0213'", "000"),
            ("'02139x'", "000"),
            ("'K1A 0B1'", "000"),
            ("''", "000"),
            ("'02139' || chr(10)", "000"),
            ("'x' || chr(10) || '02139'", "000"),
            ("NULL", "NULL"),
        ],
    ),
    (Class::Zip, "varchar", &[("'02139'", "021"), ("'1'", "000"), ("NULL", "NULL")]),
    (Class::Zip, "bpchar", &[("'02139     '", "021"), ("'89301'", "000"), ("NULL", "NULL")]),
    // no partial form: redacted, never more
    (Class::Zip, "int4", &[("2139", "NULL")]),
    (Class::Ssn, "text", &[("'123-45-6789'", "NULL")]),
    (Class::BirthDate, "text", &[("'1950-01-01'", "NULL")]),
    (Class::Date, "time", &[("'10:00'", "NULL")]),
    (Class::Unknown, "jsonb", &[("'{}'", "NULL")]),
    (Class::Photo, "bytea", &[("'x'", "NULL")]),
];

#[test]
fn on_a_real_server() {
    let cluster = Cluster::start(Options::default()).unwrap();
    for settings in ["", "SET TimeZone = '<A>+167'; SET DateStyle = 'ISO'; ", "SET TimeZone = 'Pacific/Kiritimati'; "] {
        for (class, ty, values) in PARTIAL {
            let mask = mask(*class, Rung::Partial, "v", &Type::builtin(ty));
            for (value, expected) in *values {
                let (text, zone) = match *ty {
                    // shown in UTC, whatever the session's zone
                    "timestamptz" => ("(m.x AT TIME ZONE 'UTC')", "+00"),
                    _ => ("m.x", ""),
                };
                let sql = format!(
                    "{settings}SELECT COALESCE({text}::text, 'NULL') || CASE WHEN isfinite THEN '{zone}' ELSE '' END, \
                     pg_typeof(m.x) = '{ty}'::regtype FROM (SELECT {mask} AS x FROM (SELECT {value}::{ty} AS v) t) m, \
                     LATERAL (SELECT COALESCE(m.x::text NOT LIKE '%infinity', false) AS isfinite) f"
                );
                let answer = cluster.psql(&sql).unwrap();
                let answer = answer.lines().last().unwrap_or_default();
                assert_eq!(answer, format!("{expected}|t"), "{class:?} {ty} {value} {settings}");
            }
        }
    }
    // immutable throughout (rule R7): the server itself refuses anything else in an index
    for (class, ty, _) in PARTIAL {
        let mask = mask(*class, Rung::Partial, "v", &Type::builtin(ty));
        cluster.psql(&format!("CREATE TEMP TABLE t (v {ty}); CREATE INDEX ON t (({mask}))")).unwrap();
    }
}

#[test]
fn names_cannot_break_out() {
    let broken = mask(Class::None, Rung::Raw, "a\"; DROP TABLE x; --", &Type::builtin("text"));
    assert_eq!(broken, r#""a""; DROP TABLE x; --""#);
    let ty = Type { schema: "x\"y".into(), name: "z".into(), kind: 'b', array: true };
    assert_eq!(mask(Class::Ssn, Rung::Redacted, "a", &ty), r#"NULL::"x""y"."z"[]"#);
}
