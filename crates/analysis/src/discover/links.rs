//! What columns say of each other: keys, inheritance, generated columns, views.

use std::collections::{BTreeSet, HashMap, VecDeque};

use chaperone_model::Class;

use super::column::Opinion;
use super::lineage;
use super::load::Snapshot;
use super::phrases;
use super::tables::Table;
use super::words;
use super::{Confidence, Finding};

/// A relation and a column of it, by place.
type Place = (usize, usize);

/// Opinions of all columns, becoming findings.
pub(super) struct Links<'a> {
    snapshot: &'a Snapshot,
    tables: &'a [Table],
    opinions: Vec<Vec<Opinion>>,
}

impl<'a> Links<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, tables: &'a [Table], opinions: Vec<Vec<Opinion>>) -> Self {
        Links { snapshot, tables, opinions }
    }

    /// Lets columns that hold the same values agree, and says what each holds.
    pub(super) fn settle(mut self) -> Vec<Vec<Finding>> {
        self.keys();
        self.likely_keys();
        let mut findings: Vec<Vec<Finding>> =
            self.opinions.iter().map(|opinions| opinions.iter().map(finding).collect()).collect();
        self.generated(&mut findings);
        self.views(&mut findings);
        findings
    }

    fn opinion(&self, (relation, column): Place) -> Option<&Opinion> {
        self.opinions.get(relation)?.get(column)
    }

    fn set(&mut self, (relation, column): Place, opinion: Opinion) {
        if let Some(place) = self.opinions.get_mut(relation).and_then(|opinions| opinions.get_mut(column)) {
            *place = opinion;
        }
    }

    fn name(&self, place: Place) -> String {
        name_of(self.snapshot, place)
    }

    /// Columns that a foreign key or inheritance ties together hold the same values: what is known of one is known of
    /// all.
    fn keys(&mut self) {
        let mut edges: Vec<(Place, Place)> = Vec::new();
        for (at, relation) in self.snapshot.relations.iter().enumerate() {
            for key in &relation.foreign_keys {
                edges.extend(key.pairs.iter().map(|(from, to)| ((at, *from), (key.to, *to))));
            }
            for parent in &relation.parents {
                let columns =
                    self.snapshot.relations.get(*parent).map(|parent| &parent.columns[..]).unwrap_or_default();
                for (from, column) in relation.columns.iter().enumerate() {
                    if let Some(to) = columns.iter().position(|other| other.name == column.name) {
                        edges.push(((at, from), (*parent, to)));
                    }
                }
            }
        }
        let referring: BTreeSet<Place> = edges.iter().filter(|(from, to)| from != to).map(|(from, _)| *from).collect();
        for group in groups(&edges) {
            self.agree(&group, &referring);
        }
    }

    fn agree(&mut self, group: &[Place], referring: &BTreeSet<Place>) {
        let roots: Vec<Place> = group.iter().copied().filter(|place| !referring.contains(place)).collect();
        let made_here = roots
            .iter()
            .copied()
            .find(|place| matches!(self.opinion(*place), Some(Opinion::Harmless { made_here: true, .. })));
        let mut classes: Vec<(Class, Confidence, Place)> = Vec::new();
        for place in group {
            if let Some(Opinion::Protected { class, confidence, is_id, .. }) = self.opinion(*place)
                && !(*is_id && made_here.is_some())
            {
                classes.push((*class, *confidence, *place));
            }
        }
        let Some((class, confidence, source)) = classes.iter().copied().max_by_key(|(_, confidence, _)| *confidence)
        else {
            return self.agree_on_none(group, &roots, made_here);
        };
        let one = classes.iter().all(|(other, ..)| *other == class);
        let source = self.name(source);
        for place in group {
            let is_protected = matches!(self.opinion(*place), Some(Opinion::Protected { .. }));
            if classes.iter().any(|(.., known)| known == place) || is_protected && !one {
                continue;
            }
            let opinion = if one {
                let reason = format!("has the values of `{source}`, by a key");
                Opinion::Protected { class, confidence, reason, is_id: false }
            } else {
                Opinion::Undecided {
                    reason: "keys tie it to columns of several classes".into(),
                    fallback: Class::Unknown,
                }
            };
            self.set(*place, opinion);
        }
    }

    fn agree_on_none(&mut self, group: &[Place], roots: &[Place], made_here: Option<Place>) {
        let harmless = |links: &Self, place: &Place| matches!(links.opinion(*place), Some(Opinion::Harmless { .. }));
        if roots.is_empty() || !roots.iter().all(|root| harmless(self, root)) {
            return;
        }
        let Some(root) = made_here.or_else(|| roots.first().copied()) else { return };
        let root = self.name(root);
        let confidence = if made_here.is_some() { Confidence::High } else { Confidence::Medium };
        for place in group.iter().filter(|place| !roots.contains(place)) {
            if !harmless(self, place) {
                let reason = format!("refers to `{root}`, which identifies nobody");
                self.set(*place, Opinion::Harmless { confidence, reason, made_here: false });
            }
        }
    }

    /// Columns that are only called like a key: they take what is known of it, and tell it nothing.
    fn likely_keys(&mut self) {
        // a key may itself be called like another: a few rounds, whatever the schema
        for _ in 0..8 {
            let mut changes = Vec::new();
            for (at, table) in self.tables.iter().enumerate() {
                let mut targets: HashMap<usize, Vec<Place>> = HashMap::new();
                for (column, to, key) in &table.likely_keys {
                    targets.entry(*column).or_default().push((*to, *key));
                }
                for (column, targets) in targets {
                    if matches!(self.opinion((at, column)), Some(Opinion::Undecided { .. }))
                        && let Some(opinion) = self.like(at, &targets)
                    {
                        changes.push(((at, column), opinion));
                    }
                }
            }
            if changes.is_empty() {
                return;
            }
            for (place, opinion) in changes {
                self.set(place, opinion);
            }
        }
    }

    fn like(&self, from: usize, targets: &[Place]) -> Option<Opinion> {
        let schema = |at: usize| self.snapshot.relations.get(at).map(|relation| &relation.name.0.schema);
        let first = self.name(*targets.first()?);
        let mut class = None;
        let mut harmless = true;
        for target in targets {
            match self.opinion(*target)? {
                Opinion::Protected { class: found, .. } if class.is_none_or(|class| class == *found) => {
                    class = Some(*found);
                    harmless = false;
                }
                Opinion::Protected { .. } | Opinion::Undecided { .. } => return None,
                // another schema may be another system, which counts on its own
                Opinion::Harmless { .. } => harmless &= schema(from) == schema(target.0),
            }
        }
        let reason = format!("called like a key to `{first}`");
        match class {
            Some(class) => Some(Opinion::Protected { class, confidence: Confidence::Low, reason, is_id: false }),
            None => harmless.then_some(Opinion::Harmless { confidence: Confidence::Medium, reason, made_here: false }),
        }
    }

    /// A generated column shows what it is computed from.
    fn generated(&self, findings: &mut [Vec<Finding>]) {
        for (at, relation) in self.snapshot.relations.iter().enumerate() {
            for (column, sources) in
                relation.columns.iter().enumerate().filter_map(|(n, c)| Some((n, c.generated_from.as_ref()?)))
            {
                let sources: Vec<Place> = sources.iter().map(|source| (at, *source)).collect();
                let derived = derived(self.snapshot, findings, &sources, "generated from");
                let Some(own) = findings.get_mut(at).and_then(|columns| columns.get_mut(column)) else { continue };
                match derived {
                    // of what is harmless somebody's function may still make something else: its own name must say no
                    Some(derived) if derived.class.is_protected() => *own = derived,
                    Some(_) => {}
                    None if own.class == Class::None => {
                        *own = Finding::unknown("generated, and it is not known from what")
                    }
                    None => {}
                }
            }
        }
    }

    /// Views in the order in which they read each other.
    fn views(&self, findings: &mut [Vec<Finding>]) {
        let relations = &self.snapshot.relations;
        let mut waits: Vec<BTreeSet<usize>> = Vec::with_capacity(relations.len());
        let mut wakes: HashMap<usize, Vec<usize>> = HashMap::new();
        for (at, relation) in relations.iter().enumerate() {
            let views = relation.reads.iter().map(|(from, _)| *from);
            let views = views.filter(|from| relation.is_view && relations.get(*from).is_some_and(|r| r.is_view));
            let views: BTreeSet<usize> = views.collect();
            views.iter().for_each(|from| wakes.entry(*from).or_default().push(at));
            waits.push(views);
        }
        let mut ready: VecDeque<usize> =
            (0..relations.len()).filter(|at| relations.get(*at).is_some_and(|r| r.is_view)).collect();
        ready.retain(|at| waits.get(*at).is_some_and(BTreeSet::is_empty));
        let mut done = BTreeSet::new();
        while let Some(at) = ready.pop_front() {
            done.insert(at);
            let found = self.view(at, findings);
            if let Some(place) = findings.get_mut(at) {
                *place = found;
            }
            for next in wakes.get(&at).into_iter().flatten() {
                if let Some(waits) = waits.get_mut(*next)
                    && waits.remove(&at)
                    && waits.is_empty()
                {
                    ready.push_back(*next);
                }
            }
        }
        // views in a circle cannot be made, but a catalog can be broken
        for (at, relation) in relations.iter().enumerate().filter(|(at, r)| r.is_view && !done.contains(at)) {
            if let Some(place) = findings.get_mut(at) {
                *place = relation.columns.iter().map(|_| Finding::unknown("views that read each other")).collect();
            }
        }
    }

    fn view(&self, at: usize, findings: &[Vec<Finding>]) -> Vec<Finding> {
        let Some(relation) = self.snapshot.relations.get(at) else { return Vec::new() };
        let origins = relation.definition.as_deref().and_then(|definition| lineage::of(self.snapshot, definition));
        let origins = origins.filter(|origins| origins.len() == relation.columns.len());
        let Some(origins) = origins else {
            let everything = self.everything(at, findings);
            return relation.columns.iter().map(|_| everything.clone()).collect();
        };
        let columns = origins.into_iter().zip(&relation.columns);
        columns
            .map(|(origin, column)| {
                if origin.opaque {
                    return self.everything(at, findings);
                }
                let sources: Vec<Place> = origin.columns.iter().copied().collect();
                match derived(self.snapshot, findings, &sources, "view column reads") {
                    Some(derived) if derived.class == Class::None => self.contradicted(derived, &column.name),
                    Some(derived) => derived,
                    None if origin.counts => Finding::new(Class::None, Confidence::Medium, "counts rows"),
                    None => Finding::unknown("a constant of a view"),
                }
            })
            .collect()
    }

    /// A view's column that is called like something protected and reads nothing that is: somebody knows more than we.
    fn contradicted(&self, derived: Finding, name: &str) -> Finding {
        let hits = phrases::find(&words::of_name(name));
        match hits.iter().rfind(|hit| hit.class != Class::None && hit.confidence == Confidence::High) {
            Some(hit) => Finding::unknown(format!("name says `{}`, what it reads does not", hit.phrase)),
            None => derived,
        }
    }

    /// What a view may show in any column.
    fn everything(&self, at: usize, findings: &[Vec<Finding>]) -> Finding {
        let why = "the view is too involved to follow; it reads";
        let reads = self.snapshot.relations.get(at).map(|relation| &relation.reads[..]).unwrap_or_default();
        let sources: Option<Vec<Place>> = reads.iter().map(|(from, column)| Some((*from, (*column)?))).collect();
        match sources.and_then(|sources| derived(self.snapshot, findings, &sources, why)) {
            Some(finding) if finding.class.is_protected() => Finding { confidence: Confidence::Low, ..finding },
            _ => Finding::unknown("the view is too involved to follow"),
        }
    }
}

/// The finding that an opinion becomes when nobody adds to it.
fn finding(opinion: &Opinion) -> Finding {
    match opinion {
        Opinion::Protected { class, confidence, reason, .. } => Finding::new(*class, *confidence, reason.clone()),
        Opinion::Harmless { confidence, reason, .. } => Finding::new(Class::None, *confidence, reason.clone()),
        Opinion::Undecided { reason, fallback } => Finding::new(*fallback, Confidence::Low, reason.clone()),
    }
}

/// What a value computed from `sources` may show: the class of those that are protected, where it is one; `unknown`,
/// which is never shown, where they are several. `None` where there are no sources.
fn derived(snapshot: &Snapshot, findings: &[Vec<Finding>], sources: &[Place], how: &str) -> Option<Finding> {
    let of = |place: &Place| findings.get(place.0).and_then(|columns| columns.get(place.1));
    let mut class = Class::None;
    let mut confidence = Confidence::High;
    let mut shown: Vec<String> = Vec::new();
    for source in sources {
        let found = of(source)?;
        confidence = confidence.min(found.confidence);
        if found.class.is_protected() || class == Class::None {
            if found.class.is_protected() && class == Class::None {
                shown.clear();
            }
            shown.push(name_of(snapshot, *source));
        }
        class = match (class, found.class) {
            (known, Class::None) => known,
            (Class::None, found) => found,
            (known, found) if known == found => known,
            (Class::BirthDate | Class::Date, Class::BirthDate | Class::Date) => Class::BirthDate,
            _ => Class::Unknown,
        };
    }
    let (first, more) = (shown.first()?, shown.len() - 1);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let confidence = match class {
        Class::Unknown => Confidence::Low,
        // never unsure of `none`: each of the sources has its evidence
        Class::None => confidence.clamp(Confidence::Medium, Confidence::High),
        _ => confidence,
    };
    Some(Finding::new(class, confidence, format!("{how} `{first}`{more}")))
}

fn name_of(snapshot: &Snapshot, (relation, column): Place) -> String {
    let relation = snapshot.relations.get(relation);
    let column = relation.and_then(|relation| relation.columns.get(column)).map_or("", |column| &column.name);
    relation.map_or_else(String::new, |relation| format!("{}.{column}", relation.name.0))
}

/// Places that edges connect, in groups.
fn groups(edges: &[(Place, Place)]) -> Vec<Vec<Place>> {
    let mut numbers: HashMap<Place, usize> = HashMap::new();
    let mut parents: Vec<usize> = Vec::new();
    let mut number = |place: Place, parents: &mut Vec<usize>| {
        *numbers.entry(place).or_insert_with(|| {
            parents.push(parents.len());
            parents.len() - 1
        })
    };
    for (from, to) in edges {
        let (from, to) = (number(*from, &mut parents), number(*to, &mut parents));
        let (from, to) = (root(&mut parents, from), root(&mut parents, to));
        if let Some(parent) = parents.get_mut(from) {
            *parent = to;
        }
    }
    let mut groups: HashMap<usize, Vec<Place>> = HashMap::new();
    for (place, number) in numbers {
        groups.entry(root(&mut parents, number)).or_default().push(place);
    }
    let mut groups: Vec<Vec<Place>> = groups.into_values().collect();
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups.sort_unstable();
    groups
}

fn root(parents: &mut [usize], mut at: usize) -> usize {
    while let Some(parent) = parents.get(at).copied()
        && parent != at
    {
        let above = parents.get(parent).copied().unwrap_or(parent);
        if let Some(place) = parents.get_mut(at) {
            *place = above;
        }
        at = parent;
    }
    at
}
