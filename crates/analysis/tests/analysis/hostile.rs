//! Hostile texts: no panic, no overflow, no hang, no literal in a refusal.

use std::time::{Duration, Instant};

use chaperone_analysis::{Protection, parse, rewrite};
use proptest::prelude::*;

use crate::clinic::{self, Clinic};

/// Everything that can be asked of a text.
fn everything(sql: &str) -> Result<usize, chaperone_model::Refusal> {
    let Clinic { classification, masks } = clinic::clinic();
    let catalog = clinic::paper_catalog();
    let protection = Protection {
        catalog: &catalog,
        classification: &classification,
        masks: &masks,
        masker: chaperone_mask::Masker::new(1937),
    };
    let statements = parse(sql)?;
    let mut rewritten = 0;
    for i in 0..statements.len() {
        assert!(!statements.facts(i).needs.is_empty());
        let _ = statements.facts_in(i, &catalog);
        assert!(!statements.normalized(i).is_empty());
        assert_eq!(statements.fingerprint(i).len(), 16);
        let _ = (statements.copy(i), statements.transaction(i), statements.settings(i), statements.text(i));
        rewritten += usize::from(rewrite(&statements, i, &protection).is_ok());
    }
    Ok(rewritten)
}

/// On a stack as tokio gives its workers.
fn on_a_worker<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(f).unwrap().join().unwrap()
}

fn deep(n: usize) -> Vec<(&'static str, String)> {
    vec![
        ("plus", format!("SELECT {}", vec!["1"; n].join(" + "))),
        ("concat", format!("SELECT {}", vec!["a"; n].join("||"))),
        ("and", format!("SELECT 1 WHERE {}", vec!["true"; n].join(" AND "))),
        ("or", format!("SELECT 1 WHERE {}", vec!["a = 1"; n].join(" OR "))),
        ("parens", format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n))),
        ("case", format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(n), " END".repeat(n))),
        ("subqueries", format!("SELECT {}1{}", "(SELECT ".repeat(n), ")".repeat(n))),
        ("from", format!("SELECT * FROM {}room{}", "(SELECT * FROM ".repeat(n), ") x".repeat(n))),
        ("not", format!("SELECT {} true", "NOT ".repeat(n))),
        ("minus", format!("SELECT {}1", "- ".repeat(n))),
        ("union", vec!["SELECT 1"; n].join(" UNION ALL ")),
        ("joins", format!("SELECT 1 FROM room {}", "CROSS JOIN room ".repeat(n))),
        ("between", format!("SELECT a {}", "BETWEEN 1 AND 2 IS NULL ".repeat(n))),
        ("casts", format!("SELECT 1{}", "::int".repeat(n))),
        ("calls", format!("SELECT {}1{}", "abs(".repeat(n), ")".repeat(n))),
        ("arrays", format!("SELECT {}1{}", "ARRAY[".repeat(n), "]".repeat(n))),
        ("subscripts", format!("SELECT a{}", "[1]".repeat(n))),
        ("with", format!("{}SELECT 1{}", "WITH x AS (".repeat(n), ") SELECT 1".repeat(n))),
        ("in", format!("SELECT a IN ({})", vec!["1"; n].join(","))),
        ("values", format!("VALUES {}", vec!["(1, 'x')"; n].join(","))),
        ("statements", vec!["SELECT 1"; n].join(";")),
        ("routines", format!("{}END", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; ".repeat(n))),
        ("unclosed", format!("SELECT {}", "(".repeat(n))),
        ("filter", format!("SELECT {}1{}", "count(*) FILTER (WHERE ".repeat(n), ")".repeat(n))),
        ("like", format!("SELECT a{}", " LIKE 'x' ESCAPE 'y' IS TRUE".repeat(n))),
        ("zone", format!("SELECT a{}", " AT TIME ZONE 'UTC'".repeat(n))),
        ("collate", format!("SELECT a{}", " COLLATE \"C\"".repeat(n))),
    ]
}

#[test]
fn deep_texts_neither_overflow_nor_hang() {
    for n in [200, 1_000, 5_000, 100_000] {
        for (name, sql) in deep(n) {
            let started = Instant::now();
            on_a_worker(move || _ = everything(&sql));
            let took = started.elapsed();
            println!("{name} × {n}: {took:?}");
            assert!(took < Duration::from_secs(60), "{name} × {n} took {took:?}");
        }
    }
}

fn wide(n: usize) -> Vec<(&'static str, String)> {
    let list = |of: &dyn Fn(usize) -> String| (0..n).map(of).collect::<Vec<_>>().join(", ");
    let same = |of: &str| vec![of; n].join(", ");
    vec![
        ("constants", format!("SELECT {}", same("1"))),
        ("relations", format!("SELECT 1 FROM {}", same("room"))),
        ("masked relations", format!("SELECT 1 FROM {}", list(&|i| format!("patient p{i}")))),
        ("subqueries", format!("SELECT 1 FROM {}", list(&|i| format!("(SELECT 1) a{i}")))),
        (
            "ctes",
            format!("WITH {} SELECT 1 FROM {}", list(&|i| format!("c{i} AS (SELECT 1)")), list(&|i| format!("c{i}"))),
        ),
        ("ctes of ctes", format!("WITH c AS (SELECT 1), {} SELECT 1", list(&|i| format!("c{i} AS (SELECT * FROM c)")))),
        (
            "long names",
            format!("SELECT {} FROM patient, {}", same("clinic.patient.id"), list(&|i| format!("(SELECT 1) a{i}"))),
        ),
        (
            "groups",
            format!(
                "SELECT {} FROM patient GROUP BY id, {}",
                list(&|i| format!("id AS a{i}")),
                list(&|i| format!("a{i}"))
            ),
        ),
        ("keys", format!("SELECT {} FROM patient GROUP BY {}", same("sex"), same("id"))),
        (
            "locks",
            format!("SELECT 1 FROM {} FOR UPDATE OF {}", list(&|i| format!("room a{i}")), list(&|i| format!("a{i}"))),
        ),
        ("fetches", vec!["FETCH c"; n].join(";")),
        ("statements on tables", vec!["SELECT * FROM patient"; n].join(";")),
        ("functions", format!("SELECT {}", same("lower('x')"))),
        ("subselects", format!("SELECT {}", same("(SELECT 1 FROM room)"))),
        (
            "deep relations",
            format!(
                "{}SELECT * FROM {}{}",
                "SELECT * FROM (".repeat(100),
                list(&|i| format!("r{i}")),
                ") x".repeat(100)
            ),
        ),
        ("parameters", format!("SELECT {}", list(&|i| format!("${}", i % 60_000 + 1)))),
        ("rows", format!("INSERT INTO room VALUES {}", same("('a', 1)"))),
        ("assignments", format!("UPDATE room SET {}", list(&|i| format!("a{i} = 1")))),
        ("columns", format!("COPY room ({}) TO STDOUT", list(&|i| format!("a{i}")))),
        ("strings", format!("SELECT {}", vec!["'a'"; n].join("\n"))),
        ("comments", format!("SELECT 1 {}", "/* /* x */ */ -- y\n".repeat(n))),
        ("dollars", format!("SELECT {}", same("$a$ $b$ $a$"))),
        ("windows", format!("SELECT 1 FROM room WINDOW {}", list(&|i| format!("w{i} AS (ORDER BY beds)")))),
        ("sorts", format!("SELECT 1 FROM room ORDER BY {}", same("beds USING <"))),
        ("aliases", format!("SELECT 1 FROM room AS a({})", list(&|i| format!("a{i}")))),
        ("types", format!("SELECT {}", same("1::int4"))),
        ("names", format!("SELECT {}", same("a.b.c.d"))),
        ("long name", format!("SELECT {}1", "a.".repeat(n))),
        ("operators", format!("SELECT {}", list(&|i| format!("{i} OPERATOR(pg_catalog.+) 1")))),
        ("arms", format!("SELECT CASE 1 {} END", "WHEN 1 THEN 2 ".repeat(n))),
        ("definitions", format!("SELECT * FROM json_to_record('') AS x({})", list(&|i| format!("a{i} int")))),
        ("create", format!("CREATE TABLE x ({})", list(&|i| format!("a{i} int")))),
        ("drop", format!("DROP TABLE {}", list(&|i| format!("a{i}")))),
    ]
}

#[test]
fn wide_texts_take_time_in_proportion() {
    for (name, sql) in wide(20_000) {
        let once = Instant::now();
        on_a_worker(move || _ = everything(&sql));
        let once = once.elapsed();
        let (_, sql) = wide(60_000).into_iter().find(|(other, _)| *other == name).unwrap();
        let length = sql.len();
        let thrice = Instant::now();
        on_a_worker(move || _ = everything(&sql));
        let thrice = thrice.elapsed();
        println!("{name}: {once:?}, three times that: {thrice:?} ({length} bytes)");
        // nine times as long would be the square
        assert!(thrice < once * 6 + Duration::from_millis(500), "{name}: {once:?}, {thrice:?}");
        assert!(thrice < Duration::from_secs(20), "{name}: {thrice:?}");
    }
}

/// Stack that a thread has touched, in bytes, from the mapping that holds one of its locals.
fn touched() -> usize {
    let local = 0_u8;
    let address = std::ptr::from_ref(&local) as usize;
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    for line in maps.lines() {
        if let Some((from, to)) = line.split(' ').next().and_then(|range| range.split_once('-'))
            && let (Ok(from), Ok(to)) = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16))
        {
            inside = (from..to).contains(&address);
        } else if inside && let Some(rss) = line.strip_prefix("Rss:") {
            return rss.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024;
        }
    }
    panic!("no mapping")
}

#[test]
fn the_stack_is_large_enough() {
    let mut most = 0;
    for n in [300, 600] {
        for (_, sql) in deep(n) {
            let tokens = pg_query::scan_tokens(&sql).unwrap().len();
            // enough that nothing grows a stack of its own
            let thread = std::thread::Builder::new().stack_size(2 << 30).spawn(move || {
                _ = everything(&sql);
                touched()
            });
            let used = thread.unwrap().join().unwrap() / n;
            // what the bound counts: at least the tokens that are repeated
            most = most.max(used / (tokens / n).max(1));
        }
    }
    // half of what `depth` grants
    assert!(most <= 4 * 1024, "{most}");
}

#[test]
fn a_thousand_chained_operators_are_answered() {
    for (name, sql) in deep(1_000) {
        if ["plus", "and", "or", "in", "values"].contains(&name) {
            let sql = sql.replace("a = 1", "1 = 1").replace("a IN", "1 IN");
            assert_eq!(on_a_worker(move || everything(&sql)), Ok(1), "{name}");
        }
    }
}

#[test]
fn a_mebibyte_of_anything_is_bounded() {
    for text in ["(", "SELECT 1;", "'", "$$", "/*", "a.", "1+", "\"", "-- x\n", "(SELECT ", "[", "AND "] {
        let sql = text.repeat(1024 * 1024 / text.len());
        let started = Instant::now();
        on_a_worker(move || {
            let _ = parse(&sql).map(|statements| statements.len());
        });
        assert!(started.elapsed() < Duration::from_secs(60), "{text}");
    }
}

#[test]
fn refusals_hold_no_literals() {
    for sql in [
        "SELECT 'hunter2' hunter2 'hunter2'",
        "SELECT E'hunter2",
        "SELECT $$hunter2",
        "INSERT INTO room VALUES ('hunter2'",
        "SELECT peek('hunter2')",
        "SET x.y = 'hunter2'",
        "COPY room TO '/hunter2'",
        "COPY room TO STDOUT WITH (ENCODING 'hunter2')",
        "SELECT current_setting('hunter2')",
        "NOTIFY c, 'hunter2'",
        "DO 'hunter2'",
        "SELECT 1 -- hunter2\n FROM",
    ] {
        let refusal = match parse(sql) {
            Err(refusal) => refusal,
            Ok(statements) => {
                let Clinic { classification, masks } = clinic::clinic();
                let catalog = clinic::paper_catalog();
                let protection = Protection {
                    catalog: &catalog,
                    classification: &classification,
                    masks: &masks,
                    masker: chaperone_mask::Masker::new(1937),
                };
                assert!(!format!("{statements:?}").contains("hunter2"));
                assert!(!statements.normalized(0).contains("hunter2"), "{}", statements.normalized(0));
                rewrite(&statements, 0, &protection).unwrap_err()
            }
        };
        // a setting's name may be shown, a value may not
        assert!(sql.contains("current_setting") || !format!("{refusal:?}").contains("hunter2"), "{refusal:?}");
    }
}

#[test]
fn options_of_the_wrong_kind_are_refused_and_reach_no_writer() {
    for option in
        ["format", "delimiter", "null", "quote", "escape", "force_quote", "encoding", "freeze", "nosuch", "header"]
    {
        for value in ["", " 5", " 1.5", " -1", " *", " (a)", " (a, 5)", " on", " 'x'", " a", " \"FORMAT\""] {
            for sql in [
                format!("COPY room TO STDOUT WITH ({option}{value})"),
                format!("COPY room TO STDOUT WITH (FORMAT csv, {option}{value})"),
                format!("COPY room TO STDOUT WITH (\"{}\"{value})", option.to_uppercase()),
                format!("EXPLAIN ({option}{value}) SELECT 1"),
                format!("COPY room FROM STDIN WITH ({option}{value})"),
            ] {
                let _ = everything(&sql);
            }
        }
    }
}

#[test]
fn nul_bytes_are_a_syntax_error() {
    assert_eq!(parse("SELECT '\0'").unwrap_err().code.0, "42601");
}

fn fragments() -> impl Strategy<Value = String> {
    let words: Vec<&str> =
        "SELECT FROM WHERE GROUP BY ORDER LIMIT patient clinic.patient p p.dob last_name , ( ) * = < \
        + - || :: int text 'x' 1 $1 AND OR NOT IN EXISTS CASE WHEN THEN ELSE END JOIN LEFT ON USING WITH AS UNION ALL \
        count lower now VALUES INSERT INTO UPDATE SET DELETE COPY TO STDOUT EXPLAIN BETWEEN IS NULL LATERAL OVER \
        PARTITION [ ] . ; ARRAY ROW CAST INTERVAL FOR DECLARE CURSOR FETCH BEGIN COMMIT SHOW RECURSIVE FILTER DISTINCT"
            .split_whitespace()
            .collect();
    prop::collection::vec(prop::sample::select(words), 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = everything(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_words(sql in fragments()) {
        let _ = everything(&sql);
    }

    #[test]
    fn mutated_statements(n in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), with in ".{0,3}") {
        let statements: Vec<&str> = crate::statements::CLINICAL.iter().chain(crate::statements::ATTACKS).copied().collect();
        let mut sql = statements[n.index(statements.len())].to_owned();
        let mut at = at.index(sql.len());
        while !sql.is_char_boundary(at) { at -= 1; }
        let end = (at + with.len()).min(sql.len());
        if sql.is_char_boundary(end) { sql.replace_range(at..end, &with); }
        let _ = everything(&sql);
    }
}

#[test]
#[ignore = "a measurement"]
fn where_the_time_goes() {
    let Clinic { classification, masks } = clinic::clinic();
    let catalog = clinic::paper_catalog();
    let protection = Protection {
        catalog: &catalog,
        classification: &classification,
        masks: &masks,
        masker: chaperone_mask::Masker::new(1937),
    };
    for n in [20_000, 60_000, 120_000] {
        for (name, sql) in wide(n) {
            if std::env::var("ONLY").is_ok_and(|only| !only.split(',').any(|only| only == name)) {
                continue;
            }
            let t = Instant::now();
            let Ok(statements) = parse(&sql) else { continue };
            let parsed = t.elapsed();
            let t = Instant::now();
            statements.facts_in(0, &catalog);
            let facts = t.elapsed();
            let t = Instant::now();
            statements.normalized(0);
            let normalized = t.elapsed();
            let t = Instant::now();
            statements.fingerprint(0);
            let fingerprint = t.elapsed();
            let t = Instant::now();
            let ok = rewrite(&statements, 0, &protection).is_ok();
            println!(
                "{n} {name}: parse {parsed:?} facts {facts:?} normalised {normalized:?} fingerprint {fingerprint:?} rewrite {:?} {ok}",
                t.elapsed()
            );
        }
    }
}
