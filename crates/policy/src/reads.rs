//! What a policy's conditions read, and whether evaluating them could fail.
//!
//! What no policy reads does not need to be part of a cache's key. The walk is conservative: where it cannot tell, the
//! policy reads it.

use cedar_policy::Policy;
use cedar_policy::pst::{BinaryOp, Clause, Expr, UnaryOp, Var};

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
    /// The resource, beyond what the policy's scope says.
    pub(crate) resource: bool,
}

impl Reads {
    /// # Errors
    /// What in the conditions could fail or does not exist.
    pub(crate) fn of(policy: &Policy) -> Result<Reads, String> {
        let tree = policy.to_pst().map_err(|e| e.to_string())?;
        let mut reads = Reads::default();
        for clause in tree.body().clauses() {
            match clause {
                Clause::When(condition) | Clause::Unless(condition) => reads.visit(condition)?,
            }
        }
        Ok(reads)
    }

    /// Both together.
    pub(crate) fn and(self, other: Reads) -> Reads {
        Reads {
            now: self.now || other.now,
            kind: self.kind || other.kind,
            has_where: self.has_where || other.has_where,
            tables: self.tables || other.tables,
            resource: self.resource || other.resource,
        }
    }

    fn visit(&mut self, expr: &Expr) -> Result<(), String> {
        match expr {
            Expr::Literal(_) => Ok(()),
            Expr::Var(Var::Context) => Err("`context` as a whole: name one of its attributes".into()),
            Expr::Var(Var::Resource) => {
                self.resource = true;
                Ok(())
            }
            Expr::Var(Var::Principal | Var::Action) => Ok(()),
            Expr::GetAttr { expr, attr } if is_context(expr) => self.context(attr),
            Expr::GetAttr { expr, .. } => self.visit(expr),
            Expr::HasAttr { expr, attrs } if is_context(expr) => self.context(attrs.first()),
            Expr::HasAttr { expr, .. } | Expr::Like { expr, .. } => self.visit(expr),
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
                    _ => {}
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
            "now" => self.now = true,
            "kind" => self.kind = true,
            "has_where" => self.has_where = true,
            "tables" => self.tables = true,
            attr if CONTEXT.contains(&attr) => {}
            // strict validation lets `context has x` pass for any `x`, as plainly false: a `forbid … unless` would
            // then always forbid, and nobody would know why
            attr => return Err(format!("there is no `context.{attr}`; there is: {}", CONTEXT.join(", "))),
        }
        Ok(())
    }
}

fn is_context(expr: &Expr) -> bool {
    matches!(expr, Expr::Var(Var::Context))
}

fn overflows(operator: &str) -> String {
    format!("`{operator}` can overflow, and a policy that fails is skipped by Cedar; compare with literals instead")
}
