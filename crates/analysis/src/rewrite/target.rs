//! The target of a write, whose rows are at hand as stored.
//!
//! A target cannot give way to a subquery. So what an expression may see of it is put around the expression instead:
//! ```sql
//! UPDATE clinic.patient SET lang = 'de' WHERE id = 5 AND dob >= '1950-01-01'
//! -- becomes
//! UPDATE clinic.patient AS patient SET lang = 'de'
//! WHERE id = 5 AND (SELECT dob >= '1950-01-01' FROM (SELECT patient.id AS id, <mask of patient.dob> AS dob, …) AS patient)
//! ```
//! Names find the masked row first, by SQL's own rules. An expression that names nothing masked stays as it is, so that it
//! keeps its index: a test on names alone, which can only be wrong towards wrapping.

use std::collections::BTreeSet;

use chaperone_model::{Refusal, TableName};
use pg_query::protobuf::{self as pg, BoolExprType, SubLinkType};
use pg_query::{Node, NodeEnum};

use super::probe::Written;
use super::{Item, Masker, node, proof, refuse, source, string};
use crate::catalog::Relation;
use crate::visit::{Visit, visit};

/// A table that is written to.
pub(super) struct Target {
    pub(super) name: TableName,
    /// What it is known as.
    pub(super) alias: String,
    pub(super) columns: Vec<String>,
    /// Columns that are not as stored.
    pub(super) masked: BTreeSet<String>,
    /// Those, and columns whose type brings checks along.
    wrapped: BTreeSet<String>,
    /// A row of it, masked.
    row: pg::SelectStmt,
    /// `excluded` is the row that was to be inserted.
    pub(super) excluded: bool,
    /// It is a table that the session made for itself: all of the above is empty.
    pub(super) own: bool,
}

impl<'a> Masker<'a> {
    /// The target of a write: it gets an alias, so that no longer name reaches its rows.
    pub(super) fn target(&mut self, range: &mut pg::RangeVar) -> Result<Target, Refusal> {
        if let Some(own) = self.own(range)? {
            return self.own_target(range, own);
        }
        let pg::RangeVar { catalogname, schemaname, relname, inh, relpersistence: _, alias, location: _ } = range;
        let found = self.catalog.relation(schemaname, relname).filter(|_| catalogname.is_empty());
        let Some((name, relation)) = found else { return Err(refuse::unknown_relation(relname)) };
        if !self.protection.classification.contains_key(&name) {
            return Err(refuse::relation(
                &name.to_string(),
                "the classification does not list it, so nobody has said what it holds",
                "write to the tables that are listed",
            ));
        }
        if !matches!(relation.kind, 'r' | 'p') {
            return Err(refuse::relation(&name.to_string(), "it is not a table", "write to a table"));
        }
        if alias.as_ref().is_some_and(|alias| !alias.colnames.is_empty()) {
            return Err(refuse::construct("a target with names for its columns"));
        }
        // all that keeps a table from being read keeps it from being written
        self.source(&name, !*inh)?;
        // its conditions and what it returns tell of rows, too
        self.persons += usize::from(self.knows_subjects && self.is_about_persons(&name));
        let known_as = alias.as_ref().map_or(&*relname, |alias| &alias.aliasname).clone();
        let (row, masked) = source::row(&name, relation, &known_as, &self.protection)?;
        let mut wrapped = masked.clone();
        wrapped.extend(
            relation.columns.iter().filter(|column| source::is_domain(column)).map(|column| column.name.clone()),
        );
        self.hidden_names.extend(masked.iter().cloned());
        let columns: Vec<String> = relation.columns.iter().map(|column| column.name.clone()).collect();
        self.item(Item {
            alias: known_as.clone(),
            function: false,
            renamed: alias.is_some(),
            table: Some(name.clone()),
            reachable: false,
            columns: Some(columns.clone()),
            key: Vec::new(),
            groupable: Vec::new(),
        });
        schemaname.clone_from(&name.schema);
        relname.clone_from(&name.name);
        *alias = Some(pg::Alias { aliasname: known_as.clone(), colnames: Vec::new() });
        self.targets.insert(name.clone());
        Ok(Target { name, alias: known_as, columns, masked, wrapped, row, excluded: false, own: false })
    }

    /// The catalog's entry of a target.
    pub(super) fn relation_of(&self, target: &Target) -> Option<&'a Relation> {
        self.catalog.relations.get(&target.name)
    }

    /// A condition on rows of the target: each part of an `AND` by itself.
    pub(super) fn condition(&mut self, condition: &mut Option<Box<Node>>, target: &Target) -> Result<(), Refusal> {
        self.optional(condition)?;
        let Some(condition) = condition else { return Ok(()) };
        self.wrap_conjuncts(condition, target)
    }

    fn wrap_conjuncts(&mut self, condition: &mut Node, target: &Target) -> Result<(), Refusal> {
        match &mut condition.node {
            Some(NodeEnum::BoolExpr(both)) if both.boolop == BoolExprType::AndExpr as i32 => {
                both.args.iter_mut().try_for_each(|part| self.wrap_conjuncts(part, target))
            }
            _ => self.wrap(condition, target),
        }
    }

    /// An expression over rows of the target, which was looked at already, comes to stand over their masked selves.
    pub(super) fn wrap(&mut self, expression: &mut Node, target: &Target) -> Result<(), Refusal> {
        if !target.shows_through(expression) {
            let select = target.wrapping(std::mem::take(expression));
            self.put_in += proof::size(&select);
            self.within_bounds()?;
            self.wraps.push(select.clone());
            let link = pg::SubLink {
                sub_link_type: SubLinkType::ExprSublink as i32,
                subselect: Some(Box::new(node(NodeEnum::SelectStmt(Box::new(select))))),
                ..Default::default()
            };
            *expression = node(NodeEnum::SubLink(Box::new(link)));
        }
        if target.wrapped.is_empty() {
            return Ok(());
        }
        let row = proof::Row {
            alias: &target.alias,
            columns: &target.columns,
            masked: &target.wrapped,
            excluded: target.excluded,
        };
        proof::wrapped(expression, &self.wraps, &row)
    }

    /// Whether the table may be written to so.
    pub(super) fn may_write(&self, target: &Target, written: &Written) -> Result<(), Refusal> {
        if target.own { Ok(()) } else { self.probes(&target.name, written) }
    }
}

impl Target {
    /// A table that the session made for itself: nothing of it is masked, by now.
    pub(super) fn own(name: TableName, alias: String) -> Target {
        Target {
            name,
            alias,
            columns: Vec::new(),
            masked: BTreeSet::new(),
            wrapped: BTreeSet::new(),
            row: pg::SelectStmt::default(),
            excluded: false,
            own: true,
        }
    }

    /// Whether an expression names nothing that is masked, in any way.
    pub(super) fn shows_through(&self, expression: &Node) -> bool {
        if self.wrapped.is_empty() {
            return true;
        }
        let names = References::of(expression, self.excluded);
        let shown = |reference: &Vec<String>| match &reference[..] {
            [name] => !self.wrapped.contains(name) && *name != self.alias,
            // row.name also calls a function of the row: only a column that is shown passes
            [alias, name] if *alias == self.alias => self.columns.contains(name) && !self.wrapped.contains(name),
            [alias, name] => !self.wrapped.contains(name) && !self.wrapped.contains(alias),
            _ => false,
        };
        !names.subquery && !names.star && names.names.iter().all(shown)
    }

    fn wrapping(&self, expression: Node) -> pg::SelectStmt {
        let target = pg::ResTarget { val: Some(Box::new(expression)), ..Default::default() };
        let from = pg::RangeSubselect {
            lateral: false,
            subquery: Some(Box::new(node(NodeEnum::SelectStmt(Box::new(self.row.clone()))))),
            alias: Some(pg::Alias { aliasname: self.alias.clone(), colnames: Vec::new() }),
        };
        pg::SelectStmt {
            target_list: vec![node(NodeEnum::ResTarget(Box::new(target)))],
            from_clause: vec![node(NodeEnum::RangeSubselect(Box::new(from)))],
            limit_option: pg::LimitOption::Default as i32,
            op: pg::SetOperation::SetopNone as i32,
            ..Default::default()
        }
    }

    /// `alias.column`
    pub(super) fn column(&self, column: &str) -> Node {
        let fields = vec![string(&self.alias), string(column)];
        node(NodeEnum::ColumnRef(pg::ColumnRef { fields, location: 0 }))
    }
}

/// What an expression names.
#[derive(Debug, Default)]
pub(super) struct References {
    /// Columns, by the parts of their names; fields of rows.
    pub(super) names: Vec<Vec<String>>,
    pub(super) star: bool,
    pub(super) subquery: bool,
    excluded: bool,
    /// The reference that is being read.
    open: Option<Vec<String>>,
    indirection: usize,
}

impl References {
    /// Of an expression; with `excluded`, columns of the row that was to be inserted do not count.
    pub(super) fn of(expression: &Node, excluded: bool) -> References {
        let mut names = References { excluded, ..References::default() };
        visit(expression, &mut names);
        names
    }
}

impl Visit for References {
    fn enter(&mut self, kind: &'static str) -> bool {
        match kind {
            "ColumnRef" => self.open = Some(Vec::new()),
            "AIndirection" => self.indirection += 1,
            "AStar" => self.star = true,
            "SubLink" | "SelectStmt" => self.subquery = true,
            _ => {}
        }
        true
    }

    fn field(&mut self, _: &'static str) {}

    fn text(&mut self, value: &str) {
        if let Some(open) = &mut self.open {
            open.push(value.to_owned());
        } else if self.indirection > 0 {
            // a field of a row, or a text in its place: in doubt a name
            self.names.push(vec![value.to_owned(), value.to_owned()]);
        }
    }

    fn number(&mut self, _: i64) {}

    fn leave(&mut self, kind: &'static str) {
        match kind {
            "ColumnRef" => {
                let name = self.open.take().unwrap_or_default();
                let proposed = self.excluded
                    && !self.subquery
                    && name.len() == 2
                    && name.first().is_some_and(|first| first == "excluded");
                if !proposed {
                    self.names.push(name);
                }
            }
            "AIndirection" => self.indirection -= 1,
            _ => {}
        }
    }
}
