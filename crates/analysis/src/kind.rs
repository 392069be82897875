//! What kind of statement it is: its command tag, and what a policy must permit for it apart from its tables.

use pg_query::NodeEnum as N;
use pg_query::protobuf::{ObjectType as O, TransactionStmtKind};

/// What a statement does to the relations that it names directly, outside any query in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    /// A query or a write: its parts say what they need.
    Query,
    /// Only what a session needs: transactions, settings, cursors.
    Session,
    /// Administration.
    Administer,
    /// Runs code.
    Call,
}

/// What is known of a statement from its outermost node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// As in a command tag (PostgreSQL, `src/include/tcop/cmdtaglist.h`).
    pub(crate) tag: &'static str,
    pub(crate) does: Does,
    /// Whether running it can have effects even if nothing inside it has. A query answers for itself.
    pub(crate) effects: bool,
}

const fn query(tag: &'static str) -> Kind {
    Kind { tag, does: Does::Query, effects: false }
}

const fn session(tag: &'static str) -> Kind {
    Kind { tag, does: Does::Session, effects: false }
}

/// Of the session, but with effects: it ends a transaction or runs what was prepared before.
const fn acts(tag: &'static str) -> Kind {
    Kind { tag, does: Does::Session, effects: true }
}

const fn administers(tag: &'static str) -> Kind {
    Kind { tag, does: Does::Administer, effects: true }
}

const fn calls(tag: &'static str) -> Kind {
    Kind { tag, does: Does::Call, effects: true }
}

impl Kind {
    /// The kind of a statement. What is not a statement that this grammar knows counts as administration.
    pub(crate) fn of(statement: &N) -> Kind {
        match statement {
            N::SelectStmt(select) if select.into_clause.is_some() => Kind { effects: true, ..query("SELECT INTO") },
            N::SelectStmt(_) => query("SELECT"),
            N::InsertStmt(_) => query("INSERT"),
            N::UpdateStmt(_) => query("UPDATE"),
            N::DeleteStmt(_) => query("DELETE"),
            N::MergeStmt(_) => query("MERGE"),
            N::CopyStmt(_) => query("COPY"),
            N::ExplainStmt(_) => query("EXPLAIN"),
            N::PrepareStmt(_) => query("PREPARE"),
            N::DeclareCursorStmt(_) => Kind { effects: true, ..query("DECLARE CURSOR") },
            N::CreateTableAsStmt(create) => administers(match object(create.objtype) {
                O::ObjectMatview => "CREATE MATERIALIZED VIEW",
                _ => "CREATE TABLE AS",
            }),

            N::TransactionStmt(transaction) => match TransactionStmtKind::try_from(transaction.kind) {
                Ok(TransactionStmtKind::TransStmtBegin) => session("BEGIN"),
                Ok(TransactionStmtKind::TransStmtStart) => session("START TRANSACTION"),
                Ok(TransactionStmtKind::TransStmtCommit) => acts("COMMIT"),
                Ok(TransactionStmtKind::TransStmtRollback) => session("ROLLBACK"),
                Ok(TransactionStmtKind::TransStmtSavepoint) => session("SAVEPOINT"),
                Ok(TransactionStmtKind::TransStmtRelease) => session("RELEASE"),
                Ok(TransactionStmtKind::TransStmtRollbackTo) => session("ROLLBACK"),
                Ok(TransactionStmtKind::TransStmtPrepare) => acts("PREPARE TRANSACTION"),
                Ok(TransactionStmtKind::TransStmtCommitPrepared) => acts("COMMIT PREPARED"),
                Ok(TransactionStmtKind::TransStmtRollbackPrepared) => acts("ROLLBACK PREPARED"),
                Ok(TransactionStmtKind::Undefined) | Err(_) => administers("TRANSACTION"),
            },
            N::VariableSetStmt(set) => {
                use pg_query::protobuf::VariableSetKind as K;
                match K::try_from(set.kind) {
                    Ok(K::VarReset | K::VarResetAll) => session("RESET"),
                    _ => session("SET"),
                }
            }
            N::VariableShowStmt(_) => session("SHOW"),
            N::ConstraintsSetStmt(_) => acts("SET CONSTRAINTS"),
            N::DiscardStmt(_) => acts("DISCARD"),
            N::ExecuteStmt(_) => acts("EXECUTE"),
            N::DeallocateStmt(_) => session("DEALLOCATE"),
            N::FetchStmt(fetch) => acts(if fetch.ismove { "MOVE" } else { "FETCH" }),
            N::ClosePortalStmt(_) => session("CLOSE CURSOR"),
            N::ListenStmt(_) => acts("LISTEN"),
            N::UnlistenStmt(_) => acts("UNLISTEN"),

            N::CallStmt(_) => calls("CALL"),
            N::DoStmt(_) => calls("DO"),
            N::NotifyStmt(_) => calls("NOTIFY"),

            N::TruncateStmt(_) => Kind { effects: true, ..query("TRUNCATE TABLE") },
            N::LockStmt(_) => Kind { effects: true, ..query("LOCK TABLE") },

            N::CheckPointStmt(_) => administers("CHECKPOINT"),
            N::LoadStmt(_) => administers("LOAD"),
            N::VacuumStmt(vacuum) => administers(if vacuum.is_vacuumcmd { "VACUUM" } else { "ANALYZE" }),
            N::ClusterStmt(_) => administers("CLUSTER"),
            N::ReindexStmt(_) => administers("REINDEX"),
            N::RefreshMatViewStmt(_) => administers("REFRESH MATERIALIZED VIEW"),
            N::AlterSystemStmt(_) => administers("ALTER SYSTEM"),
            N::CommentStmt(_) => administers("COMMENT"),
            N::SecLabelStmt(_) => administers("SECURITY LABEL"),
            N::GrantStmt(grant) => administers(if grant.is_grant { "GRANT" } else { "REVOKE" }),
            N::GrantRoleStmt(grant) => administers(if grant.is_grant { "GRANT ROLE" } else { "REVOKE ROLE" }),
            N::AlterDefaultPrivilegesStmt(_) => administers("ALTER DEFAULT PRIVILEGES"),
            N::DropOwnedStmt(_) => administers("DROP OWNED"),
            N::ReassignOwnedStmt(_) => administers("REASSIGN OWNED"),
            N::ImportForeignSchemaStmt(_) => administers("IMPORT FOREIGN SCHEMA"),

            N::CreateStmt(_) => administers("CREATE TABLE"),
            N::CreateForeignTableStmt(_) => administers("CREATE FOREIGN TABLE"),
            N::ViewStmt(_) => administers("CREATE VIEW"),
            N::IndexStmt(_) => administers("CREATE INDEX"),
            N::CreateStatsStmt(_) => administers("CREATE STATISTICS"),
            N::CreateSeqStmt(_) => administers("CREATE SEQUENCE"),
            N::CreateSchemaStmt(_) => administers("CREATE SCHEMA"),
            N::CreateFunctionStmt(function) => {
                administers(if function.is_procedure { "CREATE PROCEDURE" } else { "CREATE FUNCTION" })
            }
            N::CreateTrigStmt(_) => administers("CREATE TRIGGER"),
            N::CreateEventTrigStmt(_) => administers("CREATE EVENT TRIGGER"),
            N::CreatePolicyStmt(_) => administers("CREATE POLICY"),
            N::RuleStmt(_) => administers("CREATE RULE"),
            N::CreateRoleStmt(_) => administers("CREATE ROLE"),
            N::CreatedbStmt(_) => administers("CREATE DATABASE"),
            N::CreateTableSpaceStmt(_) => administers("CREATE TABLESPACE"),
            N::CreateExtensionStmt(_) => administers("CREATE EXTENSION"),
            N::CreateFdwStmt(_) => administers("CREATE FOREIGN DATA WRAPPER"),
            N::CreateForeignServerStmt(_) => administers("CREATE SERVER"),
            N::CreateUserMappingStmt(_) => administers("CREATE USER MAPPING"),
            N::CreateAmStmt(_) => administers("CREATE ACCESS METHOD"),
            N::CreatePlangStmt(_) => administers("CREATE LANGUAGE"),
            N::CreateDomainStmt(_) => administers("CREATE DOMAIN"),
            N::CreateEnumStmt(_) | N::CreateRangeStmt(_) | N::CompositeTypeStmt(_) => administers("CREATE TYPE"),
            N::CreateOpClassStmt(_) => administers("CREATE OPERATOR CLASS"),
            N::CreateOpFamilyStmt(_) => administers("CREATE OPERATOR FAMILY"),
            N::CreateConversionStmt(_) => administers("CREATE CONVERSION"),
            N::CreateCastStmt(_) => administers("CREATE CAST"),
            N::CreateTransformStmt(_) => administers("CREATE TRANSFORM"),
            N::CreatePublicationStmt(_) => administers("CREATE PUBLICATION"),
            N::CreateSubscriptionStmt(_) => administers("CREATE SUBSCRIPTION"),
            N::DefineStmt(define) => administers(created(object(define.kind))),

            N::AlterTableStmt(alter) => administers(altered(object(alter.objtype))),
            N::AlterDomainStmt(_) => administers("ALTER DOMAIN"),
            N::AlterFunctionStmt(alter) => administers(altered(object(alter.objtype))),
            N::AlterSeqStmt(_) => administers("ALTER SEQUENCE"),
            N::AlterStatsStmt(_) => administers("ALTER STATISTICS"),
            N::AlterPolicyStmt(_) => administers("ALTER POLICY"),
            N::AlterRoleStmt(_) | N::AlterRoleSetStmt(_) => administers("ALTER ROLE"),
            N::AlterDatabaseStmt(_) | N::AlterDatabaseSetStmt(_) | N::AlterDatabaseRefreshCollStmt(_) => {
                administers("ALTER DATABASE")
            }
            N::AlterTableSpaceOptionsStmt(_) => administers("ALTER TABLESPACE"),
            N::AlterTableMoveAllStmt(alter) => administers(altered(object(alter.objtype))),
            N::AlterExtensionStmt(_) | N::AlterExtensionContentsStmt(_) => administers("ALTER EXTENSION"),
            N::AlterFdwStmt(_) => administers("ALTER FOREIGN DATA WRAPPER"),
            N::AlterForeignServerStmt(_) => administers("ALTER SERVER"),
            N::AlterUserMappingStmt(_) => administers("ALTER USER MAPPING"),
            N::AlterEventTrigStmt(_) => administers("ALTER EVENT TRIGGER"),
            N::AlterOpFamilyStmt(_) => administers("ALTER OPERATOR FAMILY"),
            N::AlterOperatorStmt(_) => administers("ALTER OPERATOR"),
            N::AlterTypeStmt(_) | N::AlterEnumStmt(_) => administers("ALTER TYPE"),
            N::AlterCollationStmt(_) => administers("ALTER COLLATION"),
            N::AlterTsdictionaryStmt(_) => administers("ALTER TEXT SEARCH DICTIONARY"),
            N::AlterTsconfigurationStmt(_) => administers("ALTER TEXT SEARCH CONFIGURATION"),
            N::AlterPublicationStmt(_) => administers("ALTER PUBLICATION"),
            N::AlterSubscriptionStmt(_) => administers("ALTER SUBSCRIPTION"),
            N::RenameStmt(rename) => administers(altered(object(rename.rename_type))),
            N::AlterObjectDependsStmt(alter) => administers(altered(object(alter.object_type))),
            N::AlterObjectSchemaStmt(alter) => administers(altered(object(alter.object_type))),
            N::AlterOwnerStmt(alter) => administers(altered(object(alter.object_type))),

            N::DropStmt(drop) => administers(dropped(object(drop.remove_type))),
            N::DropRoleStmt(_) => administers("DROP ROLE"),
            N::DropdbStmt(_) => administers("DROP DATABASE"),
            N::DropTableSpaceStmt(_) => administers("DROP TABLESPACE"),
            N::DropUserMappingStmt(_) => administers("DROP USER MAPPING"),
            N::DropSubscriptionStmt(_) => administers("DROP SUBSCRIPTION"),

            // not a statement of its own in this grammar
            _ => administers("UNKNOWN"),
        }
    }
}

fn object(number: i32) -> O {
    O::try_from(number).unwrap_or(O::Undefined)
}

macro_rules! tags {
    ($($function:ident $verb:literal),+) => {
        $(
            fn $function(object: O) -> &'static str {
                match object {
                    O::ObjectAccessMethod => concat!($verb, " ACCESS METHOD"),
                    O::ObjectAggregate => concat!($verb, " AGGREGATE"),
                    O::ObjectAttribute | O::ObjectType => concat!($verb, " TYPE"),
                    O::ObjectCast => concat!($verb, " CAST"),
                    O::ObjectCollation => concat!($verb, " COLLATION"),
                    O::ObjectColumn | O::ObjectTable | O::ObjectTabconstraint | O::ObjectDefault => {
                        concat!($verb, " TABLE")
                    }
                    O::ObjectConversion => concat!($verb, " CONVERSION"),
                    O::ObjectDatabase => concat!($verb, " DATABASE"),
                    O::ObjectDefacl => concat!($verb, " DEFAULT PRIVILEGES"),
                    O::ObjectDomain | O::ObjectDomconstraint => concat!($verb, " DOMAIN"),
                    O::ObjectEventTrigger => concat!($verb, " EVENT TRIGGER"),
                    O::ObjectExtension => concat!($verb, " EXTENSION"),
                    O::ObjectFdw => concat!($verb, " FOREIGN DATA WRAPPER"),
                    O::ObjectForeignServer => concat!($verb, " SERVER"),
                    O::ObjectForeignTable => concat!($verb, " FOREIGN TABLE"),
                    O::ObjectFunction => concat!($verb, " FUNCTION"),
                    O::ObjectIndex => concat!($verb, " INDEX"),
                    O::ObjectLanguage => concat!($verb, " LANGUAGE"),
                    O::ObjectLargeobject => concat!($verb, " LARGE OBJECT"),
                    O::ObjectMatview => concat!($verb, " MATERIALIZED VIEW"),
                    O::ObjectOpclass => concat!($verb, " OPERATOR CLASS"),
                    O::ObjectOperator | O::ObjectAmop => concat!($verb, " OPERATOR"),
                    O::ObjectOpfamily | O::ObjectAmproc => concat!($verb, " OPERATOR FAMILY"),
                    O::ObjectParameterAcl => concat!($verb, " PARAMETER"),
                    O::ObjectPolicy => concat!($verb, " POLICY"),
                    O::ObjectProcedure => concat!($verb, " PROCEDURE"),
                    O::ObjectPublication | O::ObjectPublicationNamespace | O::ObjectPublicationRel => {
                        concat!($verb, " PUBLICATION")
                    }
                    O::ObjectRole => concat!($verb, " ROLE"),
                    O::ObjectRoutine => concat!($verb, " ROUTINE"),
                    O::ObjectRule => concat!($verb, " RULE"),
                    O::ObjectSchema => concat!($verb, " SCHEMA"),
                    O::ObjectSequence => concat!($verb, " SEQUENCE"),
                    O::ObjectSubscription => concat!($verb, " SUBSCRIPTION"),
                    O::ObjectStatisticExt => concat!($verb, " STATISTICS"),
                    O::ObjectTablespace => concat!($verb, " TABLESPACE"),
                    O::ObjectTransform => concat!($verb, " TRANSFORM"),
                    O::ObjectTrigger => concat!($verb, " TRIGGER"),
                    O::ObjectTsconfiguration => concat!($verb, " TEXT SEARCH CONFIGURATION"),
                    O::ObjectTsdictionary => concat!($verb, " TEXT SEARCH DICTIONARY"),
                    O::ObjectTsparser => concat!($verb, " TEXT SEARCH PARSER"),
                    O::ObjectTstemplate => concat!($verb, " TEXT SEARCH TEMPLATE"),
                    O::ObjectUserMapping => concat!($verb, " USER MAPPING"),
                    O::ObjectView => concat!($verb, " VIEW"),
                    O::Undefined => $verb,
                }
            }
        )+
    };
}

tags!(created "CREATE", altered "ALTER", dropped "DROP");

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy that compares a kind with something else is not loaded: so all of them must be known there.
    #[test]
    fn every_tag_is_a_kind_that_policies_know() {
        let source = include_str!("kind.rs");
        let of_statements = source.split("fn object").next().unwrap_or_default();
        let literals = of_statements.split('"').skip(1).step_by(2).filter(|tag| tag.starts_with(char::is_uppercase));
        let tags: Vec<&str> = literals.collect();
        assert!(tags.len() > 90, "{}", tags.len());
        let objects = (1..100).filter_map(|number| O::try_from(number).ok()).filter(|object| *object != O::Undefined);
        let of_objects: Vec<&str> =
            objects.flat_map(|object| [created(object), altered(object), dropped(object)]).collect();
        assert!(of_objects.len() > 100, "{}", of_objects.len());
        for tag in tags.into_iter().chain(of_objects) {
            assert!(chaperone_model::is_kind(tag), "{tag}");
        }
    }
}
