//! The Merkle log: entries, tiles, roots.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use chaperone_ledger_format::layout;
use chaperone_ledger_format::tree::{TILE_WIDTH, TileName, Tree, entries, leaf};

use crate::checkpoints::{Signed, stray};
use crate::{Report, content, report};

/// The tree over the entries that the log holds.
pub(crate) fn read(dir: &Path, signed: &Signed, report: &mut Report) -> Tree {
    let root = dir.join(layout::LOG);
    let mut names = BTreeSet::new();
    if root.is_dir() {
        walk(&root, "", &mut names, report);
    } else {
        report.incomplete(layout::LOG, "there is none");
    }
    report.counts.files = names.len() as u64;
    let mut tree = Tree::default();
    bundles(&root, &names, &mut tree, report);
    tiles(&root, &names, &tree, report);
    // what was signed says most, and only so many findings are kept
    roots(signed, &tree, report);
    missing(&names, signed.size(), report);
    tree
}

fn walk(folder: &Path, below: &str, names: &mut BTreeSet<TileName>, report: &mut Report) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // a folder of partial tiles that the running gateway has just removed
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        Err(error) => return report.cannot_check(format_args!("{}/{below}", layout::LOG), error),
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder {
            walk(&entry.path(), &path, names, report);
        } else if let Some(tile) = TileName::from_path(&path) {
            names.insert(tile);
        } else if path != "checkpoint" {
            stray(&format!("{}/{path}", layout::LOG), report);
        }
    }
}

/// Reads the bundles in order into the tree.
fn bundles(root: &Path, names: &BTreeSet<TileName>, tree: &mut Tree, report: &mut Report) {
    let mut by_number: BTreeMap<u64, Vec<TileName>> = BTreeMap::new();
    for name in names.iter().filter(|name| name.level.is_none()) {
        by_number.entry(name.number).or_default().push(*name);
    }
    for (number, mut widths) in by_number {
        widths.sort_by_key(|name| std::cmp::Reverse(name.width));
        let mut widest: Option<Vec<u8>> = None;
        for name in widths {
            let place = format!("{}/{}", layout::LOG, name.path());
            let Some(bytes) = tile(root, name, &place, report) else { continue };
            let Some(records) = entries(&bytes).filter(|records| records.len() as u64 == name.width) else {
                report.tampered(&place, format_args!("it does not hold {} entries", name.width));
                continue;
            };
            match &widest {
                Some(widest) if widest.starts_with(&bytes) => {}
                Some(_) => report.tampered(&place, "it differs from a later bundle of the same entries"),
                None => {
                    if number.checked_mul(TILE_WIDTH) == Some(tree.size()) {
                        records.iter().for_each(|record| tree.push(leaf(record)));
                    } else {
                        report.incomplete(&place, "the entries before it are missing");
                    }
                    widest = Some(bytes);
                }
            }
        }
    }
}

/// Compares every hash tile with the entries.
fn tiles(root: &Path, names: &BTreeSet<TileName>, tree: &Tree, report: &mut Report) {
    for name in names {
        let Some(level) = name.level else { continue };
        let place = format!("{}/{}", layout::LOG, name.path());
        let Some(bytes) = tile(root, *name, &place, report) else { continue };
        match tree.tile(level, name.number, name.width) {
            Some(expected) if expected == bytes => {}
            Some(_) => report.tampered(&place, "its hashes are not those of the entries"),
            None => report.incomplete(&place, "the entries that it is about are missing"),
        }
    }
}

/// The tiles that a log of that size has published.
fn missing(names: &BTreeSet<TileName>, size: u64, report: &mut Report) {
    // whoever has the key can sign any size; what is missing is not looked for without end
    let size = size.min((names.len() + report::KEPT) as u64 * TILE_WIDTH);
    let mut expected = Tree::tiles(size, |_| 0);
    expected.extend((0..size / TILE_WIDTH).map(|number| TileName::entries(number, TILE_WIDTH)));
    if !size.is_multiple_of(TILE_WIDTH) {
        expected.push(TileName::entries(size / TILE_WIDTH, size % TILE_WIDTH));
    }
    for name in expected {
        // a partial tile may have grown meanwhile
        let wider = TileName { width: TILE_WIDTH, ..name };
        if names.range(name..=wider).next().is_none() {
            report.incomplete(format_args!("{}/{}", layout::LOG, name.path()), "it is missing");
        }
    }
}

/// The roots of the checkpoints.
fn roots(signed: &Signed, tree: &Tree, report: &mut Report) {
    let newest = signed.newest.iter().map(|checkpoint| (layout::CHECKPOINT, checkpoint));
    let history = signed.history.iter().map(|checkpoint| (layout::CHECKPOINTS, checkpoint));
    for (place, checkpoint) in newest.chain(history) {
        let size = checkpoint.size;
        match tree.root(size) {
            Some(root) if root == checkpoint.root => {}
            Some(_) => report.tampered(place, format_args!("the first {size} entries are not those that were signed")),
            None => {
                report.incomplete(place, format_args!("it is about {size} entries, and the log holds {}", tree.size()))
            }
        }
    }
}

fn tile(root: &Path, name: TileName, place: &str, report: &mut Report) -> Option<Vec<u8>> {
    match content(&root.join(name.path())) {
        Ok(bytes) => Some(bytes),
        // removed by the running gateway since the folder was listed; if it is needed, it is reported as missing
        Err(error) if error.kind() == ErrorKind::NotFound && name.width < TILE_WIDTH => None,
        Err(error) => {
            report.cannot_check(place, error);
            None
        }
    }
}
