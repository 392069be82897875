//! What the policies decide in a case.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use chaperone_analysis::Catalog;
use chaperone_analysis::catalog::{QUERIES, Rows};
use chaperone_model::{Classification, Facts, Masks, Refusal, SessionId, StatementId, TableName};
use chaperone_policy::{Authority, Decision, PolicySet};

use crate::config::{Classes, Phi};
use crate::policy_test::cases::{Case, ColumnName, Expect, File};
use crate::reload;

/// Policies and classification of a file.
pub struct Setting<'f> {
    file: &'f File,
    policies: Arc<PolicySet>,
    classification: Arc<Classification>,
    /// The tables of the classification, for names to be looked up in.
    catalog: Catalog,
}

/// What was decided.
pub struct Verdict {
    pub decision: Expect,
    /// The policies that decided, each with the file and line that it stands in.
    pub policies: Vec<(String, Option<String>)>,
    /// Those that would have permitted but for their conditions.
    pub near: Vec<String>,
    pub refusal: Option<Refusal>,
    /// What is otherwise than the case expects of columns.
    pub columns: Vec<String>,
}

impl<'f> Setting<'f> {
    /// Reads what the file names.
    pub fn read(file: &'f File, base: &Path) -> Result<Self> {
        let files = policies(&file.policies.0, base)?;
        let policies = PolicySet::load(&files).map_err(|error| {
            let faults: Vec<String> = error.faults.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("the policies are not valid:\n  {}", faults.join("\n  "))
        })?;
        let classification = match (&file.classification, file.phi) {
            (Some(path), None) => classification(&base.join(path))?,
            (None, Some(Phi::None)) => Classification::NoPhi,
            (None, None) => bail!("say what the columns hold: `classification: FILE`, or `phi: none`"),
            (Some(_), Some(_)) => bail!("`classification` and `phi: none` exclude each other"),
        };
        let catalog = catalog(&classification, &file.search_path).context("the classification's names")?;
        Ok(Setting { file, policies: Arc::new(policies), classification: Arc::new(classification), catalog })
    }

    /// Decides a case as a session would be: may it be opened, then may each statement of the text run.
    pub fn judge(&self, case: &Case) -> Result<Verdict> {
        let (principal, at) = (self.file.principal(case)?, self.file.at(case)?);
        let session = SessionId::generate();
        let connection = self.file.connection(case)?;
        let mut authority =
            Authority::new(self.policies.clone(), session, &principal, connection, self.classification.clone());
        let masks = authority.masks(&self.columns(), at);
        let columns = self.compare(case, &masks)?;
        let (decision, decided, near, refusal) = match self.decide(case, session, &mut authority, at) {
            Ok(policies) => (Expect::Allow, policies, Vec::new(), None),
            Err(no) => (Expect::Deny, no.policies, no.near, Some(no.refusal)),
        };
        let place = |id: String| {
            let place = self.policies.location(&id).map(|(file, line)| format!("{file}:{line}"));
            (id, place)
        };
        Ok(Verdict { decision, policies: decided.into_iter().map(place).collect(), near, refusal, columns })
    }

    fn decide(
        &self,
        case: &Case,
        session: SessionId,
        authority: &mut Authority,
        at: i64,
    ) -> Result<Vec<String>, Box<No>> {
        let no = |refusal| Box::new(No { policies: Vec::new(), near: Vec::new(), refusal });
        let opened = authority.connect(at).map_err(no)?;
        let Some(text) = &case.statement else { return Ok(opened) };
        let statements = chaperone_analysis::parse(text).map_err(no)?;
        let mut deciding = BTreeSet::new();
        for i in 0..statements.len() {
            let facts: Facts = match &*self.classification {
                Classification::NoPhi => statements.facts(i).clone(),
                Classification::Tables(_) => statements.facts_in(i, &self.catalog),
            };
            let id = StatementId { session, ordinal: u64::try_from(i).unwrap_or(u64::MAX).saturating_add(1) };
            match authority.decide_estimated(id, &facts, at, case.estimated_rows) {
                Decision::Allow(permit) => deciding.extend(permit.policies().iter().cloned()),
                Decision::Deny(denial) => {
                    return Err(Box::new(No { policies: denial.policies, near: denial.near, refusal: denial.refusal }));
                }
            }
        }
        Ok(deciding.into_iter().collect())
    }

    /// Every column that the classification names.
    fn columns(&self) -> Vec<(TableName, Vec<String>)> {
        match &*self.classification {
            Classification::NoPhi => Vec::new(),
            Classification::Tables(tables) => tables
                .iter()
                .map(|(table, classes)| (table.clone(), classes.columns.keys().cloned().collect()))
                .collect(),
        }
    }

    /// What is otherwise than the case expects of columns.
    fn compare(&self, case: &Case, masks: &Masks) -> Result<Vec<String>> {
        let mut otherwise = Vec::new();
        for (name, expected) in &case.masks {
            let (table, column) = self.find(name)?;
            let rung = masks.rung(&table, &column);
            if rung != *expected {
                otherwise.push(format!("mask of `{}`: expected {}, came {}", name.0, expected.name(), rung.name()));
            }
        }
        for (what, names, may) in [
            ("filter by", &case.filter, Masks::may_filter as fn(&Masks, &TableName, &str) -> bool),
            ("probe of", &case.probe, Masks::may_probe),
        ] {
            for (name, expected) in names {
                let (table, column) = self.find(name)?;
                let came = may(masks, &table, &column);
                if came != *expected {
                    otherwise.push(format!("{what} `{}`: expected {expected}, came {came}", name.0));
                }
            }
        }
        Ok(otherwise)
    }

    fn find(&self, name: &ColumnName) -> Result<(TableName, String)> {
        let [schema, table, column] = name.0.split('.').collect::<Vec<_>>()[..] else {
            bail!("`{}` is not `schema.table.column`", name.0);
        };
        let table = TableName::new(schema, table);
        match &*self.classification {
            Classification::Tables(tables)
                if tables.get(&table).is_some_and(|classes| classes.columns.contains_key(column)) =>
            {
                Ok((table, column.to_owned()))
            }
            Classification::Tables(_) => bail!("the classification has no column `{}`", name.0),
            Classification::NoPhi => bail!("`{}`: with `phi: none` nothing is masked", name.0),
        }
    }
}

struct No {
    policies: Vec<String>,
    near: Vec<String>,
    refusal: Refusal,
}

/// Every file named, and every `*.cedar` file of each folder named.
fn policies(paths: &[PathBuf], base: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for path in paths.iter().map(|path| base.join(path)) {
        if path.is_dir() {
            files.extend(reload::read(&path)?);
            continue;
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read policy `{}`", path.display()))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        files.push((name, text));
    }
    if files.is_empty() {
        bail!("`policies` is empty: everything would be denied");
    }
    Ok(files)
}

fn classification(path: &Path) -> Result<Classification> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let classes: Classes =
        serde_saphyr::from_str(&text).map_err(|error| anyhow::anyhow!("`{}`: {error}", path.display()))?;
    Ok(Classification::Tables(Arc::new(classes.tables)))
}

/// A catalog that knows the names of the classified tables and nothing else of them, in the shape in which a database
/// would answer.
fn catalog(classification: &Classification, search_path: &[String]) -> Result<Catalog> {
    let mut answers: Vec<Rows> = vec![Rows::new(); QUERIES.len()];
    let text = |value: &str| Some(value.to_owned());
    if let Some(path) = answers.get_mut(1) {
        path.extend(std::iter::once("pg_catalog").chain(search_path.iter().map(String::as_str)).map(|s| vec![text(s)]));
    }
    if let (Some(relations), Classification::Tables(tables)) = (answers.get_mut(2), classification) {
        relations.extend(tables.keys().enumerate().map(|(n, name)| {
            let (oid, schema, table) = (Some(n.to_string()), text(&name.schema), text(&name.name));
            vec![oid, schema, table, text("r"), text("f"), text("f"), None, text("f")]
        }));
    }
    Ok(Catalog::load(&answers)?)
}
