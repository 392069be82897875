//! What a policy's conditions read, and whether evaluating them could fail.
//!
//! What no policy reads does not need to be part of a cache's key. The walk is conservative: where it cannot tell, the
//! policy reads it.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, UnaryOp, Var};

use crate::never;
use crate::schema::CONTEXT;

/// What a policy's conditions read of the things that change within a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// The time.
    pub(crate) now: bool,
    /// The statement's command.
    pub(crate) kind: bool,
    /// Whether it has a `WHERE`.
    pub(crate) has_where: bool,
    /// How many tables it touches.
    pub(crate) tables: bool,
    /// Which classes those tables hold.
    pub(crate) classes: bool,
    /// How many rows the database expects.
    pub(crate) estimated_rows: bool,
    /// The resource, beyond what the policy's scope says.
    pub(crate) resource: bool,
}

impl Reads {
    /// Everything that is always there.
    #[cfg(test)]
    pub(crate) const ALL: Reads = Reads {
        now: true,
        kind: true,
        has_where: true,
        tables: true,
        classes: true,
        estimated_rows: false,
        resource: true,
    };

    /// Both together.
    pub(crate) fn and(self, other: Reads) -> Reads {
        Reads {
            now: self.now || other.now,
            kind: self.kind || other.kind,
            has_where: self.has_where || other.has_where,
            tables: self.tables || other.tables,
            classes: self.classes || other.classes,
            estimated_rows: self.estimated_rows || other.estimated_rows,
            resource: self.resource || other.resource,
        }
    }
}

/// What a policy's conditions look at, by name, and with what they compare what could be otherwise: enough to say what
/// would help.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Looks {
    /// Attributes of the context and of the principal, as policies write them: `context.purpose`.
    pub(crate) at: BTreeSet<String>,
    /// What `context.purpose` is compared with.
    pub(crate) purposes: BTreeSet<String>,
    /// What `context.model.name` is compared with.
    pub(crate) models: BTreeSet<String>,
    /// What `context.model.version` is compared with.
    pub(crate) versions: BTreeSet<String>,
}

/// Everything that a policy's conditions read.
///
/// # Errors
/// What in the conditions could fail or does not exist.
pub(crate) fn of(policy: &Policy) -> Result<(Reads, Looks), String> {
    let tree = policy.to_pst().map_err(|e| e.to_string())?;
    let mut walk = Walk::default();
    for clause in tree.body().clauses() {
        match clause {
            Clause::When(condition) | Clause::Unless(condition) => walk.visit(condition)?,
        }
    }
    Ok((walk.reads, walk.looks))
}

#[derive(Default)]
struct Walk {
    reads: Reads,
    looks: Looks,
}

impl Walk {
    fn visit(&mut self, expr: &Expr) -> Result<(), String> {
        match expr {
            Expr::Literal(_) => Ok(()),
            Expr::Var(Var::Context) => Err("`context` as a whole: name one of its attributes".into()),
            Expr::Var(Var::Resource) => {
                self.reads.resource = true;
                Ok(())
            }
            Expr::Var(Var::Principal | Var::Action) => Ok(()),
            Expr::GetAttr { expr, attr } if is_context(expr) => self.context(attr),
            Expr::GetAttr { expr, attr } => {
                self.principal(expr, attr);
                self.visit(expr)
            }
            Expr::HasAttr { expr, attrs } if is_context(expr) => self.context(attrs.first()),
            Expr::HasAttr { expr, attrs } => {
                self.principal(expr, attrs.first());
                self.visit(expr)
            }
            Expr::Like { expr, pattern } => {
                if let Some(attr) = of_context(expr) {
                    never::like(attr, pattern)?;
                }
                self.visit(expr)
            }
            Expr::Is { expr, in_expr, .. } => {
                self.visit(expr)?;
                in_expr.as_deref().map_or(Ok(()), |e| self.visit(e))
            }
            Expr::UnaryOp { op, expr } => {
                // a literal such as `-1` is a literal, not a negation
                if *op == UnaryOp::Neg && !matches!(**expr, Expr::Literal(_)) {
                    return Err(overflows("-"));
                }
                self.visit(expr)
            }
            Expr::BinaryOp { op, left, right } => {
                match op {
                    BinaryOp::Add => return Err(overflows("+")),
                    BinaryOp::Sub => return Err(overflows("-")),
                    BinaryOp::Mul => return Err(overflows("*")),
                    BinaryOp::Offset => return Err(overflows("offset")),
                    // as in a scope: what it is compared with says whether tables are told apart
                    BinaryOp::In | BinaryOp::Eq if matches!(**left, Expr::Var(Var::Resource)) => {
                        return self.visit(right);
                    }
                    BinaryOp::Eq | BinaryOp::Contains => self.compared(left, right),
                    _ => {}
                }
                for (attribute, values) in [(left, right), (right, left)] {
                    if let Some(attr) = of_context(attribute) {
                        never::compared(attr, values)?;
                    }
                }
                self.visit(left)?;
                self.visit(right)
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                self.visit(cond)?;
                self.visit(then_expr)?;
                self.visit(else_expr)
            }
            Expr::Set(members) => members.iter().try_for_each(|e| self.visit(e)),
            Expr::Record(fields) => fields.values().try_for_each(|e| self.visit(e)),
            // templates and partial evaluation, neither of which there is, and whatever Cedar may add one day
            _ => Err("an expression of a kind that is not known here".into()),
        }
    }

    fn context(&mut self, attr: &str) -> Result<(), String> {
        match attr {
            "now" => self.reads.now = true,
            "kind" => self.reads.kind = true,
            "has_where" => self.reads.has_where = true,
            "tables" => self.reads.tables = true,
            "classes" => self.reads.classes = true,
            "estimated_rows" => self.reads.estimated_rows = true,
            attr if CONTEXT.contains(&attr) => {}
            // strict validation lets `context has x` pass for any `x`, as plainly false: a `forbid … unless` would
            // then always forbid, and nobody would know why
            attr => return Err(format!("there is no `context.{attr}`; there is: {}", CONTEXT.join(", "))),
        }
        self.looks.at.insert(format!("context.{attr}"));
        Ok(())
    }

    fn principal(&mut self, expr: &Expr, attr: &str) {
        if matches!(expr, Expr::Var(Var::Principal)) {
            self.looks.at.insert(format!("principal.{attr}"));
        }
    }

    /// `context.purpose == "payment"`, `["1", "2"].contains(context.model.version)`
    fn compared(&mut self, left: &Expr, right: &Expr) {
        for (attribute, values) in [(left, right), (right, left)] {
            let known = match attribute {
                Expr::GetAttr { expr, attr } if is_context(expr) && attr == "purpose" => &mut self.looks.purposes,
                Expr::GetAttr { expr, attr } if is_model(expr) && attr == "name" => &mut self.looks.models,
                Expr::GetAttr { expr, attr } if is_model(expr) && attr == "version" => &mut self.looks.versions,
                _ => continue,
            };
            match values {
                Expr::Literal(Literal::String(value)) => _ = known.insert(value.to_string()),
                Expr::Set(members) => known.extend(members.iter().filter_map(|member| match &**member {
                    Expr::Literal(Literal::String(value)) => Some(value.to_string()),
                    _ => None,
                })),
                _ => {}
            }
        }
    }
}

fn is_context(expr: &Expr) -> bool {
    matches!(expr, Expr::Var(Var::Context))
}

/// The attribute of the context that an expression is.
fn of_context(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::GetAttr { expr, attr } if is_context(expr) => Some(attr),
        _ => None,
    }
}

fn is_model(expr: &Expr) -> bool {
    matches!(expr, Expr::GetAttr { expr, attr } if is_context(expr) && attr == "model")
}

fn overflows(operator: &str) -> String {
    format!("`{operator}` can overflow, and a policy that fails is skipped by Cedar; compare with literals instead")
}
