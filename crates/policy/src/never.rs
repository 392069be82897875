//! Literals that can never be what a policy compares them with: a condition with one is the same for every statement, so that
//! a `forbid` forbids nothing, or a `permit … unless` permits everything, and nobody is told.

use cedar_policy::pst::{Expr, Literal, PatternElem};
use chaperone_model::{Class, KINDS, is_kind};

use crate::schema;

/// Looks at what an attribute of the context is compared with.
///
/// # Errors
/// It can never be that.
pub(crate) fn compared(attr: &str, value: &Expr) -> Result<(), String> {
    match value {
        Expr::Set(members) => members.iter().try_for_each(|member| compared(attr, member)),
        Expr::Literal(Literal::String(kind)) if attr == "kind" => known_kind(kind),
        Expr::Literal(Literal::EntityUID(class)) if attr == "classes" && class.eid == Class::None.name() => {
            Err(format!(
                "`Class::\"{}\"` is never in `context.classes`, which has the classes of protected data only; an empty \
                 set is `context.classes.isEmpty()`",
                class.eid
            ))
        }
        _ => Ok(()),
    }
}

/// Looks at a pattern for `context.kind`.
///
/// # Errors
/// No kind is like that.
pub(crate) fn like(attr: &str, pattern: &[PatternElem]) -> Result<(), String> {
    if attr != "kind" || KINDS.iter().any(|kind| matches(pattern, kind)) {
        return Ok(());
    }
    let written: String = pattern.iter().map(|part| if let PatternElem::Char(c) = part { *c } else { '*' }).collect();
    Err(format!("no statement has a kind like `{written}`: {HOW}"))
}

const HOW: &str = "`context.kind` is in the words of a command tag, in upper case";

fn known_kind(kind: &str) -> Result<(), String> {
    if is_kind(kind) {
        return Ok(());
    }
    let upper = kind.trim().to_ascii_uppercase();
    let meant: Vec<String> = match is_kind(&upper) {
        true => vec![format!("`{upper}`")],
        false => {
            KINDS.iter().filter(|known| known.starts_with(&upper)).take(3).map(|kind| format!("`{kind}`")).collect()
        }
    };
    let meant = if meant.is_empty() { String::new() } else { format!("; did you mean {}?", meant.join(", ")) };
    Err(format!("no statement is of kind `{kind}`: {HOW}{meant}"))
}

fn matches(pattern: &[PatternElem], text: &str) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        // several are as good as one
        Some((PatternElem::Wildcard, rest)) if rest.first() == Some(&PatternElem::Wildcard) => matches(rest, text),
        Some((PatternElem::Wildcard, rest)) => {
            (0..=text.len()).filter_map(|at| text.get(at..)).any(|text| matches(rest, text))
        }
        Some((PatternElem::Char(c), rest)) => text.strip_prefix(*c).is_some_and(|text| matches(rest, text)),
    }
}

/// Whether an id is written as ids of its type are.
///
/// # Errors
/// Nothing has such an id.
pub(crate) fn id(type_name: &str, id: &str) -> Result<(), String> {
    let (first, rest) = id.split_once('/').unwrap_or(("", id));
    let parts = rest.split('.').filter(|part| !part.is_empty()).count();
    let all = rest.split('.').count();
    let (fits, form) = match type_name {
        // the subject comes as the issuer gives it
        schema::AGENT => (!rest.is_empty(), "<issuer>/<subject>"),
        schema::TABLE => ((parts, all) == (2, 2), "<connection>/<schema>.<table>"),
        schema::COLUMN => ((parts, all) == (3, 3), "<connection>/<schema>.<table>.<column>"),
        _ => return Ok(()),
    };
    if fits && !first.is_empty() {
        return Ok(());
    }
    Err(format!("nothing has the id `{type_name}::\"{id}\"`: such ids are `{type_name}::\"{form}\"`"))
}
