//! Making a record fit: texts first, then lists, then statements. What is left out is in the payload.

use chaperone_model::{Masks, Principal, Rung};

use super::{AuthorityChanged, Body, Ruling, SessionOpened};

/// One step of shortening: limits of everything that can grow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// Bytes of a normalised text.
    normalized: usize,
    /// Bytes of a name.
    name: usize,
    /// Entries of a list within a statement or a principal.
    list: usize,
    /// Statements, or ends of statements.
    statements: usize,
    /// Columns of the masks.
    columns: usize,
}

/// From mild to harsh; after the last any record fits.
pub(super) const STEPS: &[Step] = &[
    Step { normalized: 1024, name: 256, list: 64, statements: 64, columns: 400 },
    Step { normalized: 256, name: 128, list: 16, statements: 32, columns: 100 },
    Step { normalized: 64, name: 64, list: 4, statements: 16, columns: 16 },
    Step { normalized: 0, name: 48, list: 1, statements: 4, columns: 0 },
];

pub(super) fn apply(body: &mut Body, step: Step) {
    match body {
        Body::Received(body) => {
            body.abridged = true;
            body.statements.truncate(step.statements);
            for statement in &mut body.statements {
                if let Some(text) = &mut statement.normalized {
                    cut(text, step.normalized);
                }
                if let Some(facts) = &mut statement.facts {
                    facts.needs.truncate(step.list);
                    cut(&mut facts.kind, step.name);
                    for table in facts.needs.iter_mut().filter_map(|need| need.table.as_mut()) {
                        cut(&mut table.schema, step.name);
                        cut(&mut table.name, step.name);
                    }
                }
                let Ruling { rule, code, .. } = &mut statement.decision;
                for text in statement.fingerprint.iter_mut().chain(rule).chain(code) {
                    cut(text, step.name);
                }
                list(&mut statement.decision.policies, step);
            }
        }
        Body::Answered(body) => {
            body.abridged = true;
            body.finished.truncate(step.statements * 4);
            for text in body.finished.iter_mut().flat_map(|f| f.tag.iter_mut().chain(&mut f.code)) {
                cut(text, step.name);
            }
        }
        Body::SessionOpened(body) => opened(body, step),
        Body::AuthorityChanged(body) => changed(body, step),
        Body::ServiceStarted(body) => {
            for text in [&mut body.configuration, &mut body.policy_version, &mut body.version] {
                cut(text, step.name);
            }
        }
        Body::LoginRefused(body) => {
            for text in body.connection.iter_mut().chain(&mut body.issuer).chain([&mut body.peer, &mut body.rule]) {
                cut(text, step.name);
            }
        }
        Body::PolicyChanged(body) => {
            for text in body.previous.iter_mut().chain([&mut body.version]) {
                cut(text, step.name);
            }
        }
        Body::ClassificationChanged(body) => {
            for text in [&mut body.connection, &mut body.previous, &mut body.version] {
                cut(text, step.name);
            }
        }
        Body::CredentialMinted(body) => {
            for text in [&mut body.connection, &mut body.for_session, &mut body.profile, &mut body.role] {
                cut(text, step.name);
            }
        }
        Body::CredentialDropped(body) => {
            for text in [&mut body.connection, &mut body.role] {
                cut(text, step.name);
            }
        }
        Body::Alert(body) => cut(&mut body.rule, step.name),
        Body::ServiceStopped(_) | Body::Heartbeat(_) | Body::CancelRequested(_) | Body::SessionClosed(_) => {}
    }
}

fn opened(body: &mut SessionOpened, step: Step) {
    body.abridged = true;
    for text in body.application_name.iter_mut().chain(&mut body.server_version).chain(&mut body.tls).chain([
        &mut body.classification,
        &mut body.connection,
        &mut body.peer,
        &mut body.policy,
    ]) {
        cut(text, step.name);
    }
    principal(&mut body.principal, step);
    columns(body.masks.as_mut(), step);
}

fn changed(body: &mut AuthorityChanged, step: Step) {
    body.abridged = true;
    cut(&mut body.classification, step.name);
    cut(&mut body.policy, step.name);
    columns(body.masks.as_mut(), step);
}

fn columns(masks: Option<&mut Masks>, step: Step) {
    let Some(masks) = masks else { return };
    // what is not in the masks is redacted anyway, so those go first
    let mut kept = Masks::default();
    let shown = masks.iter().filter(|(.., rung)| *rung != Rung::Redacted);
    let hidden = masks.iter().filter(|(.., rung)| *rung == Rung::Redacted);
    for (table, column, rung) in shown.chain(hidden).take(step.columns) {
        if table.schema.len() + table.name.len() + column.len() <= step.name * 3 {
            kept.set(table, column, rung);
            if masks.may_filter(table, column) {
                kept.permit_filter(table, column);
            }
            if masks.may_probe(table, column) {
                kept.permit_probe(table, column);
            }
        }
    }
    *masks = kept;
}

fn principal(who: &mut Principal, step: Step) {
    list(&mut who.groups, step);
    list(&mut who.scopes, step);
    let model = who.model.iter_mut().flat_map(|model| [&mut model.name].into_iter().chain(&mut model.version));
    let workload = who.workload.iter_mut().flat_map(|w| {
        [&mut w.namespace, &mut w.service_account]
            .into_iter()
            .chain(&mut w.pod)
            .chain(&mut w.pod_uid)
            .chain(&mut w.node)
    });
    let token = [&mut who.token.algorithm].into_iter().chain(&mut who.token.id).chain(&mut who.token.key_id);
    for text in [&mut who.issuer, &mut who.issuer_url, &mut who.agent]
        .into_iter()
        .chain(&mut who.acts_for)
        .chain(&mut who.purpose)
        .chain(model)
        .chain(workload)
        .chain(token)
    {
        cut(text, step.name);
    }
}

fn list(names: &mut Vec<String>, step: Step) {
    names.truncate(step.list);
    for name in names {
        cut(name, step.name);
    }
}

/// Cuts a text to at most `limit` bytes with an ellipsis at its end. A byte may take six in JSON; the last step's
/// limits leave room for that.
fn cut(text: &mut String, limit: usize) {
    if text.len() <= limit {
        return;
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    if limit > 0 {
        text.push('…');
    }
}
