//! analyse: a statement's text, parsed once.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use chaperone_analysis::Statements;
use chaperone_model::Refusal;

/// Longest text that is kept: long ones are rarely sent twice.
const LONGEST: usize = 16 * 1024;

/// Text kept in one generation, in bytes. Trees take some forty times as much.
const GENERATION: usize = 512 * 1024;

/// Parses statements, and remembers by exact text what it parsed. Nothing is keyed by anything less than the text.
#[derive(Debug, Default)]
pub struct Analyser {
    generations: Mutex<Generations>,
}

/// Two generations instead of an order of use: what is used moves to the young one, and when that is full the old one
/// is dropped whole.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Box<str>, Arc<Statements>>,
    young_bytes: usize,
    old: HashMap<Box<str>, Arc<Statements>>,
}

impl Analyser {
    /// The statements of a text.
    pub fn analyse(&self, text: &str) -> Result<Arc<Statements>, Refusal> {
        if text.len() > LONGEST {
            return chaperone_analysis::parse(text).map(Arc::new);
        }
        if let Some(known) = self.lock(|generations| generations.get(text)) {
            return Ok(known);
        }
        let statements = Arc::new(chaperone_analysis::parse(text)?);
        self.lock(|generations| generations.insert(text, statements.clone()));
        Ok(statements)
    }

    fn lock<T>(&self, use_it: impl FnOnce(&mut Generations) -> T) -> T {
        // a panic while it was held can only have left an entry out
        use_it(&mut self.generations.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Generations {
    fn get(&mut self, text: &str) -> Option<Arc<Statements>> {
        if let Some(statements) = self.young.get(text) {
            return Some(statements.clone());
        }
        let (text, statements) = self.old.remove_entry(text)?;
        self.insert(&text, statements.clone());
        Some(statements)
    }

    fn insert(&mut self, text: &str, statements: Arc<Statements>) {
        if self.young_bytes + text.len() > GENERATION {
            self.old = mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if self.young.insert(text.into(), statements).is_none() {
            self.young_bytes += text.len();
        }
    }
}
