//! The body of the fuzz target `parse`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chaperone_mask::Masker;
use chaperone_model::{Class, Masks, Rung, TableClasses, TableName};

use crate::catalog::{Catalog, Column, Relation};
use crate::{Protection, parse, parse_escaped, rewrite};

/// Whatever the bytes, analysis ends without a panic; and what it would let run parses, and is let run again only as
/// itself: a masked text names the table in it, which masking it once more replaces by the same mask.
#[doc(hidden)]
pub fn fuzz_parse(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = parse_escaped(&text).map(|statements| statements.len());
    let Ok(statements) = parse(&text) else { return };
    let (classification, masks, catalog) = &*CLINIC;
    let protection = Protection { catalog, classification, masks, masker: Masker::new(1937) };
    for i in 0..statements.len() {
        assert!(!statements.facts(i).needs.is_empty());
        assert!(!statements.facts_in(i, catalog).needs.is_empty());
        assert!(!statements.normalized(i).is_empty());
        assert_eq!(statements.fingerprint(i).len(), 16);
        let _ = (statements.copy(i), statements.transaction(i), statements.settings(i), statements.text(i));
        let Ok(masked) = rewrite(&statements, i, &protection) else { continue };
        let again = parse(&masked.text);
        assert_eq!(again.map(|again| again.len()).ok(), Some(1), "a masked text is one statement");
    }
}

type Clinic = (BTreeMap<TableName, TableClasses>, Masks, Catalog);

/// One table, with something to hide.
static CLINIC: LazyLock<Clinic> = LazyLock::new(|| {
    let table = TableName::new("clinic", "patient");
    let (mut classes, mut masks) = (TableClasses::default(), Masks::default());
    let mut relation = Relation {
        oid: 20_001,
        kind: 'r',
        primary_key: vec![1],
        indexes: vec![vec![1], vec![2, 1]],
        ..Relation::default()
    };
    let columns = [
        ("id", "int4", Class::None, Rung::Raw),
        ("last_name", "text", Class::Name, Rung::Redacted),
        ("dob", "date", Class::BirthDate, Rung::Partial),
        ("zip", "text", Class::Zip, Rung::Partial),
    ];
    for (number, (name, ty, class, rung)) in (1..).zip(columns) {
        classes.columns.insert(name.to_owned(), class);
        masks.set(&table, name, rung);
        relation.columns.push(Column {
            number,
            name: name.to_owned(),
            type_oid: 25,
            base: TableName::new("pg_catalog", ty),
            base_oid: 25,
            element: None,
            element_oid: 0,
            base_kind: 'b',
            generated_from: None,
            bytewise: true,
        });
    }
    let catalog = Catalog {
        server_version: 150_000,
        search_path: vec!["pg_catalog".to_owned(), "clinic".to_owned()],
        relations: [(table.clone(), relation)].into(),
        ..Catalog::default()
    };
    ([(table, classes)].into(), masks, catalog)
});

#[cfg(test)]
mod tests {
    use super::fuzz_parse;

    /// The seeds of the target, whole, cut anywhere, and with bytes replaced.
    #[test]
    fn the_corpus() {
        let up = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let corpus = up.map(|dir| dir.join("fuzz/corpus/parse")).find(|dir| dir.exists()).expect("fuzz/corpus/parse");
        let mut seeds = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            let seed = std::fs::read(entry.unwrap().path()).unwrap();
            seeds += 1;
            for end in 0..=seed.len() {
                fuzz_parse(&seed[..end]);
            }
            for at in (0..seed.len()).step_by(3) {
                for byte in [0, b'\'', b'(', b'"', 0xff] {
                    let mut changed = seed.clone();
                    changed[at] = byte;
                    fuzz_parse(&changed);
                }
            }
        }
        assert!(seeds >= 10);
    }
}
