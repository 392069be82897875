//! Statements that are no queries: their options, and settings.

use chaperone_model::Refusal;
use pg_query::protobuf::{self as pg, VariableSetKind};
use pg_query::{Node, NodeEnum};

use super::refuse::{self, refusal};
use super::{names, node, string};
use crate::settings;

/// `EXPLAIN` may show the shape of a plan, never what was counted (rule R12).
pub(super) fn explained(explain: &mut pg::ExplainStmt) -> Result<(), Refusal> {
    let mut options = vec![pg::DefElem {
        defname: "costs".into(),
        arg: Some(Box::new(string("off"))),
        defaction: pg::DefElemAction::DefelemUnspec as i32,
        ..Default::default()
    }];
    for option in &explain.options {
        let Some(NodeEnum::DefElem(option)) = &option.node else {
            return Err(refuse::internal("an option of EXPLAIN is something else"));
        };
        let value = option.arg.as_ref().and_then(|arg| arg.node.as_ref());
        let off = match value {
            Some(NodeEnum::String(value)) => {
                ["off", "false", "0"].iter().any(|off| value.sval.eq_ignore_ascii_case(off))
            }
            Some(NodeEnum::Integer(value)) => value.ival == 0,
            Some(NodeEnum::Boolean(value)) => !value.boolval,
            _ => false,
        };
        match &*option.defname.to_ascii_lowercase() {
            "analyze" if !off => {
                return Err(refusal(
                    "masking.explain",
                    "EXPLAIN ANALYZE is not supported on a connection with protected data".into(),
                    "it counts rows and times that depend on hidden values",
                    "use EXPLAIN without ANALYZE",
                ));
            }
            "format" if matches!(value, Some(NodeEnum::String(_))) => options.push((**option).clone()),
            // the shape of the plan is all that is shown, whatever was asked
            "analyze" | "costs" | "verbose" | "settings" | "buffers" | "timing" | "summary" | "wal" | "memory"
            | "serialize" | "generic_plan" => {}
            _ => return Err(refuse::construct("an unknown option of EXPLAIN")),
        }
    }
    explain.options = options.into_iter().map(|option| node(NodeEnum::DefElem(Box::new(option)))).collect();
    Ok(())
}

/// An option of `COPY … TO`.
pub(super) fn copied_out(option: &Node) -> Result<(), Refusal> {
    let (name, value) = copy_option(option)?;
    match (name, value) {
        ("force_quote", Some(NodeEnum::AStar(_))) => Ok(()),
        ("force_quote", Some(NodeEnum::List(columns))) => names::parts(&columns.items).map(drop),
        _ => copied(name, value),
    }
}

/// An option of `COPY … FROM`.
pub(super) fn copied_in(option: &Node) -> Result<(), Refusal> {
    let (name, value) = copy_option(option)?;
    match (name, value) {
        ("force_not_null" | "force_null", Some(NodeEnum::AStar(_))) => Ok(()),
        ("force_not_null" | "force_null", Some(NodeEnum::List(columns))) => names::parts(&columns.items).map(drop),
        ("default", Some(NodeEnum::String(_))) => Ok(()),
        _ => copied(name, value),
    }
}

fn copy_option(option: &Node) -> Result<(&str, Option<&NodeEnum>), Refusal> {
    let Some(NodeEnum::DefElem(option)) = &option.node else {
        return Err(refuse::internal("an option of COPY is something else"));
    };
    Ok((&option.defname, option.arg.as_ref().and_then(|arg| arg.node.as_ref())))
}

/// Either way. The writer of SQL takes the value of an option to be what the server will want, and reads memory that is
/// not there when it is something else.
fn copied(name: &str, value: Option<&NodeEnum>) -> Result<(), Refusal> {
    match (name, value) {
        ("format", Some(NodeEnum::String(format))) if ["text", "csv", "binary"].contains(&&*format.sval) => Ok(()),
        ("delimiter" | "null" | "quote" | "escape", Some(NodeEnum::String(_))) => Ok(()),
        ("header", None | Some(NodeEnum::String(_) | NodeEnum::Boolean(_) | NodeEnum::Integer(_))) => Ok(()),
        ("encoding", Some(NodeEnum::String(encoding))) => {
            settings::setting_allowed("client_encoding", Some(&encoding.sval))
        }
        _ => Err(refuse::construct("an unknown option of COPY")),
    }
}

pub(super) fn variable_set(set: &pg::VariableSetStmt) -> Result<(), Refusal> {
    match (VariableSetKind::try_from(set.kind), &*set.name) {
        (Ok(VariableSetKind::VarSetMulti), "TRANSACTION" | "SESSION CHARACTERISTICS") => Ok(()),
        (Ok(VariableSetKind::VarSetCurrent), name) => settings::readable(name),
        (Ok(VariableSetKind::VarSetValue), name) => {
            let values: Option<Vec<String>> = set.args.iter().map(crate::parse::constant).collect();
            let value = values.map(|values| values.join(", "));
            // SET TIME ZONE takes an interval too, which is no constant
            match (value, name) {
                (Some(value), name) => settings::setting_allowed(name, Some(&value)),
                (None, name) if name.eq_ignore_ascii_case("timezone") => Ok(()),
                (None, _) => Err(refuse::construct("a setting whose value is not a constant")),
            }
        }
        (Ok(VariableSetKind::VarSetDefault | VariableSetKind::VarReset | VariableSetKind::VarResetAll), _) => Ok(()),
        _ => Err(refuse::statement("SET")),
    }
}
