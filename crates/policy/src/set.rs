//! Policies, loaded and validated.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy::{Policy, PolicySet as CedarSet, ValidationMode, Validator};
use chaperone_model::{TableClasses, TableName};
use miette::Diagnostic;
use sha2::{Digest, Sha256};

use crate::never;
use crate::reads;
#[cfg(test)]
use crate::reads::{Looks, Reads};
use crate::rule::{Rule, TableRule, ids};
use crate::schema::{self, Ask};

/// The id of a policy: its `@id` annotation, or `<file>#<n>` for the n-th policy of a file, counted from 1.
pub type PolicyId = String;

/// Why a set of policies is not loaded. Every text names file, line and policy, and quotes no data: policies are the
/// operator's own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct PolicyError {
    /// Everything that is wrong, in the order of files and lines; never empty.
    pub faults: Vec<PolicyFault>,
}

/// One thing that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}: {}{message}", .policy.as_ref().map(|p| format!("policy `{p}`: ")).unwrap_or_default())]
pub struct PolicyFault {
    /// The file, as named by whoever loaded it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The policy, where the text could be parsed that far.
    pub policy: Option<PolicyId>,
    /// What is wrong, and where Cedar knows it, what was probably meant.
    pub message: String,
}

/// A validated, immutable set of policies. Share it in an `Arc`.
#[derive(Debug)]
pub struct PolicySet {
    pub(crate) rules: Vec<Rule>,
    /// Names and texts, in order of name.
    texts: Vec<(String, String)>,
    version: String,
}

/// One file of a set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyFile {
    /// Its name, as given to [`PolicySet::load`].
    pub name: String,
    /// The SHA-256 of its text, in hexadecimal.
    pub sha256: String,
}

impl PolicySet {
    /// Loads `files`, each a name for error texts and its Cedar text.
    ///
    /// # Errors
    /// A text that does not parse; an id used twice; a template; a policy that does not validate strictly against
    /// [`SCHEMA`](crate::SCHEMA), or that Cedar warns about (it could never apply, or holds confusable characters);
    /// one that could fail during evaluation: arithmetic and `offset` overflow, and an attribute of an entity named
    /// in the text may not be there.
    pub fn load(files: &[(String, String)]) -> Result<PolicySet, PolicyError> {
        let mut faults = Vec::new();
        let mut rules = Vec::new();
        for (file, text) in files {
            parse(file, text, &mut rules, &mut faults);
        }
        let texts: HashMap<&str, &str> = files.iter().map(|(f, t)| (f.as_str(), t.as_str())).collect();
        if texts.len() != files.len() {
            faults.push(PolicyFault {
                file: String::new(),
                line: 1,
                policy: None,
                message: "two files have the same name".into(),
            });
        }
        refuse_duplicates(&rules, &mut faults);
        if faults.is_empty() {
            validate(&rules, &texts, &mut faults);
        }
        if !faults.is_empty() {
            faults.sort();
            faults.dedup();
            return Err(PolicyError { faults });
        }
        let mut texts = files.to_vec();
        texts.sort();
        Ok(PolicySet { rules, version: version(&texts), texts })
    }

    /// Without any check, for the tests of what must hold even so.
    #[cfg(test)]
    pub(crate) fn unchecked(text: &str) -> PolicySet {
        let set: CedarSet = text.parse().unwrap();
        let rule = |policy: &Policy| {
            let id = policy.annotation("id").unwrap().to_owned();
            let policy = policy.new_id(cedar_policy::PolicyId::new(&id));
            Rule::new(id, policy, (Reads::ALL, Looks::default()), (String::new(), 1))
        };
        PolicySet { rules: set.policies().map(rule).collect(), texts: Vec::new(), version: String::new() }
    }

    /// Identifies the texts: the first 128 bits of a SHA-256 over names and texts, in hexadecimal. The order of the
    /// files does not matter.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The files that were loaded, name and text, in order of name. Kept beside what was decided, they reproduce it:
    /// [`PolicySet::load`] makes the same [version](PolicySet::version) of them.
    pub fn texts(&self) -> &[(String, String)] {
        &self.texts
    }

    /// The files that were loaded as one: the [version](PolicySet::version) is the start of its SHA-256.
    pub fn bundle(&self) -> Vec<u8> {
        bundle(&self.texts)
    }

    /// The files that were loaded, each with the digest of its text, in order of name.
    pub fn manifest(&self) -> Vec<PolicyFile> {
        let file = |(name, text): &(String, String)| PolicyFile {
            name: name.clone(),
            sha256: hex::encode(Sha256::digest(text.as_bytes())),
        };
        self.texts.iter().map(file).collect()
    }

    /// The files that hold no policy.
    pub fn files_without_policy(&self) -> Vec<&str> {
        let holds = |name: &str| self.rules.iter().any(|rule| rule.file == name);
        self.texts.iter().map(|(name, _)| name.as_str()).filter(|name| !holds(name)).collect()
    }

    /// Whether any policy reads how many rows the database expects: only then need anybody ask whether one that concerns
    /// a statement [does](crate::Authority::wants_estimate).
    pub fn reads_estimates(&self) -> bool {
        self.rules.iter().any(|rule| rule.reads.estimated_rows)
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none: everything is then denied.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The policies that speak of tables or columns. On a connection that declares no PHI tables are not resolved and
    /// every statement is decided on the connection alone, so none of these can bind there: refuse a configuration
    /// where one that forbids [concerns](TableRule::concerns) such a connection, warn about one that permits.
    pub fn table_rules(&self) -> Vec<TableRule> {
        self.rules.iter().filter_map(Rule::table_rule).collect()
    }

    /// The connections named in the policies, to be compared with those that are configured.
    pub fn connections(&self) -> BTreeSet<String> {
        self.rules.iter().flat_map(|rule| ids(&rule.policy, "Connection")).collect()
    }

    /// Tables and columns of `connection` that policies name and that `tables` does not list, each with the policy:
    /// such a policy matches nothing there, or only what nobody classified.
    pub fn unlisted_names(
        &self,
        connection: &str,
        tables: &BTreeMap<TableName, TableClasses>,
    ) -> BTreeSet<(PolicyId, String)> {
        let mut listed: BTreeSet<String> = BTreeSet::new();
        for (table, classes) in tables {
            listed.insert(schema::table(connection, table).id().unescaped().to_owned());
            let columns = classes.columns.keys().map(|column| schema::column(connection, table, column));
            listed.extend(columns.map(|column| column.id().unescaped().to_owned()));
        }
        let here = format!("{}/", schema::part(connection));
        let named = |rule: &Rule| {
            let ids = ids(&rule.policy, "Table").into_iter().chain(ids(&rule.policy, "Column"));
            ids.map(|id| (rule.id.clone(), id)).collect::<Vec<_>>()
        };
        let all = self.rules.iter().flat_map(named);
        all.filter(|(_, id)| id.starts_with(&here) && !listed.contains(id)).collect()
    }

    /// Where a policy stands: file and line.
    pub fn location(&self, id: &str) -> Option<(&str, usize)> {
        self.rules.iter().find(|rule| rule.id == id).map(|rule| (rule.file.as_str(), rule.line))
    }
}

/// Parses one file; what is wrong with a single policy does not hide what is wrong with the next.
fn parse(file: &str, text: &str, rules: &mut Vec<Rule>, faults: &mut Vec<PolicyFault>) {
    let fault = |line, policy, message| PolicyFault { file: file.to_owned(), line, policy, message };
    let set: CedarSet = match text.parse() {
        Ok(set) => set,
        Err(errors) => {
            let errors: &cedar_policy::ParseErrors = &errors;
            faults.extend(errors.iter().map(|e| fault(offset(e).map_or(1, |at| line_at(text, at)), None, words(e))));
            return;
        }
    };
    for template in set.templates() {
        let line = line_of_text(text, &template.to_string());
        faults.push(fault(line, None, "a template: there is nothing to fill its slots in".into()));
    }
    // Cedar numbers the policies of a text; its iterator promises no order
    let mut policies: Vec<(usize, &Policy)> = set.policies().map(|p| (ordinal(p.id()), p)).collect();
    policies.sort_by_key(|(n, _)| *n);
    let mut before = 0;
    for (n, policy) in policies {
        let id = policy.annotation("id").filter(|id| !id.is_empty()).map(str::to_owned);
        let id = id.unwrap_or_else(|| format!("{file}#{n}"));
        let source = policy.to_string();
        let at = text.get(before..).and_then(|rest| rest.find(&source)).map_or(before, |offset| before + offset);
        before = at.saturating_add(source.len());
        let line = line_at(text, at);
        match reads::of(policy) {
            Ok(found) => {
                let policy = policy.new_id(cedar_policy::PolicyId::new(&id));
                rules.push(Rule::new(id, policy, found, (file.to_owned(), line)));
            }
            Err(message) => faults.push(fault(line, Some(id), message)),
        }
    }
}

/// Counted from 1, from the id that Cedar gives while parsing: `policy0`, `policy1`, …
fn ordinal(id: &cedar_policy::PolicyId) -> usize {
    let id: &str = id.as_ref();
    id.strip_prefix("policy").and_then(|n| n.parse::<usize>().ok()).map_or(1, |n| n.saturating_add(1))
}

fn refuse_duplicates(rules: &[Rule], faults: &mut Vec<PolicyFault>) {
    let mut seen: HashMap<&str, &Rule> = HashMap::new();
    for rule in rules {
        if let Some(first) = seen.insert(&rule.id, rule) {
            let message = format!("its id is used before, in {}:{}", first.file, first.line);
            faults.push(rule.fault(rule.line, message));
        }
    }
}

/// Cedar's strict validation. Level 1: attributes are read from the principal and the resource, which are always
/// there, and not from entities named in the text, which may not be.
fn validate(rules: &[Rule], texts: &HashMap<&str, &str>, faults: &mut Vec<PolicyFault>) {
    let set = CedarSet::from_policies(rules.iter().map(|rule| rule.policy.clone()));
    let set = set.expect("ids were found to be different");
    let result = Validator::new(schema::PARSED.clone()).validate_with_level(&set, ValidationMode::Strict, 1);
    let errors = result.validation_errors().map(|e| (e.policy_id(), e as &dyn Diagnostic)).collect::<Vec<_>>();
    let warnings = result.validation_warnings().map(|w| (w.policy_id(), w as &dyn Diagnostic)).collect::<Vec<_>>();
    for rule in rules {
        let text = texts.get(rule.file.as_str()).copied().unwrap_or_default();
        let about = |id: &cedar_policy::PolicyId| AsRef::<str>::as_ref(id) == rule.id;
        let mut found: Vec<_> = errors.iter().filter(|(id, _)| about(id)).collect();
        if found.is_empty() {
            // an error in a policy makes it impossible as well: no need to say that too
            found = warnings.iter().filter(|(id, _)| about(id)).collect();
        }
        // the same place is wrong for every action that it is checked for: once is enough, and always the same one
        let mut told: BTreeMap<Option<usize>, String> = BTreeMap::new();
        for (_, found) in found {
            let message = rule.own_words(&words(*found));
            told.entry(offset(*found)).and_modify(|m| *m = m.clone().min(message.clone())).or_insert(message);
        }
        if let Some(action) = rule.listed_in_vain().filter(|_| told.is_empty()) {
            let message =
                format!("`{action}` is never asked about such a resource, so that part of it would never apply");
            faults.push(rule.fault(rule.line, message));
        }
        for type_name in [schema::AGENT, schema::TABLE, schema::COLUMN] {
            let wrong = ids(&rule.policy, type_name).into_iter().filter_map(|id| never::id(type_name, &id).err());
            faults.extend(wrong.map(|message| rule.fault(rule.line, message)));
        }
        for (place, message) in told {
            faults.push(rule.fault(place.map_or(rule.line, |offset| line_at(text, offset)), message));
        }
    }
}

impl Rule {
    /// Cedar opens its texts with the id, which a fault has already.
    fn own_words(&self, message: &str) -> String {
        let mut rest = message;
        for prefix in [format!("for policy `{}`, ", self.id), format!("for policy `{}`: ", self.id)] {
            rest = rest.strip_prefix(&prefix).unwrap_or(rest);
        }
        rest.to_owned()
    }

    fn fault(&self, line: usize, message: String) -> PolicyFault {
        PolicyFault { file: self.file.clone(), line, policy: Some(self.id.clone()), message }
    }
}

/// What Cedar says, and what it advises. Its guesses at what was meant by an unknown name are replaced by all there is.
fn words(found: &(impl Diagnostic + ?Sized)) -> String {
    let said = found.to_string();
    if said.contains("unrecognized action") {
        return format!("{said}; there are: {}", Ask::ALL.map(Ask::name).join(", "));
    }
    if said.contains("unrecognized entity type") {
        let mut types: Vec<_> = schema::PARSED.entity_types().map(|t| t.basename()).collect();
        types.sort_unstable();
        return format!("{said}; there are: {}", types.join(", "));
    }
    match found.help() {
        Some(help) => format!("{said}; {help}"),
        None => said,
    }
}

fn offset(found: &(impl Diagnostic + ?Sized)) -> Option<usize> {
    found.labels()?.next().map(|label| label.offset())
}

fn line_of_text(text: &str, part: &str) -> usize {
    text.find(part).map_or(1, |offset| line_at(text, offset))
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

/// Of files in order of name.
fn version(files: &[(String, String)]) -> String {
    let mut hex = hex::encode(Sha256::digest(bundle(files)));
    hex.truncate(32);
    hex
}

/// Each name and text, its length before it in 8 bytes, big-endian.
fn bundle(files: &[(String, String)]) -> Vec<u8> {
    let mut bundle = Vec::new();
    for part in files.iter().flat_map(|(name, text)| [name, text]) {
        bundle.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bundle.extend_from_slice(part.as_bytes());
    }
    bundle
}

/// The files in a [bundle](PolicySet::bundle); `None` for anything else.
pub fn unbundle(mut bundle: &[u8]) -> Option<Vec<(String, String)>> {
    let mut part = || {
        let (length, rest) = bundle.split_first_chunk::<8>()?;
        let (text, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
        bundle = rest;
        String::from_utf8(text.to_vec()).ok()
    };
    let mut files = Vec::new();
    while let Some(name) = part() {
        files.push((name, part()?));
    }
    bundle.is_empty().then_some(files)
}
