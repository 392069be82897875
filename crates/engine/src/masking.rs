//! What a connection's masks are made of, besides policy: the table of ZIP codes and the keys of tokens.

use std::sync::Arc;

use chaperone_mask::{Masker, TokenForm, TokenKeys, ZipTable};
use chaperone_model::{Class, Masks, Rung, TableClasses, TableName};

/// What masks are made of, as configured.
#[derive(Debug)]
pub struct Masking {
    /// Which ZIP codes are shown as `000`; `None` is the table that comes with Chaperone.
    pub zips: Option<Arc<ZipTable>>,
    /// The keys of tokens; without them the rung `token` shows nothing.
    pub tokens: Option<TokenKeys>,
}

impl Masking {
    /// The table that comes with Chaperone, and no tokens.
    pub fn plain() -> Self {
        Masking { zips: None, tokens: None }
    }

    pub(crate) fn masker(&self, cutoff_year: i32) -> Masker<'_> {
        Masker {
            cutoff_year,
            zips: self.zips.as_deref().unwrap_or_else(|| ZipTable::committed()),
            tokens: self.tokens.as_ref().map_or(TokenForm::default(), TokenKeys::form),
            keys: self.tokens.as_ref(),
            unforeseen: false,
        }
    }

    /// The settings by which a session makes its tokens: of the classes that it sees as tokens, and no others. As
    /// startup parameters they are what `RESET ALL`, `DISCARD ALL` and a rollback come back to; the agent's own
    /// settings are on an allow-list that none of them is on, and neither is any function that reads settings.
    pub(crate) fn settings(
        &self,
        masks: &Masks,
        tables: &std::collections::BTreeMap<TableName, TableClasses>,
    ) -> Vec<(String, String)> {
        let Some(keys) = &self.tokens else { return Vec::new() };
        let class = |(table, column, rung): (&TableName, &str, Rung)| {
            let class = tables.get(table)?.class(column);
            (rung == Rung::Token).then_some(class)
        };
        let mut classes: Vec<Class> = masks.iter().filter_map(class).collect();
        classes.sort();
        classes.dedup();
        let settings = classes.into_iter().flat_map(|class| keys.settings(class));
        settings.map(|(name, value)| (name, value.to_string())).collect()
    }
}
