//! What a session made for itself: temporary tables and views, and whether they still hold what it may see.

use std::sync::Arc;

use chaperone_analysis::{Rewritten, Statements, Temporaries};
use chaperone_model::{Facts, Refusal, SqlState};

use crate::analyse::Analyser;
use crate::running::Meant;
use crate::shield::Shield;

/// Temporary relations of a session.
#[derive(Debug, Default)]
pub(crate) struct Own {
    pub(crate) temporaries: Temporaries,
    views: Vec<View>,
}

/// A view, as the agent sent it and as it ran. Its tables are found by their numbers, whatever their names have become; but
/// what the catalog says of them may have changed.
#[derive(Debug)]
struct View {
    name: String,
    text: String,
    run: String,
    /// The protection by which it would still run so.
    generation: u64,
    /// By that.
    meant: Arc<Meant>,
}

/// Views that are remembered.
const MOST_VIEWS: usize = 64;

impl Own {
    /// Notes what statement `i` makes and writes to.
    pub(crate) fn note(
        &mut self,
        statements: &Statements,
        i: usize,
        facts: &Facts,
        shield: &Shield,
    ) -> Result<(), Refusal> {
        let views_full = self.views.len() >= MOST_VIEWS && statements.makes_view(i).is_some();
        if views_full || self.temporaries.is_full_for(statements, i) {
            return Err(too_many());
        }
        if self.temporaries.note(statements, i, facts) {
            shield.forget();
        }
        Ok(())
    }

    /// A statement was rewritten.
    pub(crate) fn made(&mut self, meant: &Arc<Meant>, shield: &Shield) {
        let (statements, i, run) = (&meant.statements, meant.index, &*meant.run);
        let Some(name) = statements.makes_view(i) else { return };
        let text = statements.text(i);
        if !self.views.iter().any(|known| known.name == name && known.text == text && known.run == run) {
            let (name, text, run) = (name.to_owned(), text.to_owned(), run.to_owned());
            self.views.push(View { name, text, run, generation: shield.generation(), meant: meant.clone() });
        }
    }

    /// What the views show that are still open.
    pub(crate) fn views(&self) -> impl Iterator<Item = &Arc<Meant>> {
        self.views.iter().map(|view| &view.meant)
    }

    /// Looks at the views again if masks or catalog have changed.
    pub(crate) fn renew(&mut self, shield: &Shield, analyser: &Analyser) {
        let mut outdated = Vec::new();
        for view in self.views.iter_mut().filter(|view| view.generation != shield.generation()) {
            let rewritten = |statements: Arc<Statements>| -> Result<(Rewritten, Arc<Meant>), Refusal> {
                let again = shield.rewrite(&statements, 0, &shield.masks, &self.temporaries)?;
                let meant = shield.meant(&statements, 0, &shield.masks, &self.temporaries, &again);
                Ok((again, meant))
            };
            match analyser.analyse(&view.text).and_then(rewritten) {
                Ok((again, meant)) if again.text == view.run => {
                    (view.generation, view.meant) = (shield.generation(), meant);
                }
                _ => outdated.push(view.name.clone()),
            }
        }
        for name in outdated {
            self.temporaries.outdate(&name);
            shield.forget();
        }
    }
}

fn too_many() -> Refusal {
    Refusal {
        code: SqlState::PROGRAM_LIMIT_EXCEEDED,
        rule: "masking.temporary",
        message: "too many temporary relations".to_owned(),
        detail: "a session can make 1024 names of temporary tables and indexes, and 64 views".to_owned(),
        hint: "use their names again after DROP, or connect again".to_owned(),
    }
}
