//! Masks that come back: what is written must not be made of masked columns, and where a column comes back as the session
//! was shown it, the stored value stays.

use std::collections::BTreeSet;

use chaperone_mask::quoted;
use chaperone_model::{Refusal, Rung};
use pg_query::{Node, NodeEnum};

use super::refuse::{self, refusal};
use super::target::{References, Target};
use super::write::EXCLUDED;
use super::{Masker, group, source};
use crate::depth::Depth;
use crate::parse;
use crate::visit::{Visit, visit};

impl Masker<'_> {
    /// A value must not be made of masks.
    pub(super) fn no_mask(&self, value: &Node, target: &Target, tainted: bool) -> Result<(), Refusal> {
        if target.own {
            return Ok(());
        }
        let names = References::of(value, target.excluded);
        let is_whole = |name: &String| {
            let mut items = self.scopes.iter().flatten();
            items.any(|item| item.alias == *name && item.columns.as_ref().is_none_or(|columns| !columns.contains(name)))
        };
        let whole = names.names.iter().any(|name| matches!(&name[..], [name] if is_whole(name)));
        // what comes out of a query that shows masks is one, whatever it is called
        let derived = tainted && names.names.iter().any(|name| name.first() != Some(&target.alias));
        if whole || derived || self.shown(value, target.excluded) { Err(echo("what is written")) } else { Ok(()) }
    }

    /// Whether queries, as they were sent, show something of a masked column; names in their conditions do not count.
    pub(super) fn shows_masked<T: serde::Serialize + ?Sized>(&self, part: &T) -> bool {
        self.shown(part, false)
    }

    fn shown<T: serde::Serialize + ?Sized>(&self, part: &T, excluded: bool) -> bool {
        let own = self.temporaries.masked().chain(self.masked_ctes.iter().map(String::as_str)).collect();
        let mut shown = Shown { hidden: &self.hidden_names, own, path: Vec::new(), open: None, found: false, excluded };
        visit(part, &mut shown);
        shown.found
    }

    /// Keeps the stored value where what is written is what the session sees of it.
    pub(super) fn guard(&mut self, value: &mut Node, target: &Target, column: &str) -> Result<(), Refusal> {
        if matches!(&value.node, Some(NodeEnum::AConst(constant)) if constant.isnull) {
            return Err(refusal(
                "masking.echo",
                format!("`{}.{column}` cannot be set to NULL by who does not see it as stored", target.name),
                "NULL is what is shown in its place, so that it may be a mask that comes back",
                "leave the column as it is",
            ));
        }
        let relation = self.relation_of(target);
        let live = relation.and_then(|relation| relation.columns.iter().find(|live| live.name == column));
        let Some(live) = live else { return Err(refuse::internal("a column to write to is not in the catalog")) };
        let redacted = !group::has_equality(live)
            || self.protection.masks.rung(&target.name, column) == Rung::Redacted
            || live.generated_from.is_some();
        if source::is_domain(live) {
            return Err(refusal(
                "masking.echo",
                format!("`{}.{column}` cannot be written by who does not see it as stored", target.name),
                "its type is a domain, whose checks would look at what is stored",
                "leave the column as it is",
            ));
        }
        let ty = source::base_type(live).sql();
        let stored = format!("{}.{}", quoted(&target.alias), quoted(column));
        let guard = if redacted {
            // evaluated once, whatever it is; with a type, so that a parameter has one
            let mut guard = parsed(&format!("COALESCE(NULL::{ty}, {stored})"))?;
            if let Some(NodeEnum::CoalesceExpr(both)) = &mut guard.node {
                put_into_cast(both.args.first_mut(), value)?;
            }
            guard
        } else {
            if !is_plain(value) {
                return Err(refusal(
                    "masking.echo",
                    format!("what is written to `{}.{column}` must be a constant or a parameter", target.name),
                    "it is compared with what the session sees of the column, so that a mask is not stored over a value",
                    "work the value out first, and pass it as a parameter",
                ));
            }
            self.implied_operator("=")?;
            let mut mask = target.column(column);
            self.wrap(&mut mask, target)?;
            let mut guard =
                parsed(&format!("CASE WHEN NULL::{ty} IS NOT DISTINCT FROM NULL THEN {stored} ELSE NULL::{ty} END"))?;
            let Some(NodeEnum::CaseExpr(case)) = &mut guard.node else {
                return Err(refuse::internal("a guard is something else"));
            };
            put_into_cast(case.defresult.as_deref_mut(), value)?;
            match case.args.first_mut().and_then(|when| when.node.as_mut()) {
                Some(NodeEnum::CaseWhen(when)) => match when.expr.as_mut().and_then(|expr| expr.node.as_mut()) {
                    Some(NodeEnum::AExpr(same)) => {
                        put_into_cast(same.lexpr.as_deref_mut(), value)?;
                        same.rexpr = Some(Box::new(mask));
                    }
                    _ => return Err(refuse::internal("a guard is something else")),
                },
                _ => return Err(refuse::internal("a guard is something else")),
            }
            guard
        };
        self.put_in += super::proof::size(&guard);
        self.within_bounds()?;
        self.guards.push(guard.clone());
        *value = guard;
        Ok(())
    }
}

pub(super) fn echo(what: &str) -> Refusal {
    refusal(
        "masking.echo",
        format!("{what} would be a mask, not what is stored"),
        "a value is made of a column that is masked for this session, and would take the place of a real one",
        "write values of your own, and name the columns that you see as stored",
    )
}

/// An expression of our own, from its text.
fn parsed(text: &str) -> Result<Node, Refusal> {
    let text = format!("SELECT {text}");
    let broken = || refuse::internal("an expression of our own does not parse");
    match parse::tree(&text, Depth::of(&text)?)?.pop().and_then(|raw| raw.stmt?.node) {
        Some(NodeEnum::SelectStmt(mut select)) => match select.target_list.pop().and_then(|target| target.node) {
            Some(NodeEnum::ResTarget(target)) => target.val.map(|val| *val).ok_or_else(broken),
            _ => Err(broken()),
        },
        _ => Err(broken()),
    }
}

/// Puts a value where `NULL::type` has its `NULL`.
fn put_into_cast(cast: Option<&mut Node>, value: &Node) -> Result<(), Refusal> {
    match cast.and_then(|cast| cast.node.as_mut()) {
        Some(NodeEnum::TypeCast(cast)) => {
            cast.arg = Some(Box::new(value.clone()));
            Ok(())
        }
        _ => Err(refuse::internal("a guard has no cast")),
    }
}

/// Whether a value is a constant or a parameter, perhaps with a type: it is the same however often it is looked at.
fn is_plain(value: &Node) -> bool {
    match &value.node {
        Some(NodeEnum::AConst(_) | NodeEnum::ParamRef(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_plain),
        _ => false,
    }
}

/// Looks for masked columns in what queries show.
struct Shown<'h> {
    hidden: &'h BTreeSet<String>,
    /// Temporary relations and CTEs that hold masks, whatever their columns are called.
    own: BTreeSet<&'h str>,
    /// The structs and fields around this place.
    path: Vec<(&'static str, &'static str)>,
    open: Option<Vec<String>>,
    found: bool,
    /// `excluded.column` is a value of the agent's own.
    excluded: bool,
}

impl Shown<'_> {
    /// Whether what stands here comes out of the query.
    fn comes_out(&self) -> bool {
        self.path.iter().all(|place| {
            !matches!(
                place,
                (
                    "SelectStmt",
                    "where_clause" | "having_clause" | "group_clause" | "sort_clause" | "limit_offset" | "limit_count"
                ) | ("JoinExpr", "quals")
            )
        })
    }
}

impl Visit for Shown<'_> {
    fn enter(&mut self, kind: &'static str) -> bool {
        match kind {
            "ColumnRef" => self.open = Some(Vec::new()),
            "AStar" if !self.hidden.is_empty() && self.comes_out() => self.found = true,
            _ => {}
        }
        self.path.push((kind, ""));
        true
    }

    fn field(&mut self, name: &'static str) {
        if let Some(place) = self.path.last_mut() {
            place.1 = name;
        }
    }

    fn text(&mut self, value: &str) {
        if let Some(open) = &mut self.open {
            open.push(value.to_owned());
        }
        if self.path.last() == Some(&("RangeVar", "relname")) && self.own.contains(value) && self.comes_out() {
            self.found = true;
        }
    }

    fn number(&mut self, _: i64) {}

    fn leave(&mut self, kind: &'static str) {
        self.path.pop();
        if kind == "ColumnRef" {
            let names = self.open.take().unwrap_or_default();
            let proposed = self.excluded && matches!(&names[..], [first, _] if first == EXCLUDED);
            self.found |= !proposed && self.comes_out() && names.iter().any(|name| self.hidden.contains(name));
        }
    }
}
