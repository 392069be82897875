//! Refusals of masking. Each names the rule, what it is about, and a way on.

use chaperone_model::{Refusal, SqlState};

/// What is not let through because nobody has shown that it is safe.
pub(crate) fn refusal(rule: &'static str, message: String, detail: &str, hint: &str) -> Refusal {
    Refusal { code: SqlState::INSUFFICIENT_PRIVILEGE, rule, message, detail: detail.into(), hint: hint.into() }
}

/// A kind of statement.
pub(crate) fn statement(tag: &str) -> Refusal {
    refusal(
        "masking.statement",
        format!("{tag} is not supported on a connection with protected data"),
        "it has no masked form yet, so it is not let through",
        "SELECT, INSERT, UPDATE, DELETE, MERGE, COPY … TO STDOUT, EXPLAIN, PREPARE, cursors, transactions and ordinary settings work",
    )
}

/// A statement that defines or administers.
pub(crate) fn ddl(tag: &str) -> Refusal {
    refusal(
        "masking.ddl",
        format!("{tag} is not supported on a connection with protected data"),
        "what it defines could reach protected columns past their masks",
        "temporary tables, views and indexes work, and CREATE TABLE, CREATE INDEX and DROP where the policy permits `ddl`",
    )
}

/// A statement that runs code.
pub(crate) fn call(tag: &str) -> Refusal {
    refusal(
        "masking.call",
        format!("{tag} is not supported on a connection with protected data"),
        "code of the database could read protected columns past their masks",
        "write it as a SELECT",
    )
}

/// A part of a statement.
pub(crate) fn construct(what: &str) -> Refusal {
    refusal(
        "masking.construct",
        format!("{what} is not supported on a connection with protected data"),
        "it is not on the list of what is known to keep within masked values",
        "write it another way",
    )
}

/// A statement whose masked form would be too large, or take too long to make.
pub(crate) fn size() -> Refusal {
    Refusal {
        code: SqlState::PROGRAM_LIMIT_EXCEEDED,
        ..refusal(
            "masking.size",
            "the statement is too large to be masked".into(),
            "every table that it names is replaced by a masked subquery, and all of them together are too many",
            "name fewer tables, or send it in parts",
        )
    }
}

/// Something that should never happen; whatever the reason, nothing is let through.
pub(crate) fn internal(detail: &str) -> Refusal {
    Refusal {
        code: SqlState::INTERNAL_ERROR,
        rule: "masking.internal",
        message: "the statement could not be masked with certainty".into(),
        detail: detail.into(),
        hint: "write it in a simpler way, and report it to whoever runs this gateway".into(),
    }
}

/// A relation that may not be read.
pub(crate) fn relation(name: &str, detail: &str, hint: &str) -> Refusal {
    refusal("masking.relation", format!("relation `{name}` cannot be read through this connection"), detail, hint)
}

/// A relation that the catalog does not have.
pub(crate) fn unknown_relation(name: &str) -> Refusal {
    Refusal {
        code: SqlState::UNDEFINED_TABLE,
        ..relation(
            name,
            "the catalog has no relation of this name on the search path",
            "qualify it with its schema; information_schema.tables lists what there is",
        )
    }
}
