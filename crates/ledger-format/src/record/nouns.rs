//! The nouns of `chaperone-model` as records write them: fields in canonical order, tables as `schema.name`.

use chaperone_model::{
    Action, AiModel, Effects, Enumerated, Facts, Masks, Need, Principal, Rung, TableName, TokenFacts, Workload,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::jcs;

/// `schema.name`, each part in double quotes (a quote in it doubled) where it holds a dot or a quote or is empty.
pub(super) fn table_text(table: &TableName) -> String {
    let quote = |part: &str| {
        if part.is_empty() || part.contains(['.', '"']) {
            format!("\"{}\"", part.replace('"', "\"\""))
        } else {
            part.to_owned()
        }
    };
    format!("{}.{}", quote(&table.schema), quote(&table.name))
}

/// The table of [`table_text`].
pub(super) fn table_from_text(text: &str) -> Option<TableName> {
    let (schema, rest) = part(text)?;
    let (name, rest) = part(rest.strip_prefix('.')?)?;
    rest.is_empty().then(|| TableName::new(schema, name))
}

fn part(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find('.').unwrap_or(text.len());
        let (part, rest) = text.split_at_checked(end)?;
        return Some((part.to_owned(), rest));
    };
    let mut unquoted = String::new();
    loop {
        let (before, after) = rest.split_once('"')?;
        unquoted.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                unquoted.push('"');
                rest = more;
            }
            None => return Some((unquoted, after)),
        }
    }
}

/// For `Option<Masks>`: `{"schema.table": {"column": "rung"}}`, with `+filter` and `+probe` behind the rung where the
/// stored values of a masked column may decide something all the same.
pub(super) mod masks {
    use std::collections::BTreeMap;

    use super::super::bodies::MaskTable;
    use super::{Deserialize, Deserializer, Masks, Rung, Serializer, de, jcs, table_from_text, table_text};
    use serde::ser::SerializeMap;

    const FILTER: &str = "+filter";
    const PROBE: &str = "+probe";

    struct Columns(Vec<(String, String)>);

    impl serde::Serialize for Columns {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            let mut map = s.serialize_map(Some(self.0.len()))?;
            for (column, seen) in &self.0 {
                map.serialize_entry(column, seen)?;
            }
            map.end()
        }
    }

    pub(in super::super) fn serialize<S: Serializer>(masks: &Option<Masks>, s: S) -> Result<S::Ok, S::Error> {
        let Some(masks) = masks else { return s.serialize_none() };
        let mut tables: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for (table, column, rung) in masks.iter() {
            let filter = if masks.may_filter(table, column) { FILTER } else { "" };
            let probe = if masks.may_probe(table, column) { PROBE } else { "" };
            let seen = format!("{}{filter}{probe}", rung.name());
            tables.entry(table_text(table)).or_default().push((column.to_owned(), seen));
        }
        let mut tables: Vec<_> = tables.into_iter().collect();
        tables.sort_by(|(a, _), (b, _)| jcs::order(a, b));
        let mut map = s.serialize_map(Some(tables.len()))?;
        for (table, mut columns) in tables {
            columns.sort_by(|(a, _), (b, _)| jcs::order(a, b));
            map.serialize_entry(&table, &Columns(columns))?;
        }
        map.end()
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Masks>, D::Error> {
        let Some(tables) = Option::<MaskTable>::deserialize(d)? else { return Ok(None) };
        let mut masks = Masks::default();
        for (text, columns) in tables {
            let table = table_from_text(&text).ok_or_else(|| de::Error::custom("not a table"))?;
            for (column, seen) in columns {
                let (seen, probe) = seen.strip_suffix(PROBE).map_or((&*seen, false), |seen| (seen, true));
                let (seen, filter) = seen.strip_suffix(FILTER).map_or((seen, false), |seen| (seen, true));
                let rung = Rung::ALL.into_iter().find(|rung| rung.name() == seen);
                masks.set(&table, &column, rung.ok_or_else(|| de::Error::custom("not a rung"))?);
                if filter {
                    masks.permit_filter(&table, &column);
                }
                if probe {
                    masks.permit_probe(&table, &column);
                }
            }
        }
        Ok(Some(masks))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NeedLine {
    action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FactsLine {
    effects: String,
    has_where: bool,
    kind: String,
    needs: Vec<NeedLine>,
}

const ACTIONS: [Action; 8] = [
    Action::Connect,
    Action::Select,
    Action::Insert,
    Action::Update,
    Action::Delete,
    Action::Call,
    Action::Ddl,
    Action::Copy,
];

/// For `Option<Facts>`.
pub(super) mod facts {
    use super::{ACTIONS, Deserialize, Deserializer, Effects, Facts, FactsLine, Need, NeedLine, Serializer, de};
    use super::{Serialize, table_from_text, table_text};

    pub(in super::super) fn serialize<S: Serializer>(facts: &Option<Facts>, s: S) -> Result<S::Ok, S::Error> {
        facts
            .as_ref()
            .map(|facts| FactsLine {
                effects: match facts.effects {
                    Effects::None => "none".to_owned(),
                    Effects::Possible => "possible".to_owned(),
                },
                has_where: facts.has_where,
                kind: facts.kind.clone(),
                needs: facts
                    .needs
                    .iter()
                    .map(|need| NeedLine {
                        action: need.action.name().to_owned(),
                        table: need.table.as_ref().map(table_text),
                    })
                    .collect(),
            })
            .serialize(s)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Facts>, D::Error> {
        let Some(line) = Option::<FactsLine>::deserialize(d)? else { return Ok(None) };
        let effects = match line.effects.as_str() {
            "none" => Effects::None,
            "possible" => Effects::Possible,
            _ => return Err(de::Error::custom("unknown effects")),
        };
        let needs = line.needs.into_iter().map(|need| {
            let action = ACTIONS.into_iter().find(|action| action.name() == need.action);
            let action = action.ok_or_else(|| de::Error::custom("unknown action"))?;
            let table = match need.table {
                Some(text) => Some(table_from_text(&text).ok_or_else(|| de::Error::custom("not a table"))?),
                None => None,
            };
            Ok(Need { action, table })
        });
        Ok(Some(Facts {
            kind: line.kind,
            needs: needs.collect::<Result<_, D::Error>>()?,
            has_where: line.has_where,
            effects,
        }))
    }
}

/// For an `Enumerated`.
pub(super) mod enumerated {
    use super::{Deserialize, Deserializer, Enumerated, Serializer, de};

    pub(in super::super) fn serialize<S: Serializer>(enumerated: &Enumerated, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(enumerated.name())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Enumerated, D::Error> {
        let name = String::deserialize(d)?;
        let found = Enumerated::ALL.into_iter().find(|enumerated| enumerated.name() == name);
        found.ok_or_else(|| de::Error::custom("not how much is enumerated"))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalLine {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acts_for: Option<String>,
    agent: String,
    groups: Vec<String>,
    issuer: String,
    issuer_url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<ModelLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
    scopes: Vec<String>,
    token: TokenLine,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workload: Option<WorkloadLine>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelLine {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenLine {
    algorithm: String,
    expires_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issued_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkloadLine {
    namespace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pod: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pod_uid: Option<String>,
    service_account: String,
}

/// For a `Principal`.
pub(super) mod principal {
    use super::{AiModel, Deserialize, Deserializer, ModelLine, Principal, PrincipalLine, Serialize, Serializer};
    use super::{TokenFacts, TokenLine, Workload, WorkloadLine, jcs};

    pub(in super::super) fn serialize<S: Serializer>(who: &Principal, s: S) -> Result<S::Ok, S::Error> {
        let Principal { issuer, issuer_url, agent, acts_for, groups, scopes, model, purpose, workload, token } =
            who.clone();
        let model = model.map(|AiModel { name, version }| ModelLine { name, version });
        let workload = workload.map(|Workload { namespace, service_account, pod, pod_uid, node }| WorkloadLine {
            namespace,
            service_account,
            pod,
            pod_uid,
            node,
        });
        let TokenFacts { id, key_id, algorithm, issued_at, expires_at } = token;
        let (issued_at, expires_at) = (issued_at.map(jcs::clamp), jcs::clamp(expires_at));
        let token = TokenLine { id, key_id, algorithm, issued_at, expires_at };
        PrincipalLine { issuer, issuer_url, agent, acts_for, groups, scopes, model, purpose, workload, token }
            .serialize(s)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Principal, D::Error> {
        let PrincipalLine { issuer, issuer_url, agent, acts_for, groups, scopes, model, purpose, workload, token } =
            PrincipalLine::deserialize(d)?;
        let model = model.map(|ModelLine { name, version }| AiModel { name, version });
        let workload = workload.map(|WorkloadLine { namespace, service_account, pod, pod_uid, node }| Workload {
            namespace,
            service_account,
            pod,
            pod_uid,
            node,
        });
        let TokenLine { id, key_id, algorithm, issued_at, expires_at } = token;
        let token = TokenFacts { id, key_id, algorithm, issued_at, expires_at };
        Ok(Principal { issuer, issuer_url, agent, acts_for, groups, scopes, model, purpose, workload, token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_table_name_round_trips() {
        for (schema, name) in [("clinic", "patient"), ("a.b", "c"), ("", "x\"y"), ("\"", ".."), ("é", "表")] {
            let table = TableName::new(schema, name);
            assert_eq!(table_from_text(&table_text(&table)), Some(table));
        }
        assert_eq!(table_text(&TableName::new("clinic", "patient")), "clinic.patient");
        for bad in ["", "x", "a.b.c", "\"a.b", "\"a\"b"] {
            assert_eq!(table_from_text(bad), None, "{bad}");
        }
    }
}
