//! One session's side of a Cedar request: entities and context, built once from the verified principal.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use cedar_policy::{Context, Entities, Entity, EntityUid, RestrictedExpression as Value};
use chaperone_model::{Class, Classification, Facts, Principal, TableName};

use crate::schema;

/// Why a request could not be made. It never names data; a session where this happens is denied everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) String);

fn broken(error: impl std::fmt::Display) -> Broken {
    Broken(error.to_string())
}

/// Who asks, and where: what every request of a session shares.
pub(crate) struct Asker {
    connection: String,
    entities: Entities,
    context: Vec<(String, Value)>,
}

impl Asker {
    pub(crate) fn new(
        principal: &Principal,
        connection: &str,
        classification: &Classification,
    ) -> Result<Asker, Broken> {
        let agent = schema::agent(principal);
        let groups: HashSet<EntityUid> = groups(principal).collect();
        let mut entities: Vec<Entity> = groups.iter().cloned().map(Entity::with_uid).collect();
        entities.push(Entity::new(agent, attributes(principal), groups).map_err(broken)?);
        entities.push(Entity::with_uid(schema::connection(connection)));
        entities.extend(Class::ALL.map(schema::class).map(Entity::with_uid));
        if let Classification::Tables(tables) = classification {
            for name in tables.keys() {
                entities.push(table(connection, name)?);
            }
        }
        let entities = Entities::from_entities(entities, Some(&schema::PARSED)).map_err(broken)?;
        Ok(Asker { connection: connection.to_owned(), entities, context: context(principal) })
    }

    /// The entities for a request about the connection or one of its tables.
    pub(crate) fn entities_with(&self, name: Option<&TableName>) -> Result<Cow<'_, Entities>, Broken> {
        match name {
            // the table is not in the classification: a system catalog, say
            Some(name) if self.entities.get(&schema::table(&self.connection, name)).is_none() => {
                let table = table(&self.connection, name)?;
                self.entities.clone().add_entities([table], None).map(Cow::Owned).map_err(broken)
            }
            _ => Ok(Cow::Borrowed(&self.entities)),
        }
    }

    /// The entities for requests about columns: each with its class and its table.
    pub(crate) fn entities_with_columns<'a>(
        &self,
        columns: impl Iterator<Item = (&'a TableName, &'a str, Class)>,
    ) -> Result<Entities, Broken> {
        let mut added: HashMap<EntityUid, Entity> = HashMap::new();
        for (name, column, class) in columns {
            let table_uid = schema::table(&self.connection, name);
            if self.entities.get(&table_uid).is_none() {
                added.insert(table_uid.clone(), table(&self.connection, name)?);
            }
            let uid = schema::column(&self.connection, name, column);
            let attributes = HashMap::from([("name".to_owned(), text(column))]);
            let parents = HashSet::from([table_uid, schema::class(class)]);
            added.insert(uid.clone(), Entity::new(uid, attributes, parents).map_err(broken)?);
        }
        self.entities.clone().add_entities(added.into_values(), None).map_err(broken)
    }

    /// The context of a question about a rung: what holds for the whole session.
    pub(crate) fn lasting(&self) -> Result<Context, Broken> {
        Context::from_pairs(self.context.clone()).map_err(broken)
    }

    /// The context at `now` (seconds since the Unix epoch), with a statement's facts where the action is one.
    pub(crate) fn context(&self, now: i64, facts: Option<&Shape<'_>>) -> Result<Context, Broken> {
        let mut context = self.context.clone();
        context.push(("now".to_owned(), datetime(now)?));
        if let Some(shape) = facts {
            context.push(("kind".to_owned(), text(shape.kind)));
            context.push(("has_where".to_owned(), Value::new_bool(shape.has_where)));
            context.push(("tables".to_owned(), Value::new_long(shape.tables)));
        }
        Context::from_pairs(context).map_err(broken)
    }
}

/// What policies may read of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape<'a> {
    pub(crate) kind: &'a str,
    pub(crate) has_where: bool,
    pub(crate) tables: i64,
}

impl<'a> Shape<'a> {
    pub(crate) fn of(facts: &'a Facts) -> Self {
        let mut tables = 0;
        for (i, need) in facts.needs.iter().enumerate() {
            let before = facts.needs.iter().take(i);
            if need.table.is_some() && before.filter(|b| b.table == need.table).count() == 0 {
                tables += 1;
            }
        }
        Shape { kind: &facts.kind, has_where: facts.has_where, tables }
    }
}

pub(crate) fn groups(principal: &Principal) -> impl Iterator<Item = EntityUid> {
    principal.groups.iter().map(|name| schema::uid("Group", name))
}

fn attributes(principal: &Principal) -> HashMap<String, Value> {
    let mut attributes = HashMap::from([
        ("issuer".to_owned(), text(&principal.issuer)),
        ("issuer_url".to_owned(), text(&principal.issuer_url)),
        ("subject".to_owned(), text(&principal.agent)),
        ("scopes".to_owned(), Value::new_set(principal.scopes.iter().map(|s| text(s)))),
    ]);
    if let Some(person) = &principal.acts_for {
        attributes.insert("acts_for".to_owned(), text(person));
    }
    attributes
}

fn context(principal: &Principal) -> Vec<(String, Value)> {
    let mut context = Vec::new();
    let mut put = |name: &str, value: Option<Value>| context.extend(value.map(|v| (name.to_owned(), v)));
    put("acts_for", principal.acts_for.as_deref().map(text));
    put("purpose", principal.purpose.as_deref().map(text));
    put(
        "model",
        principal
            .model
            .as_ref()
            .map(|model| record([("name", Some(text(&model.name))), ("version", model.version.as_deref().map(text))])),
    );
    put(
        "workload",
        principal.workload.as_ref().map(|workload| {
            record([
                ("namespace", Some(text(&workload.namespace))),
                ("service_account", Some(text(&workload.service_account))),
                ("pod", workload.pod.as_deref().map(text)),
            ])
        }),
    );
    context
}

fn table(connection: &str, name: &TableName) -> Result<Entity, Broken> {
    let attributes = HashMap::from([("schema".to_owned(), text(&name.schema)), ("name".to_owned(), text(&name.name))]);
    let parents = HashSet::from([schema::connection(connection)]);
    Entity::new(schema::table(connection, name), attributes, parents).map_err(broken)
}

fn text(value: &str) -> Value {
    Value::new_string(value.to_owned())
}

fn record<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::new_record(fields).expect("field names are different")
}

/// A Cedar `datetime`. Years beyond 9999 are cut off, so that `toDate` and `durationSince` cannot overflow.
fn datetime(now: i64) -> Result<Value, Broken> {
    let seconds = now.clamp(0, 253_402_300_799);
    // Cedar has no constructor from a number, and this needs no calendar of ours
    format!("datetime(\"1970-01-01\").offset(duration(\"{seconds}s\"))").parse().map_err(broken)
}
