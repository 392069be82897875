//! One session's side of a Cedar request: entities and context, built once from the verified principal.

use std::borrow::Cow;
use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};

use cedar_policy::{Context, Entities, Entity, EntityUid, RestrictedExpression as Value};
use chaperone_model::{Class, Principal, TableName};

use crate::reads::Reads;
use crate::schema;
use crate::slice::Resource;

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
    /// What holds for the whole session, and the same as Cedar wants it.
    lasting: Vec<(String, Value)>,
    context: Context,
}

impl Asker {
    pub(crate) fn new(principal: &Principal, connection: &str) -> Result<Asker, Broken> {
        let agent = schema::agent(principal);
        let groups: HashSet<EntityUid> = groups(principal).collect();
        let mut entities: Vec<Entity> = groups.iter().cloned().map(Entity::with_uid).collect();
        entities.push(Entity::new(agent, attributes(principal), groups).map_err(broken)?);
        entities.push(Entity::with_uid(schema::connection(connection)));
        // with the schema Cedar compares them with it, and adds an entity for each action, which nothing looks at and
        // which would be copied for each table
        Entities::from_entities(entities.iter().cloned(), Some(&schema::PARSED)).map_err(broken)?;
        let entities = Entities::from_entities(entities, None).map_err(broken)?;
        let lasting = context(principal);
        let context = Context::from_pairs(lasting.iter().cloned()).map_err(broken)?;
        Ok(Asker { connection: connection.to_owned(), entities, lasting, context })
    }

    /// The connection, or one of its tables.
    pub(crate) fn resource(&self, name: Option<&TableName>) -> Resource {
        let connection = schema::connection(&self.connection);
        match name {
            Some(name) => Resource { uid: schema::table(&self.connection, name), within: vec![connection] },
            None => Resource { uid: connection, within: Vec::new() },
        }
    }

    pub(crate) fn column(&self, (table, column, class): (&TableName, &str, Class)) -> Resource {
        let connection = schema::connection(&self.connection);
        let within = vec![schema::class(class), schema::table(&self.connection, table), connection];
        Resource { uid: schema::column(&self.connection, table, column), within }
    }

    /// The entities for a request about the connection or one of its tables.
    pub(crate) fn entities_with(&self, name: Option<&TableName>) -> Result<Cow<'_, Entities>, Broken> {
        match name {
            Some(name) => {
                let table = table(&self.connection, name)?;
                self.entities.clone().add_entities([table], None).map(Cow::Owned).map_err(broken)
            }
            None => Ok(Cow::Borrowed(&self.entities)),
        }
    }

    /// The entities for requests about columns: each with its class and its table.
    pub(crate) fn entities_with_columns<'a>(
        &self,
        columns: impl Iterator<Item = (&'a TableName, &'a str, Class)>,
    ) -> Result<Entities, Broken> {
        let mut added: HashMap<EntityUid, Entity> = HashMap::new();
        for (name, column, class) in columns {
            let Resource { uid, within } = self.column((name, column, class));
            if let Entry::Vacant(place) = added.entry(schema::table(&self.connection, name)) {
                place.insert(table(&self.connection, name)?);
            }
            let attributes = HashMap::from([("name".to_owned(), text(column))]);
            added.insert(uid.clone(), Entity::new(uid, attributes, within.into_iter().collect()).map_err(broken)?);
        }
        self.entities.clone().add_entities(added.into_values(), None).map_err(broken)
    }

    /// The context of a question about a column: what holds for the whole session.
    pub(crate) fn lasting(&self) -> &Context {
        &self.context
    }

    /// The context at `now` (seconds since the Unix epoch), with a statement's facts where the action is one. What no
    /// policy reads is left out: making it costs more than the decision. Should one read it nevertheless, it fails, and
    /// so denies.
    pub(crate) fn context(&self, now: i64, facts: Option<&Shape<'_>>, reads: Reads) -> Result<Context, Broken> {
        let mut changing = Vec::new();
        let mut put = |name: &str, value: Value| changing.push((name.to_owned(), value));
        if reads.now {
            put("now", datetime(now)?);
        }
        if let Some(shape) = facts {
            if reads.kind {
                put("kind", text(shape.kind));
            }
            if reads.has_where {
                put("has_where", Value::new_bool(shape.has_where));
            }
            if reads.tables {
                put("tables", Value::new_long(shape.tables));
            }
            if reads.classes {
                let classes = shape.classes.iter().map(|class| Value::new_entity_uid(schema::class(class)));
                put("classes", Value::new_set(classes));
            }
            if let Some(rows) = shape.estimated_rows.filter(|_| reads.estimated_rows) {
                put("estimated_rows", Value::new_long(rows));
            }
        }
        if changing.is_empty() {
            return Ok(self.context.clone());
        }
        Context::from_pairs(self.lasting.iter().cloned().chain(changing)).map_err(broken)
    }
}

/// A set of classes of protected data; [`Class::None`] is never in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Classes(u32);

impl Classes {
    pub(crate) fn of(classes: impl IntoIterator<Item = Class>) -> Classes {
        classes.into_iter().fold(Classes::default(), Classes::with)
    }

    pub(crate) fn with(self, class: Class) -> Classes {
        let place = Class::ALL.iter().position(|c| *c == class && class.is_protected());
        Classes(self.0 | place.map_or(0, |place| 1 << place))
    }

    pub(crate) fn and(self, other: Classes) -> Classes {
        Classes(self.0 | other.0)
    }

    fn iter(self) -> impl Iterator<Item = Class> {
        Class::ALL.into_iter().enumerate().filter(move |(place, _)| self.0 & (1 << place) != 0).map(|(_, class)| class)
    }
}

/// What policies may read of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape<'a> {
    pub(crate) kind: &'a str,
    pub(crate) has_where: bool,
    pub(crate) tables: i64,
    /// Of all columns of the tables, not only of those that are read.
    pub(crate) classes: Classes,
    pub(crate) estimated_rows: Option<i64>,
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
                ("pod_uid", workload.pod_uid.as_deref().map(text)),
                ("node", workload.node.as_deref().map(text)),
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
