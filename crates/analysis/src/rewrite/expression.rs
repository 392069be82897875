//! Expressions: every kind of node that may appear in one, each with all of its fields. What is not here is refused.

use chaperone_model::Refusal;
use pg_query::protobuf::a_const::Val;
use pg_query::protobuf::{self as pg, AExprKind, SubLinkType};
use pg_query::{Node, NodeEnum};

use super::{Masker, refuse};
use crate::visit::kind_of;

impl Masker<'_> {
    /// Each of a list of expressions.
    pub(crate) fn expressions(&mut self, nodes: &mut [Node]) -> Result<(), Refusal> {
        nodes.iter_mut().try_for_each(|node| self.expression(node))
    }

    /// An expression that may be missing.
    pub(crate) fn optional(&mut self, node: &mut Option<Box<Node>>) -> Result<(), Refusal> {
        node.as_mut().map_or(Ok(()), |node| self.expression(node))
    }

    /// An expression.
    pub(crate) fn expression(&mut self, node: &mut Node) -> Result<(), Refusal> {
        let Some(node) = &mut node.node else { return Ok(()) };
        match node {
            NodeEnum::AConst(constant) => self.constant(constant),
            NodeEnum::ParamRef(pg::ParamRef { number: _, location: _ }) => Ok(()),
            NodeEnum::ColumnRef(column) => match self.catalog_oid(column)? {
                Some(constant) => {
                    *node = constant;
                    Ok(())
                }
                None => self.column(column),
            },
            NodeEnum::AStar(pg::AStar {}) => Ok(()),
            // a column's default, in place of a value that is written
            NodeEnum::SetToDefault(default) => {
                let pg::SetToDefault { xpr: None, type_id: 0, type_mod: _, collation: 0, location: _ } = &**default
                else {
                    return Err(analysed());
                };
                Ok(())
            }
            NodeEnum::String(pg::String { sval: _ }) => Ok(()),
            NodeEnum::List(pg::List { items }) => self.expressions(items),
            NodeEnum::AExpr(expression) => self.operation(expression),
            NodeEnum::BoolExpr(expression) => {
                let pg::BoolExpr { xpr: None, boolop: _, args, location: _ } = &mut **expression else {
                    return Err(analysed());
                };
                self.expressions(args)
            }
            NodeEnum::NullTest(test) => {
                let pg::NullTest { xpr: None, arg, nulltesttype: _, argisrow: _, location: _ } = &mut **test else {
                    return Err(analysed());
                };
                self.optional(arg)
            }
            NodeEnum::BooleanTest(test) => {
                let pg::BooleanTest { xpr: None, arg, booltesttype: _, location: _ } = &mut **test else {
                    return Err(analysed());
                };
                self.optional(arg)
            }
            NodeEnum::SubLink(link) => self.sublink(link),
            NodeEnum::CaseExpr(case) => {
                let pg::CaseExpr { xpr: None, casetype: _, casecollid: _, arg, args, defresult, location: _ } =
                    &mut **case
                else {
                    return Err(analysed());
                };
                if arg.is_some() {
                    self.implied_operator("=")?;
                }
                self.optional(arg)?;
                self.expressions(args)?;
                self.optional(defresult)
            }
            NodeEnum::CaseWhen(when) => {
                let pg::CaseWhen { xpr: None, expr, result, location: _ } = &mut **when else {
                    return Err(analysed());
                };
                self.optional(expr)?;
                self.optional(result)
            }
            NodeEnum::CoalesceExpr(coalesce) => {
                let pg::CoalesceExpr { xpr: None, coalescetype: _, coalescecollid: _, args, location: _ } =
                    &mut **coalesce
                else {
                    return Err(analysed());
                };
                self.expressions(args)
            }
            NodeEnum::MinMaxExpr(minmax) => {
                let pg::MinMaxExpr {
                    xpr: None,
                    minmaxtype: _,
                    minmaxcollid: _,
                    inputcollid: _,
                    op: _,
                    args,
                    location: _,
                } = &mut **minmax
                else {
                    return Err(analysed());
                };
                self.expressions(args)
            }
            NodeEnum::RowExpr(row) => {
                let pg::RowExpr { xpr: None, args, row_typeid: 0, row_format: _, colnames: _, location: _ } =
                    &mut **row
                else {
                    return Err(analysed());
                };
                self.expressions(args)
            }
            NodeEnum::AArrayExpr(pg::AArrayExpr { elements, list_start: _, list_end: _, location: _ }) => {
                self.expressions(elements)
            }
            NodeEnum::AIndirection(indirection) => {
                let pg::AIndirection { arg, indirection } = &mut **indirection;
                self.optional(arg)?;
                indirection.iter_mut().try_for_each(|step| match &step.node {
                    Some(NodeEnum::String(name)) => self.field(&name.sval, true),
                    _ => self.expression(step),
                })
            }
            NodeEnum::AIndices(indices) => {
                let pg::AIndices { is_slice: _, lidx, uidx } = &mut **indices;
                self.optional(lidx)?;
                self.optional(uidx)
            }
            NodeEnum::TypeCast(cast) => {
                let pg::TypeCast { arg, type_name, location: _ } = &mut **cast;
                self.optional(arg)?;
                if let (Some(arg), Some(ty)) = (arg, &*type_name) {
                    boolean(arg, ty);
                }
                type_name.as_mut().map_or(Ok(()), |ty| self.type_name(ty))
            }
            NodeEnum::CollateClause(collate) => {
                let pg::CollateClause { arg, collname: _, location: _ } = &mut **collate;
                self.optional(arg)
            }
            NodeEnum::FuncCall(call) => self.call(call),
            NodeEnum::NamedArgExpr(named) => {
                let pg::NamedArgExpr { xpr: None, arg, name: _, argnumber: _, location: _ } = &mut **named else {
                    return Err(analysed());
                };
                self.optional(arg)
            }
            // current_date, current_user and so on
            NodeEnum::SqlvalueFunction(value) => {
                let pg::SqlValueFunction { xpr: None, op: _, r#type: _, typmod: _, location: _ } = &mut **value else {
                    return Err(analysed());
                };
                Ok(())
            }
            NodeEnum::GroupingFunc(grouping) => {
                let pg::GroupingFunc { xpr: None, args, refs: _, agglevelsup: _, location: _ } = &mut **grouping else {
                    return Err(analysed());
                };
                self.expressions(args)
            }
            NodeEnum::GroupingSet(pg::GroupingSet { kind: _, content, location: _ }) => self.expressions(content),
            NodeEnum::SortBy(sort) => {
                let pg::SortBy { node, sortby_dir: _, sortby_nulls: _, use_op, location: _ } = &mut **sort;
                if !use_op.is_empty() {
                    self.operator(use_op)?;
                }
                self.optional(node)
            }
            NodeEnum::WindowDef(window) => self.window(window),
            NodeEnum::ResTarget(target) => {
                let pg::ResTarget { name, indirection, val, location: _ } = &mut **target;
                if !indirection.is_empty() {
                    return Err(refuse::construct("an assignment"));
                }
                if name.is_empty()
                    && let Some(own) = super::withheld::called(val.as_deref())
                {
                    *name = own;
                }
                self.optional(val)
            }
            other => Err(refuse::construct(&format!("`{}`", kind_of(other)))),
        }
    }

    /// Servers before 16 read `0x1F` as `0 AS x1F`.
    fn constant(&self, constant: &pg::AConst) -> Result<(), Refusal> {
        let pg::AConst { isnull: _, location: _, val } = constant;
        match val {
            Some(Val::Fval(number))
                if self.catalog.server_version < 160_000
                    && number.fval.bytes().any(|c| !c.is_ascii_digit() && !b".eE+-".contains(&c)) =>
            {
                Err(refuse::construct("a number that is not decimal"))
            }
            Some(Val::Ival(_) | Val::Fval(_) | Val::Boolval(_) | Val::Sval(_) | Val::Bsval(_)) | None => Ok(()),
        }
    }

    fn operation(&mut self, expression: &mut pg::AExpr) -> Result<(), Refusal> {
        let pg::AExpr { kind, name, lexpr, rexpr, rexpr_list_start: _, rexpr_list_end: _, location: _ } = expression;
        match AExprKind::try_from(*kind) {
            Ok(
                AExprKind::AexprOp
                | AExprKind::AexprOpAny
                | AExprKind::AexprOpAll
                | AExprKind::AexprDistinct
                | AExprKind::AexprNotDistinct
                | AExprKind::AexprNullif
                | AExprKind::AexprIn
                | AExprKind::AexprLike
                | AExprKind::AexprIlike
                | AExprKind::AexprSimilar,
            ) => self.operator(name)?,
            // its name is the keyword; it means these
            Ok(
                AExprKind::AexprBetween
                | AExprKind::AexprNotBetween
                | AExprKind::AexprBetweenSym
                | AExprKind::AexprNotBetweenSym,
            ) => {
                for operator in ["<", ">", "<=", ">="] {
                    self.implied_operator(operator)?;
                }
            }
            Ok(AExprKind::Undefined) | Err(_) => return Err(refuse::construct("an unknown operator")),
        }
        self.optional(lexpr)?;
        self.optional(rexpr)
    }

    fn sublink(&mut self, link: &mut pg::SubLink) -> Result<(), Refusal> {
        let pg::SubLink { xpr: None, sub_link_type, sub_link_id: _, testexpr, oper_name, subselect, location: _ } =
            link
        else {
            return Err(analysed());
        };
        match SubLinkType::try_from(*sub_link_type) {
            Ok(
                SubLinkType::ExistsSublink
                | SubLinkType::ExprSublink
                | SubLinkType::ArraySublink
                | SubLinkType::AllSublink
                | SubLinkType::RowcompareSublink,
            ) => {}
            // IN has no operator's name
            Ok(SubLinkType::AnySublink) if oper_name.is_empty() => self.implied_operator("=")?,
            Ok(SubLinkType::AnySublink) => {}
            Ok(SubLinkType::Undefined | SubLinkType::MultiexprSublink | SubLinkType::CteSublink) | Err(_) => {
                return Err(refuse::construct("a subquery of an unknown kind"));
            }
        }
        if !oper_name.is_empty() {
            self.operator(oper_name)?;
        }
        self.optional(testexpr)?;
        self.subquery(subselect)
    }

    pub(crate) fn call(&mut self, call: &mut pg::FuncCall) -> Result<(), Refusal> {
        self.function(call)?;
        let pg::FuncCall {
            funcname: _,
            args,
            agg_order,
            agg_filter,
            over,
            agg_within_group: _,
            agg_star: _,
            agg_distinct: _,
            func_variadic: _,
            funcformat: _,
            location: _,
        } = call;
        self.expressions(args)?;
        self.expressions(agg_order)?;
        self.optional(agg_filter)?;
        over.as_mut().map_or(Ok(()), |window| self.window(window))
    }

    fn window(&mut self, window: &mut pg::WindowDef) -> Result<(), Refusal> {
        let pg::WindowDef {
            name: _,
            refname: _,
            partition_clause,
            order_clause,
            frame_options: _,
            start_offset,
            end_offset,
            location: _,
        } = window;
        self.expressions(partition_clause)?;
        self.expressions(order_clause)?;
        self.optional(start_offset)?;
        self.optional(end_offset)
    }
}

/// A field that only the server's own analysis fills in.
fn analysed() -> Refusal {
    refuse::internal("the parser returned a node as analysis makes it")
}

/// `'t'::boolean` is written out as `true`, which reads as another tree: make it that tree.
fn boolean(arg: &mut Node, ty: &pg::TypeName) {
    if let Some(NodeEnum::AConst(constant)) = &mut arg.node
        && let Some(Val::Sval(text)) = &constant.val
        && let Ok(["pg_catalog", "bool"] | ["bool"]) = super::names::parts(&ty.names).as_deref()
    {
        match &*text.sval {
            "t" => constant.val = Some(Val::Boolval(pg::Boolean { boolval: true })),
            "f" => constant.val = Some(Val::Boolval(pg::Boolean { boolval: false })),
            _ => {}
        }
    }
}
