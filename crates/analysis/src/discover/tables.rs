//! Which tables are about people.

use std::collections::{BTreeSet, HashMap};

use chaperone_model::Class;

use super::family::{self, Family};
use super::lexicon::{
    CODED, DESCRIBES, EVENTS, HOUSEKEEPING, LOOKUP_PREFIXES, LOOKUPS, PATIENTS, PEOPLE, QUALIFIERS, STANDALONE,
    VOCABULARY,
};
use super::load::{Relation, Snapshot};
use super::phrases::{self, Hit};
use super::words::{self, NUMBER, OTHER};
use super::{About, Confidence};

/// What is known of a table before its columns are judged.
pub(super) struct Table {
    /// The words of its name, without those that every table could have.
    pub(super) words: Vec<&'static str>,
    /// By column: the words of its name, and the phrases in them.
    pub(super) columns: Vec<(Vec<&'static str>, Vec<Hit>)>,
    pub(super) about: About,
    /// Columns that seem to hold another table's key though nobody declared it: `(column, table, key)`.
    pub(super) likely_keys: Vec<(usize, usize, usize)>,
}

/// Reads the names of all tables and follows their keys.
pub(super) fn read(snapshot: &Snapshot) -> Vec<Table> {
    let mut tables: Vec<Table> = snapshot.relations.iter().map(table).collect();
    likely_keys(snapshot, &mut tables);
    let lookups = lookups(snapshot, &tables);
    let patients: BTreeSet<usize> = (0..tables.len())
        .filter(|place| {
            tables.get(*place).zip(snapshot.relations.get(*place)).is_some_and(|(t, r)| is_called_patient(t, r))
        })
        .collect();
    let mut waiting = Vec::new();
    for (place, (table, relation)) in tables.iter_mut().zip(&snapshot.relations).enumerate() {
        table.about = if lookups.get(place) == Some(&true) {
            About::NoPerson
        } else if patients.contains(&place)
            || looks_like_patient(table, relation) && !references(table, relation).any(|to| patients.contains(&to))
        {
            About::Patient
        } else if last(table).is_some_and(|word| PEOPLE.contains(&word)) {
            About::People
        } else {
            About::Unsure
        };
        if table.about == About::Patient {
            waiting.push(place);
        }
    }
    // who refers to a table about patients is about patients too; so is what is known of those
    let mut referring: HashMap<usize, Vec<usize>> = HashMap::new();
    for (place, (table, relation)) in tables.iter().zip(&snapshot.relations).enumerate() {
        for to in references(table, relation) {
            referring.entry(to).or_default().push(place);
        }
    }
    while let Some(place) = waiting.pop() {
        for from in referring.get(&place).into_iter().flatten() {
            if let Some(table) = tables.get_mut(*from)
                && table.about == About::Unsure
            {
                table.about = About::Linked;
                waiting.push(*from);
            }
        }
    }
    tables
}

fn table(relation: &Relation) -> Table {
    const FRAME: [&str; 7] = ["table", "master", "info", "data", "record", "detail", "demographic"];
    let all = words::of_name(&relation.name.0.name);
    let mut words: Vec<&'static str> =
        all.iter().copied().filter(|word| !FRAME.contains(word) && *word != NUMBER).collect();
    if words.is_empty() {
        words = all;
    }
    let columns = relation.columns.iter().map(|column| {
        let words = words::of_name(&column.name);
        let hits = phrases::find(&words);
        (words, hits)
    });
    Table { words, columns: columns.collect(), about: About::Unsure, likely_keys: Vec::new() }
}

fn last(table: &Table) -> Option<&'static str> {
    table.words.last().copied()
}

fn is_called_patient(table: &Table, relation: &Relation) -> bool {
    !relation.is_view && last(table).is_some_and(|word| PATIENTS.contains(&word))
}

/// It has births and names, and is not called after those who work here. (A table that also refers to patients may
/// just repeat theirs.)
fn looks_like_patient(table: &Table, relation: &Relation) -> bool {
    if relation.is_view {
        return false;
    }
    let has = |class: Class| table.columns.iter().any(|(_, hits)| hits.iter().any(|hit| hit.class == class));
    has(Class::BirthDate) && has(Class::Name) && !table.words.iter().any(|word| PEOPLE.contains(word))
}

fn references<'a>(table: &'a Table, relation: &'a Relation) -> impl Iterator<Item = usize> + 'a {
    let declared = relation.foreign_keys.iter().map(|key| key.to);
    let read = relation.reads.iter().map(|(from, _)| *from);
    declared.chain(read).chain(table.likely_keys.iter().map(|(_, to, _)| *to)).chain(relation.parents.iter().copied())
}

/// Tables about no person: called like one, with nothing of a person in them, and referring only to others of the kind.
fn lookups(snapshot: &Snapshot, tables: &[Table]) -> Vec<bool> {
    let all = || tables.iter().zip(&snapshot.relations).enumerate();
    let referred: BTreeSet<usize> = all()
        .flat_map(|(place, (table, relation))| {
            let declared = relation.foreign_keys.iter().map(|key| key.to);
            declared.chain(table.likely_keys.iter().map(|(_, to, _)| *to)).filter(move |to| *to != place)
        })
        .collect();
    let mut lookups: Vec<bool> =
        all().map(|(place, (table, relation))| may_be_lookup(table, relation, referred.contains(&place))).collect();
    loop {
        let mut changed = false;
        for (place, (table, relation)) in all() {
            let only = references(table, relation).all(|to| to == place || lookups.get(to) == Some(&true));
            if let Some(lookup) = lookups.get_mut(place)
                && *lookup
                && !only
            {
                *lookup = false;
                changed = true;
            }
        }
        if !changed {
            return lookups;
        }
    }
}

fn may_be_lookup(table: &Table, relation: &Relation, referred: bool) -> bool {
    let name = relation.name.0.name.to_lowercase();
    // `diagnosis_code`, not `access_code`
    let before = table.words.iter().rev().nth(1);
    let codes = before.is_none_or(|before| CODED.contains(before) || VOCABULARY.contains(before));
    let called = last(table).is_some_and(|word| {
        LOOKUPS.contains(&word) && (word != "code" || codes) && (referred || STANDALONE.contains(&word))
    }) || !table.words.iter().any(|word| EVENTS.contains(word))
        && (LOOKUP_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || table
                .words
                .iter()
                .any(|word| ["concept", "vocabulary", "lookup", "migration", "feature"].contains(word)));
    let of_people = |words: &[&str]| words.iter().any(|word| PATIENTS.contains(word) || PEOPLE.contains(word));
    let comment = relation.comment.as_deref().map(words::of_text).unwrap_or_default();
    called
        && !relation.is_view
        && !of_people(&table.words)
        && !of_people(&comment)
        && table.columns.iter().zip(&relation.columns).all(|((words, hits), column)| {
            let dated = matches!(family::of(column), Family::Date | Family::DateRange | Family::Time);
            !of_people(words)
                && !hits.iter().any(is_personal)
                && !names_somebody(table, words, hits)
                && (!dated || words.iter().all(|word| HOUSEKEEPING.contains(word)))
        })
}

/// A name of something that is not known to be a thing: `occupant name`.
fn names_somebody(table: &Table, words: &[&'static str], hits: &[Hit]) -> bool {
    let things = [CODED, VOCABULARY, LOOKUPS, DESCRIBES, &["item"]];
    let is_thing = |word: &&str| things.iter().any(|list| list.contains(word)) || table.words.contains(word);
    hits.iter().any(|hit| match hit.class {
        Class::Name if hit.phrase == "name" => {
            words.get(..hit.start).unwrap_or_default().iter().any(|word| !is_thing(word))
        }
        Class::Name => true,
        _ => false,
    })
}

/// What only a table about people has.
fn is_personal(hit: &Hit) -> bool {
    match hit.class {
        Class::Ssn | Class::Mrn | Class::BirthDate | Class::InsuranceId | Class::Biometric | Class::Photo => {
            hit.confidence > Confidence::Low
        }
        Class::Name | Class::Age => hit.confidence == Confidence::High,
        _ => false,
    }
}

/// Columns called like another table's key: `visit_id` where there is a table `visit` with a key `id`, `subject_id`
/// where that is a table's key.
fn likely_keys(snapshot: &Snapshot, tables: &mut [Table]) {
    let mut keys: HashMap<String, Vec<(usize, usize)>> = HashMap::new();
    for (place, (table, relation)) in tables.iter().zip(&snapshot.relations).enumerate() {
        let [key] = relation.primary_key[..] else { continue };
        let refers = relation.foreign_keys.iter().any(|foreign| foreign.pairs.iter().any(|(from, _)| *from == key));
        let Some((words, _)) = table.columns.get(key).filter(|_| !refers) else { continue };
        let mut called = vec![table.words.iter().copied().chain(["id"]).collect::<Vec<_>>().join(" ")];
        if words.len() > 1 && words.last() == Some(&"id") {
            called.push(words.join(" "));
        }
        called.dedup();
        for name in called.into_iter().filter(|name| !name.contains(OTHER)) {
            keys.entry(name).or_default().push((place, key));
        }
    }
    for (place, (table, relation)) in tables.iter_mut().zip(&snapshot.relations).enumerate() {
        for (at, column) in relation.columns.iter().enumerate() {
            let declared =
                relation.foreign_keys.iter().any(|foreign| foreign.pairs.iter().any(|(from, _)| *from == at));
            let Some((words, _)) = table.columns.get(at) else { continue };
            if declared || relation.primary_key == [at] || words.last() != Some(&"id") || words.len() < 2 {
                continue;
            }
            // `previous_visit_id` is a `visit_id` too, `external_visit_id` is not
            let skipped = words.iter().take_while(|word| QUALIFIERS.contains(word)).count().min(words.len() - 2);
            let found = (0..=skipped).find_map(|skip| keys.get(&words.get(skip..)?.join(" ")));
            for (to, key) in found.into_iter().flatten().filter(|(to, _)| *to != place) {
                let target = snapshot.relations.get(*to).and_then(|relation| relation.columns.get(*key));
                let same = target.is_some_and(|target| kind(family::of(target)) == kind(family::of(column)));
                if same {
                    table.likely_keys.push((at, *to, *key));
                }
            }
        }
    }
}

fn kind(family: Family) -> Family {
    if family == Family::Number { Family::Integer } else { family }
}
