//! Why a session does not open, in words for the agent.

use chaperone_model::{Refusal, SqlState};

pub(super) fn unknown(name: &str) -> Refusal {
    let printable: String = name.chars().filter(|c| !c.is_control()).take(63).collect();
    Refusal {
        code: SqlState::INVALID_CATALOG_NAME,
        rule: "gateway.connection",
        message: format!("there is no connection `{printable}`"),
        detail: "`dbname` names a connection of the gateway's configuration".to_owned(),
        hint: "ask the gateway's operator for the connection's name".to_owned(),
    }
}

pub(super) fn unreachable(connection: &str) -> Refusal {
    Refusal {
        code: SqlState::UNABLE_TO_CONNECT,
        rule: "gateway.upstream",
        message: format!("the database of `{connection}` cannot be reached"),
        detail: "the gateway's log says why".to_owned(),
        hint: "try again later, or tell the gateway's operator".to_owned(),
    }
}

pub(super) fn reads(connection: &str) -> Refusal {
    Refusal {
        code: SqlState::UNABLE_TO_CONNECT,
        rule: "gateway.privileges",
        message: format!("sessions of `{connection}` could read in the database what is to be masked"),
        detail: "a privilege that every role has, of PUBLIC, stands against it; the gateway's log names the columns"
            .to_owned(),
        hint: "tell the gateway's operator: `chaperone credentials script` says what to revoke".to_owned(),
    }
}

pub(super) fn old_server(connection: &str, wrong: String) -> Refusal {
    Refusal {
        code: SqlState::UNABLE_TO_CONNECT,
        rule: "gateway.old_server",
        message: format!("the database of `{connection}` runs a release that its owner does not allow"),
        detail: wrong,
        hint: "tell the gateway's operator: the server is to be updated".to_owned(),
    }
}

pub(super) fn ledger_down() -> Refusal {
    Refusal {
        code: SqlState::SYSTEM_ERROR,
        rule: "evidence.durable",
        message: "the evidence log cannot be written, so nothing may run".to_owned(),
        detail: "a session starts only when its record is durable".to_owned(),
        hint: "tell the gateway's operator: its disk may be full or gone".to_owned(),
    }
}

pub(super) fn replication() -> Refusal {
    Refusal {
        code: SqlState::FEATURE_NOT_SUPPORTED,
        rule: "gateway.replication",
        message: "replication connections are not supported".to_owned(),
        detail: "a replication stream carries every row unmasked".to_owned(),
        hint: "connect without the startup parameter `replication`".to_owned(),
    }
}

pub(super) fn encoding() -> Refusal {
    Refusal {
        code: SqlState::FEATURE_NOT_SUPPORTED,
        rule: "gateway.encoding",
        message: "this client encoding is not supported".to_owned(),
        detail: "statements in it cannot be read safely".to_owned(),
        hint: "use `client_encoding=UTF8`".to_owned(),
    }
}
