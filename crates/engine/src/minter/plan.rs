//! What a session's role must be able to do: the columns that its masks read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use chaperone_analysis::{Need, Protection, needs};
use chaperone_model::TableName;

use super::PlanKey;

/// What a role must be able to do.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What is read of each classified table; `None` where nothing is protected: all that the minter can pass on.
    pub(super) tables: Option<BTreeMap<TableName, Need>>,
    /// The profile that gives it, once there is one.
    profile: Mutex<Option<String>>,
}

impl Plan {
    pub(super) fn profile(&self) -> Option<String> {
        // a panic elsewhere cannot leave one assignment half done
        self.profile.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_profile(&self, name: Option<String>) {
        *self.profile.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }

    /// A query for the columns that `role` could read and should not, by name: none, or the session does not open. It
    /// asks the database itself, so that a grant to `PUBLIC` counts.
    pub(super) fn reads_too_much(&self, role: &str) -> String {
        let hidden: Vec<(u32, i16)> = self
            .tables
            .iter()
            .flatten()
            .flat_map(|(_, need)| need.hidden.keys().map(move |number| (need.oid, *number)))
            .collect();
        let tables: Vec<String> = hidden.iter().map(|(table, _)| table.to_string()).collect();
        let columns: Vec<String> = hidden.iter().map(|(_, column)| column.to_string()).collect();
        format!(
            "SELECT pg_catalog.format('%s.%I', a.attrelid::pg_catalog.regclass, a.attname) \
             FROM ROWS FROM (pg_catalog.unnest('{{{}}}'::pg_catalog.oid[]), \
             pg_catalog.unnest('{{{}}}'::pg_catalog.int2[])) AS h(o, n) \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = h.o AND a.attnum = h.n \
             WHERE pg_catalog.has_column_privilege('{role}', h.o, h.n, 'SELECT') ORDER BY 1 LIMIT 8",
            tables.join(","),
            columns.join(","),
        )
    }
}

/// Plans that sessions had lately: to work one out reads the masked self of every table.
#[derive(Debug, Default)]
pub(super) struct Plans {
    known: Mutex<VecDeque<(PlanKey, Arc<Plan>)>>,
    open: Arc<Plan>,
}

impl Plans {
    /// What the minter can pass on may be something else by now.
    pub(super) fn look_again(&self) {
        self.open.set_profile(None);
        // a panic elsewhere cannot leave one insertion half done
        for (_, plan) in self.known.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            plan.set_profile(None);
        }
    }
}

/// As many as there are likely to be sets of masks at a time.
const KNOWN: usize = 64;

impl Plans {
    pub(super) fn of(&self, protection: Option<(&Protection<'_>, &PlanKey)>) -> Arc<Plan> {
        let Some((protection, (catalog, masks))) = protection else { return self.open.clone() };
        // a panic elsewhere cannot leave one insertion half done
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |(key, _): &&(PlanKey, Arc<Plan>)| Arc::ptr_eq(&key.0, catalog) && key.1 == *masks;
        if let Some((_, plan)) = known.iter().find(same) {
            return plan.clone();
        }
        let plan = Arc::new(Plan { tables: Some(needs(protection)), profile: Mutex::default() });
        if known.len() >= KNOWN {
            known.pop_front();
        }
        known.push_back(((catalog.clone(), masks.clone()), plan.clone()));
        plan
    }
}
