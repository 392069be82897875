//! Statements that define: temporary tables, views and indexes, and some others where the policy permits them.
//!
//! What is temporary holds what was masked when it was put in ([`super::own`]). What is not is unknown to the classification
//! until its owner lists it, so nobody reads it through here before; and of what can be done to a table with protected
//! columns only that is let through which neither reads them nor gives their names to something else.

use chaperone_model::{Refusal, SqlState, TableName};
use pg_query::NodeEnum;
use pg_query::protobuf::{self as pg, AlterTableType, ObjectType};

use super::implied::Implied;
use super::refuse::{self, refusal};
use super::{Item, Masker, columns, names, node, source, string};
use crate::allow::PG_CATALOG;
use crate::output::Output;
use crate::temporary::{self, InSession, PG_TEMP};

pub(super) type Defined = Result<(NodeEnum, Output), Refusal>;

impl Masker<'_> {
    /// `CREATE TABLE … (…)`.
    pub(super) fn create_table(&mut self, mut create: pg::CreateStmt) -> Defined {
        let pg::CreateStmt {
            relation,
            table_elts,
            inh_relations,
            partbound,
            partspec,
            of_typename,
            constraints,
            nnconstraints,
            options,
            oncommit: _,
            tablespacename,
            access_method,
            if_not_exists: _,
        } = &mut create;
        if !inh_relations.is_empty() || partbound.is_some() || partspec.is_some() || of_typename.is_some() {
            return Err(refuse::construct("a table that is made of another one, or in parts"));
        }
        if !options.is_empty() || !tablespacename.is_empty() || !access_method.is_empty() {
            return Err(refuse::construct("a table with options of storage"));
        }
        if !constraints.is_empty() || !nnconstraints.is_empty() {
            return Err(refuse::internal("a table's constraints are not among its elements"));
        }
        let range = relation.as_mut().ok_or_else(|| refuse::internal("a table has no name"))?;
        self.defines(range)?;
        let own = range.schemaname == PG_TEMP;
        self.scopes.push(vec![Item::other(&range.relname)]);
        let mut elements = Vec::with_capacity(table_elts.len());
        for mut element in std::mem::take(table_elts) {
            match &mut element.node {
                Some(NodeEnum::ColumnDef(column)) => {
                    self.column_of_table(column)?;
                    if own {
                        self.column_hides_nothing(&range.relname, column)?;
                    }
                }
                Some(NodeEnum::Constraint(constraint)) => {
                    self.constraint(constraint)?;
                    if own {
                        self.constraint_hides_nothing(&range.relname, constraint)?;
                    }
                }
                Some(NodeEnum::TableLikeClause(like)) => {
                    // of one of the session's own, indexes and sequences may come along
                    if own {
                        self.hides_nothing(&range.relname, Implied::Index)?;
                        self.hides_nothing(&range.relname, Implied::Sequence(None))?;
                    }
                    elements.extend(self.like(like)?);
                    continue;
                }
                _ => return Err(refuse::internal("a table has an element of an unknown kind")),
            }
            elements.push(element);
        }
        *table_elts = elements;
        self.scopes.pop();
        Ok((NodeEnum::CreateStmt(create), Output::no_rows()))
    }

    /// `CREATE TABLE … AS`.
    pub(super) fn create_table_as(&mut self, mut create: pg::CreateTableAsStmt) -> Defined {
        let pg::CreateTableAsStmt { query, into, objtype, is_select_into: _, if_not_exists: _ } = &mut create;
        if ObjectType::try_from(*objtype) != Ok(ObjectType::ObjectTable) {
            return Err(refuse::ddl("CREATE MATERIALIZED VIEW"));
        }
        let into = into.as_mut().ok_or_else(|| refuse::internal("a table has no name"))?;
        self.into(into)?;
        let returns = self.query_inside(query)?;
        let output = Output { subjects: self.untold(), ..Output::with_inside(returns) };
        Ok((NodeEnum::CreateTableAsStmt(Box::new(create)), output))
    }

    /// `SELECT … INTO` is that, in other words.
    pub(super) fn select_into(&mut self, mut select: pg::SelectStmt) -> Defined {
        let mut first = &mut select;
        while first.larg.is_some() {
            first = first.larg.as_mut().ok_or_else(|| refuse::internal("a branch of a query is missing"))?;
        }
        let into = first.into_clause.take();
        self.create_table_as(pg::CreateTableAsStmt {
            query: Some(Box::new(node(NodeEnum::SelectStmt(Box::new(select))))),
            into,
            objtype: ObjectType::ObjectTable as i32,
            is_select_into: false,
            if_not_exists: false,
        })
    }

    fn into(&mut self, into: &mut pg::IntoClause) -> Result<(), Refusal> {
        let pg::IntoClause {
            rel,
            col_names,
            access_method,
            options,
            on_commit: _,
            table_space_name,
            view_query,
            skip_data: _,
        } = into;
        if !access_method.is_empty() || !options.is_empty() || !table_space_name.is_empty() || view_query.is_some() {
            return Err(refuse::construct("a table with options of storage"));
        }
        names::parts(col_names)?;
        self.defines(rel.as_mut().ok_or_else(|| refuse::internal("a table has no name"))?)
    }

    /// `CREATE TEMPORARY VIEW`: its text is the masked one.
    pub(super) fn create_view(&mut self, mut view: pg::ViewStmt) -> Defined {
        let pg::ViewStmt { view: range, aliases, query, replace: _, options, with_check_option } = &mut view;
        let range = range.as_mut().ok_or_else(|| refuse::internal("a view has no name"))?;
        if !temporary::is_temporary(range) {
            return Err(refusal(
                "masking.ddl",
                "CREATE VIEW is not supported on a connection with protected data".into(),
                "its text would be stored as this session sees the tables, for others too",
                "make it TEMPORARY, or ask the connection's owner to make it",
            ));
        }
        let checked =
            !matches!(pg::ViewCheckOption::try_from(*with_check_option), Ok(pg::ViewCheckOption::NoCheckOption));
        if !options.is_empty() || checked {
            return Err(refuse::construct("a view with options"));
        }
        self.defines(range)?;
        names::parts(aliases)?;
        // what finds rows by a token is for one statement
        self.protection.masker.keys = None;
        self.subquery(query)?;
        Ok((NodeEnum::ViewStmt(Box::new(view)), Output::no_rows()))
    }

    /// `CREATE INDEX`, on a temporary table or on columns that are shown as stored.
    pub(super) fn create_index(&mut self, mut index: pg::IndexStmt) -> Defined {
        let pg::IndexStmt {
            idxname,
            relation,
            access_method: _,
            table_space,
            index_params,
            index_including_params,
            options,
            where_clause,
            exclude_op_names,
            idxcomment: _,
            index_oid: 0,
            old_number: 0,
            old_create_subid: 0,
            old_first_relfilelocator_subid: 0,
            unique: _,
            nulls_not_distinct: _,
            primary: false,
            isconstraint: false,
            iswithoutoverlaps: false,
            deferrable: false,
            initdeferred: false,
            transformed: false,
            concurrent: _,
            if_not_exists: _,
            reset_default_tblspc: false,
        } = &mut index
        else {
            return Err(refuse::construct("an index that is a constraint"));
        };
        if !table_space.is_empty() || !options.is_empty() || !exclude_op_names.is_empty() {
            return Err(refuse::construct("an index with options of storage"));
        }
        let range = relation.as_mut().ok_or_else(|| refuse::internal("an index has no table"))?;
        let own = self.own(range)?;
        let shown = match own {
            // it is temporary, too, and found before all else (rule R1)
            Some(_) if self.catalog.relation("", idxname).is_some() => {
                return Err(refusal(
                    "masking.temporary",
                    format!("`{idxname}` cannot be the name of a new relation"),
                    "there is a table of that name, which it would hide",
                    "give it another name",
                ));
            }
            Some(_) => {
                if idxname.is_empty() {
                    self.hides_nothing(&range.relname, Implied::Index)?;
                }
                None
            }
            None => Some(self.shown_columns(range)?),
        };
        self.scopes.push(vec![Item::other(&range.relname)]);
        for element in index_params.iter_mut().chain(index_including_params) {
            let Some(NodeEnum::IndexElem(element)) = &mut element.node else {
                return Err(refuse::internal("an index's element is something else"));
            };
            self.index_element(element)?;
            if let Some(shown) = &shown
                && !shown.contains(&element.name)
            {
                return Err(refusal(
                    "masking.ddl",
                    "an index can be made of columns that are shown as stored, and of nothing else".into(),
                    "to build it is to compare what it is made of",
                    "ask the connection's owner to make it",
                ));
            }
        }
        if where_clause.is_some() && shown.is_some() {
            return Err(refuse::construct("an index with a condition"));
        }
        self.optional(where_clause)?;
        self.scopes.pop();
        Ok((NodeEnum::IndexStmt(Box::new(index)), Output::no_rows()))
    }

    /// `ALTER TABLE … ADD COLUMN` or `DROP COLUMN`: nothing gets another name or another type.
    pub(super) fn alter_table(&mut self, mut alter: pg::AlterTableStmt) -> Defined {
        let pg::AlterTableStmt { relation, cmds, objtype, missing_ok: _ } = &mut alter;
        if ObjectType::try_from(*objtype) != Ok(ObjectType::ObjectTable) {
            return Err(refuse::ddl("ALTER"));
        }
        let range = relation.as_mut().ok_or_else(|| refuse::internal("ALTER TABLE has no table"))?;
        let own = self.own(range)?;
        match own {
            Some(own) => {
                // new columns have defaults, which may be anything
                self.filled.names.insert(range.relname.clone());
                self.reads_own(own);
            }
            None => _ = self.shown_columns(range)?,
        }
        let name = TableName::new(&*range.schemaname, &*range.relname);
        self.scopes.push(vec![Item::other(&range.relname)]);
        for command in cmds {
            let Some(NodeEnum::AlterTableCmd(command)) = &mut command.node else {
                return Err(refuse::internal("a part of ALTER TABLE is something else"));
            };
            match (AlterTableType::try_from(command.subtype), command.def.as_mut().and_then(|def| def.node.as_mut())) {
                (Ok(AlterTableType::AtAddColumn), Some(NodeEnum::ColumnDef(column))) => {
                    if own.is_none() && !column.constraints.iter().all(columns::looks_at_nothing) {
                        return Err(refusal(
                            "masking.ddl",
                            "a column can be added with a default, and with no other constraint".into(),
                            "a constraint is checked against the rows that are there, and could look at other columns",
                            "ask the connection's owner to make it",
                        ));
                    }
                    let filled = columns::differs_by_row(column);
                    self.column_of_table(column)?;
                    match own {
                        Some(_) => self.column_hides_nothing(&range.relname, column)?,
                        None => self.may_add(&name, &column.colname, filled)?,
                    }
                }
                (Ok(AlterTableType::AtDropColumn), None) => {}
                _ => {
                    return Err(refusal(
                        "masking.ddl",
                        "ALTER TABLE can add and drop columns here, and nothing else".into(),
                        "other changes read what is stored, or give a protected column another name",
                        "ask the connection's owner to make it",
                    ));
                }
            }
        }
        self.scopes.pop();
        Ok((NodeEnum::AlterTableStmt(alter), Output::no_rows()))
    }

    /// `DROP TABLE`, `VIEW` or `INDEX`.
    pub(super) fn drop_relations(&mut self, mut drop: pg::DropStmt) -> Defined {
        let pg::DropStmt { objects, remove_type, behavior: _, missing_ok, concurrent: _ } = &mut drop;
        if !temporary::is_dropped(*remove_type) {
            return Err(refuse::ddl("DROP"));
        }
        let names = InSession { catalog: self.catalog, temporaries: self.temporaries };
        for object in objects {
            let own = names.drops_own(object, *missing_ok);
            let Some(NodeEnum::List(name)) = &mut object.node else {
                return Err(refuse::internal("what is dropped has no name"));
            };
            let pinned = match names::parts(&name.items)?[..] {
                [name] if own => TableName::new(PG_TEMP, name),
                [name] => match self.catalog.relation("", name) {
                    Some((name, _)) => name,
                    // an index, perhaps
                    None if *remove_type == ObjectType::ObjectIndex as i32 => continue,
                    None => return Err(refuse::unknown_relation(name)),
                },
                [schema, name] => TableName::new(schema, name),
                _ => return Err(refuse::construct("a relation with a database in its name")),
            };
            name.items = vec![string(&pinned.schema), string(&pinned.name)];
        }
        Ok((NodeEnum::DropStmt(drop), Output::no_rows()))
    }

    /// A name for something new.
    fn defines(&mut self, range: &mut pg::RangeVar) -> Result<(), Refusal> {
        if !range.catalogname.is_empty() || range.alias.is_some() {
            return Err(refuse::construct("a relation with a database in its name"));
        }
        let taken = |detail: &str| {
            Err(Refusal {
                code: SqlState("42P07"),
                ..refusal(
                    "masking.temporary",
                    format!("`{}` cannot be the name of a new relation", range.relname),
                    detail,
                    "give it another name",
                )
            })
        };
        if temporary::is_temporary(range) {
            if !matches!(&*range.schemaname, "" | PG_TEMP) {
                return Err(refuse::construct("a temporary relation with a schema"));
            }
            // rule R1: nothing that has a name already may mean something else
            if self.catalog.relation("", &range.relname).is_some() {
                return taken("there is a table of that name, which it would hide");
            }
            if self.has_type(&range.relname) {
                return taken("there is a type of that name, which it would hide");
            }
            let protection = &self.protection;
            match self.temporaries.get("", &range.relname) {
                // an estimate makes nothing
                _ if protection.masker.unforeseen => {}
                Some(known) if known.is_of(protection.masks, protection.masker.cutoff_year) => {}
                Some(_) => return taken("one of that name was filled under other masks than those of now"),
                None => return Err(refuse::internal("a temporary relation was not noted")),
            }
            range.schemaname = PG_TEMP.to_owned();
            range.relpersistence = "t".to_owned();
            self.filled.names.insert(range.relname.clone());
        } else {
            // the session's own may have such a number
            if range.schemaname.starts_with(PG_TEMP) {
                return Err(refuse::construct("a schema of temporary relations by its number"));
            }
            if range.schemaname.is_empty() {
                if self.temporaries.get("", &range.relname).is_some() {
                    return taken("this session has made a temporary one of that name");
                }
                let own = |schema: &&String| *schema != PG_CATALOG && !schema.starts_with(PG_TEMP);
                let Some(schema) = self.catalog.search_path.iter().find(own) else {
                    return Err(refuse::construct("a table without a schema, where none is on the search path,"));
                };
                range.schemaname.clone_from(schema);
            }
        }
        self.bare.insert(TableName::new(&*range.schemaname, &*range.relname));
        Ok(())
    }

    /// The columns that are shown as stored of a table that is there, to which its name is pinned.
    fn shown_columns(&mut self, range: &mut pg::RangeVar) -> Result<Vec<String>, Refusal> {
        let target = self.target(range)?;
        range.alias = None;
        let relation = self.relation_of(&target);
        let columns = relation.map(|relation| &*relation.columns).unwrap_or_default();
        let shown = columns.iter().filter(|column| {
            !target.masked.contains(&column.name) && !source::is_domain(column) && column.generated_from.is_none()
        });
        Ok(shown.map(|column| column.name.clone()).collect())
    }
}
