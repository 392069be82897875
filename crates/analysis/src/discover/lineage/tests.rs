use super::*;
use crate::discover::load::{Column, Relation, TableNameOrEmpty};

fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (table, columns) in [("p", ["id", "name", "dob"]), ("v", ["id", "pid", "note"])] {
        let name = TableName::new("s", table);
        snapshot.by_name.insert(name.clone(), snapshot.relations.len());
        let columns = columns.iter().map(|name| Column { name: (*name).to_owned(), ..Column::default() });
        let relation = Relation { name: TableNameOrEmpty(name), columns: columns.collect(), ..Relation::default() };
        snapshot.relations.push(relation);
    }
    snapshot
}

#[test]
fn columns_are_followed() {
    let snapshot = snapshot();
    for (sql, expected) in [
        ("SELECT p.name, p.dob::text AS x FROM s.p", "p.name / p.dob"),
        ("SELECT upper(q.name) AS n FROM s.p q", "p.name"),
        ("SELECT q.b FROM s.p q(a, b)", "p.name"),
        ("SELECT x.n FROM (SELECT name AS n FROM s.p) x", "p.name"),
        (
            "WITH x AS (SELECT p.name, p.id FROM s.p) SELECT x.name, v.note FROM x JOIN s.v ON v.pid = x.id",
            "p.name / v.note",
        ),
        ("SELECT name FROM s.p UNION ALL SELECT note FROM s.v", "p.name v.note"),
        ("SELECT CASE WHEN p.dob IS NULL THEN p.id END AS x FROM s.p", "p.id p.dob"),
        ("SELECT count(*) AS n, count(p.name) AS m, 1 AS one FROM s.p", "count / count / "),
        ("SELECT (SELECT max(v.note) FROM s.v) AS x, p.id FROM s.p", "? / p.id"),
        ("SELECT s.secret(p.id) AS x FROM s.p", "? p.id"),
        ("SELECT p.id OPERATOR(s.+) 1 AS x FROM s.p", "? p.id"),
        ("SELECT p.* FROM s.p", "p.id p.name p.dob"),
        ("SELECT f.x FROM s.p, LATERAL string_to_table(p.name, ' ') f(x)", "p.name"),
        ("SELECT id FROM s.p JOIN s.v USING (id)", "p.id v.id"),
        (
            "WITH RECURSIVE r(a, b, c) AS (SELECT id, name, dob FROM s.p UNION ALL SELECT b, c, a FROM r) SELECT a FROM r",
            "p.id p.name p.dob",
        ),
        (
            "WITH RECURSIVE r(n) AS (SELECT id FROM s.p UNION ALL SELECT r.n + v.pid FROM r, s.v) SELECT n FROM r",
            "p.id v.pid",
        ),
        ("SELECT max(v.note) FILTER (WHERE v.pid = 3) OVER (PARTITION BY v.id) AS x FROM s.v", "v.id v.pid v.note"),
    ] {
        let origins = of(&snapshot, sql).unwrap_or_else(|| panic!("{sql}"));
        let shown: Vec<String> = origins
            .iter()
            .map(|origin| {
                let columns = origin.columns.iter().map(|(r, c)| {
                    let relation = &snapshot.relations[*r];
                    format!("{}.{}", relation.name.0.name, relation.columns[*c].name)
                });
                let marks = [(origin.opaque, "?"), (origin.counts, "count")];
                let marks = marks.iter().filter(|(set, _)| *set).map(|(_, mark)| (*mark).to_owned());
                marks.chain(columns).collect::<Vec<_>>().join(" ")
            })
            .collect();
        assert_eq!(shown.join(" / "), expected, "{sql}");
    }
    assert_eq!(of(&snapshot, "SELECT nobody.knows FROM s.p"), None);
    assert_eq!(of(&snapshot, "SELECT x FROM other.table"), None);
    assert_eq!(of(&snapshot, "not SQL"), None);
}
