//! What an agent can send where a query inside is described, and what gets in its way.

use chaperone_testkit::raw::frontend as frame;

use super::{FEW, q, run, synced};

pub(super) fn scenarios() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let copy = format!("copy ({FEW}) to stdout");
    let long: String = "n".repeat(70);
    let cut = &long[..63];
    let wide: String = "ü".repeat(40);
    let wide_cut: String = "ü".repeat(31);
    vec![
        ("copy", vec![q(&copy), q("select 1")]),
        (
            "a table of the text, written",
            vec![q(
                "create temp table t (a int); prepare p as insert into t values (1) returning a; execute p; prepare r(int) as insert into t values ($1); execute r(4); copy t to stdout",
            )],
        ),
        ("copy many times", vec![q(&copy); 60]),
        (
            "prepare many times",
            (0..40)
                .map(|i| q(&format!("prepare p{i} as {FEW}")))
                .chain((0..40).map(|i| q(&format!("execute p{i}"))))
                .collect(),
        ),
        ("copy, piped many times", vec![synced(&vec![run(&copy, &[]); 60])]),
        (
            "fetch before it is declared",
            vec![
                q("begin"),
                synced(&[run("fetch 1 from c", &[]), run(&format!("declare c cursor for {FEW}"), &[])]),
                q("rollback"),
            ],
        ),
        ("execute before it is prepared", vec![q("execute p"), q(&format!("prepare p as {FEW}")), q("execute p")]),
        (
            "prepare fails, name kept",
            vec![
                q("prepare p as select 1 as one"),
                q("prepare p as select 1/0, id from clinic.patient"),
                q("execute p"),
                q("prepare q as select nothing_of_it"),
                q("execute q"),
                q("prepare q as select 2"),
                q("execute q"),
            ],
        ),
        (
            "declare by the protocol, fetched in the segment",
            vec![
                synced(&[
                    run("begin", &[]),
                    run(&format!("declare \"Ü\" cursor with hold for {FEW}"), &[]),
                    run("commit", &[]),
                    run("fetch 2 from \"Ü\"", &[]),
                ]),
                synced(&[frame::close_portal("Ü")]),
                q("fetch 2 from \"Ü\""),
            ],
        ),
        (
            "described, then run",
            vec![
                synced(&[
                    frame::parse("s", &copy, &[]),
                    frame::describe_statement("s"),
                    frame::bind("", "s", &[], &[]),
                    frame::describe_portal(""),
                    frame::execute("", 0),
                ]),
                synced(&[frame::bind("", "s", &[], &[]), frame::execute("", 2)]),
                q("select 1"),
            ],
        ),
        (
            "commit between",
            vec![q(&format!("begin; {copy}; commit; begin; {copy}; prepare p as select 1; execute p; commit"))],
        ),
        ("an error in the second", vec![q("select 1; select 1/0; copy (select 1) to stdout"), q("select 5")]),
        (
            "syncs alone",
            vec![
                [frame::sync(), frame::sync(), q(&copy)].concat(),
                [frame::flush(), q("prepare p as select 1"), frame::sync(), q(&copy)].concat(),
            ],
        ),
        (
            "read only",
            vec![
                q("begin read only"),
                q(&copy),
                q("prepare p as select 1"),
                q("execute p"),
                q(&format!("declare c cursor for {FEW}")),
                q("fetch c"),
                q("create temp table t as select 1 as a"),
                q("commit"),
                q("begin"),
                q("set transaction read only, isolation level repeatable read"),
                q(&copy),
                q("commit"),
            ],
        ),
        ("copy twice in a segment", vec![synced(&[run(&copy, &[]), run(&copy, &[])])]),
        ("portal run again", vec![synced(&[run(&copy, &[]), frame::execute("", 0)]), q("select 1")]),
        (
            "declare portal run again",
            vec![
                q("begin"),
                synced(&[run(&format!("declare c cursor for {FEW}"), &[]), frame::execute("", 0)]),
                q("rollback"),
            ],
        ),
        (
            "ctas with an untyped parameter",
            vec![
                synced(&[run(
                    "create temp table t as select id, sex from clinic.patient where id < $1",
                    &[Some(b"4")],
                )]),
                q("select id from t order by id"),
            ],
        ),
        (
            "ctas, parameter only shown",
            vec![
                synced(&[run(
                    "create temp table t as select $1 as a, id from clinic.patient where id < 3",
                    &[Some(b"4")],
                )]),
                q("select a from t"),
            ],
        ),
        (
            "declare with an untyped parameter",
            vec![
                q("begin"),
                synced(&[run(
                    "declare c cursor for select id from clinic.patient where id < $1 order by 1",
                    &[Some(b"4")],
                )]),
                q("fetch all from c"),
                q("commit"),
            ],
        ),
        (
            "copy with a parameter",
            vec![
                synced(&[run("copy (select id from clinic.patient where id < $1) to stdout", &[Some(b"4")])]),
                q("select 1"),
            ],
        ),
        (
            "prepare by the protocol",
            vec![
                synced(&[run("prepare p(int) as select id from clinic.patient where id = $1", &[])]),
                q("execute p(2)"),
                q("deallocate p"),
                q("execute p(2)"),
            ],
        ),
        (
            "prepare twice",
            vec![
                q("prepare p as select 1"),
                q(&format!("prepare p as {FEW}")),
                q("execute p"),
                q("deallocate p"),
                q(&format!("prepare p as {FEW}")),
                q("execute p"),
            ],
        ),
        ("an error before", vec![synced(&[run("select nothing_of_it", &[]), run(&copy, &[])]), q("select 1")]),
        ("an error at run time before", vec![synced(&[run("select 1/0", &[]), run(&copy, &[])]), q("select 1")]),
        (
            "an error in the query",
            vec![synced(&[run("copy (select nothing_of_it) to stdout", &[]), run("select 1", &[])]), q("select 1")],
        ),
        (
            "an error in the query, simple",
            vec![
                q("copy (select nothing_of_it) to stdout"),
                q("begin"),
                q("declare c cursor for select 1 where id > 3"),
                q("select 1"),
                q("rollback"),
            ],
        ),
        (
            "failed transaction",
            vec![
                q("begin"),
                q("select 1/0"),
                q(&copy),
                q("prepare p as select 1"),
                q("declare c cursor for select 1"),
                synced(&[run(&copy, &[])]),
                q("rollback"),
                q(&copy),
            ],
        ),
        (
            "back to a savepoint",
            vec![
                q("begin"),
                q("savepoint s"),
                q(&format!("declare c cursor for {FEW}")),
                q("rollback to s"),
                q("fetch 1 from c"),
                q("rollback to s"),
                q("declare c cursor for select sex, id from clinic.patient where id = 7"),
                q("fetch 1 from c"),
                q("commit"),
            ],
        ),
        (
            "serializable",
            vec![
                q("begin isolation level serializable"),
                q(&copy),
                q("commit"),
                q(&format!("begin isolation level serializable; {copy}; commit")),
            ],
        ),
        (
            "isolation set before",
            vec![q("begin"), q("set transaction isolation level serializable"), q(&copy), q("rollback")],
        ),
        (
            "isolation set, piped",
            vec![synced(&[
                run("begin", &[]),
                run("set transaction isolation level serializable", &[]),
                run(&copy, &[]),
                run("commit", &[]),
            ])],
        ),
        (
            "declare without a transaction",
            vec![
                q(&format!("declare c cursor for {FEW}")),
                q(&format!("declare c cursor with hold for {FEW}")),
                q("fetch 2 from c"),
                q("close c"),
                q("fetch 2 from c"),
            ],
        ),
        (
            "declare twice",
            vec![
                q("begin"),
                q(&format!("declare c cursor for {FEW}")),
                q("declare c cursor for select 1"),
                q("rollback"),
            ],
        ),
        (
            "held over commit",
            vec![
                q("begin"),
                q(&format!("declare c cursor with hold for {FEW}")),
                q("commit"),
                q("fetch all from c"),
                q("discard all"),
                q("fetch all from c"),
            ],
        ),
        (
            "held, rolled back",
            vec![q("begin"), q(&format!("declare c cursor with hold for {FEW}")), q("rollback"), q("fetch all from c")],
        ),
        (
            "names in other case",
            vec![
                q("begin"),
                q(&format!("declare \"C\" cursor for {FEW}")),
                q("declare c cursor for select 5 as five"),
                q("fetch 1 from C"),
                q("fetch 1 from \"C\""),
                q("close C"),
                q("fetch 1 from \"C\""),
                q("fetch 1 from c"),
            ],
        ),
        (
            "long names",
            vec![
                q("begin"),
                q(&format!("declare {long} cursor for {FEW}")),
                q(&format!("fetch 1 from {cut}")),
                q(&format!("fetch 1 from {long}")),
                q(&format!("close {cut}")),
                q(&format!("prepare {long} as {FEW}")),
                q(&format!("execute {cut}")),
                q(&format!("execute {long}")),
            ],
        ),
        (
            "wide names",
            vec![
                q("begin"),
                q(&format!("declare {wide} cursor for {FEW}")),
                q(&format!("fetch 1 from {wide_cut}")),
                q(&format!("fetch 1 from {wide}")),
                q("rollback"),
            ],
        ),
        (
            "a table of the text, copied",
            vec![
                q(
                    "create temp table t as select id, sex from clinic.patient where id < 4; copy (select id from t order by id) to stdout",
                ),
                q("copy t to stdout"),
                q("copy (table t) to stdout"),
            ],
        ),
        (
            "a table of the text, declared",
            vec![q(
                "begin; create temp table t (a int); insert into t values (1); declare c cursor for select (select max(a) from t) as m; fetch all from c; commit",
            )],
        ),
        (
            "a table of the text, prepared",
            vec![q(
                "create temp table t (a int); prepare p as insert into t values (1); execute p; prepare r as select a from t; execute r",
            )],
        ),
        (
            "a column of the text",
            vec![
                q("create temp table t (a int)"),
                q("alter table t add column b int; copy (select b from t) to stdout"),
            ],
        ),
        (
            "a view of the text",
            vec![q(
                "create temp view v as select id from clinic.patient where id < 3; copy (select id from v order by 1) to stdout",
            )],
        ),
        (
            "dropped in the text",
            vec![
                q("create temp table t (a int)"),
                q("drop table t; create temp table t (z int); copy (select z from t) to stdout"),
            ],
        ),
        (
            "into, then declared",
            vec![q(
                "begin; select id into temp t from clinic.patient where id < 3; declare c cursor for select id from t order by id; fetch all from c; commit",
            )],
        ),
        (
            "execute of a write",
            vec![
                q("create temp table t (a int)"),
                q("prepare p(int) as insert into t values ($1)"),
                q("prepare r(int) as insert into t values ($1) returning a"),
                q("execute p(1)"),
                q("execute r(2)"),
                synced(&[run("execute r(3)", &[])]),
                q("select a from t order by 1"),
            ],
        ),
        (
            "binary",
            vec![
                q("begin"),
                q(&format!("declare c binary cursor for {FEW}")),
                q("fetch 1 from c"),
                q("rollback"),
                q(&format!("copy ({FEW}) to stdout with (format csv, header)")),
            ],
        ),
        (
            "its own names",
            vec![
                q("prepare chaperone_inside as select 1"),
                q("execute chaperone_inside"),
                q("prepare chaperone_prepares as select 2"),
                q("begin"),
                q("declare chaperone_prepares cursor for select 3 as three"),
                q("fetch all from chaperone_prepares"),
                q("commit"),
            ],
        ),
        (
            "fetch prepared before",
            vec![
                q("begin"),
                q(&format!("declare c cursor for {FEW}")),
                synced(&[frame::parse("f", "fetch 1 from c", &[])]),
                synced(&[frame::bind("", "f", &[], &[]), frame::execute("", 0), frame::execute("", 0)]),
                synced(&[frame::bind("", "f", &[], &[]), frame::describe_portal(""), frame::execute("", 0)]),
                q("rollback"),
            ],
        ),
        (
            "fetch in pieces",
            vec![
                q("begin"),
                q(&format!("declare c scroll cursor for {FEW}")),
                synced(&[
                    frame::parse("", "fetch 3 from c", &[]),
                    frame::bind("", "", &[], &[]),
                    frame::execute("", 1),
                    frame::execute("", 1),
                    frame::execute("", 0),
                ]),
                q("move first in c"),
                q("fetch prior from c"),
                q("close all"),
                q("fetch c"),
            ],
        ),
        (
            "all piped",
            vec![
                synced(&[
                    run("begin", &[]),
                    run(&format!("declare c cursor for {FEW}"), &[]),
                    run("fetch 1 from c", &[]),
                    run(&copy, &[]),
                    run("prepare p as select 1", &[]),
                    run("execute p", &[]),
                    run("close c", &[]),
                    run(&format!("declare c cursor for {FEW}"), &[]),
                    run("commit", &[]),
                ]),
                q("execute p"),
            ],
        ),
        (
            "copy between others",
            vec![synced(&[
                run("create temp table t (a int)", &[]),
                run("insert into t values (1)", &[]),
                run("copy (select a from t) to stdout", &[]),
                run("create temp table u as select a from t", &[]),
                run("select a from u", &[]),
            ])],
        ),
        ("flushed", vec![[run(&copy, &[]), frame::flush(), run(&copy, &[]), frame::flush(), frame::sync()].concat()]),
        ("simple in a segment", vec![[run("select 1", &[]), q(&copy)].concat(), q(&copy)]),
        (
            "simple after an error in a segment",
            vec![[run("select 1/0", &[]), q(&copy), q("prepare p as select 1"), frame::sync()].concat(), q(&copy)],
        ),
        (
            "copy in, then out",
            vec![
                q("create temp table t (a int)"),
                [q("copy t from stdin"), frame::copy_data(b"1\n"), frame::copy_done()].concat(),
                q("copy (select a from t) to stdout"),
                [q("copy t from stdin"), frame::copy_fail("no")].concat(),
                q("copy (select a from t) to stdout"),
            ],
        ),
        (
            "empty statements",
            vec![q(&format!(";; {copy};")), q("prepare p as select; execute p"), q("copy (select) to stdout")],
        ),
        (
            "nothing selected",
            vec![
                q("create temp table t as select"),
                q("select * from t"),
                q("create temp table if not exists t as select 1"),
                q("create temp table w as select 1 as a with no data"),
                q("select a from w"),
            ],
        ),
        (
            "a query that is skipped, then another",
            vec![
                [
                    run("deallocate nothing", &[]),
                    q("close all"),
                    q(&format!("create temp table t as {FEW}; copy t to stdout")),
                    q("create temp table u ()"),
                    frame::sync(),
                ]
                .concat(),
                q("select from u"),
            ],
        ),
        (
            "an error in the segment before",
            vec![
                synced(&[run("select 1/0", &[])]),
                synced(&[run(&copy, &[])]),
                synced(&[run("select nothing_of_it", &[])]),
                synced(&[run(&copy, &[]), run("prepare p as select 1", &[])]),
            ],
        ),
    ]
}
