//! The nouns of Chaperone, one per idea, used by every other crate and knowing none of them.
//!
//! | module | noun |
//! | --- | --- |
//! | [`principal`] | who asks, from the verified token |
//! | [`class`] | what kind of PHI a column holds, and the rungs of the mask ladder |
//! | [`classification`] | which column of which table has which class |
//! | [`facts`] | what analysis found in a statement, and what a policy must permit for it |
//! | [`kinds`] | every kind of statement, as policies may read it |
//! | [`masks`] | the rung of every classified column, decided once a session |
//! | [`refusal`] | a "no" with its reason and the next step, never with data in it |
//! | [`subject`] | whether an answer says whose rows it has |
//! | [`id`] | ids of sessions and statements |

pub mod class;
pub mod classification;
pub mod facts;
pub mod id;
pub mod kinds;
pub mod masks;
pub mod principal;
pub mod refusal;
pub mod subject;

pub use class::{Class, Rung};
pub use classification::{Classification, Subject, TableClasses, TableName};
pub use facts::{Action, Effects, Facts, Need};
pub use id::{SessionId, StatementId};
pub use kinds::{KINDS, is_kind};
pub use masks::Masks;
pub use principal::{AiModel, Principal, TokenFacts, Workload};
pub use refusal::{Refusal, SqlState};
pub use subject::Enumerated;
