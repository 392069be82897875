//! The pure decision: facts + principal + policies + classification → [`Decision`]. No clock, no I/O.
//!
//! A privacy officer writes Cedar policies over the [`SCHEMA`]:
//! ```cedar
//! @id("care-reads")
//! permit (principal in Group::"care-agents", action in [Action::"connect", Action::"select"], resource in Connection::"clinic");
//! @id("care-sees-birth-years")
//! permit (principal in Group::"care-agents", action == Action::"read_partial", resource in Class::"birth_date");
//! @id("no-delete-without-where")
//! forbid (principal, action == Action::"delete", resource) unless { context.has_where };
//! ```
//! [`PolicySet::load`] validates them. A session then has an [`Authority`], which answers three questions:
//! [`connect`](Authority::connect) (may it be here?), [`masks`](Authority::masks) (what does it see of each column?) and
//! [`decide`](Authority::decide) (may this statement run?). Only the last one makes a [`Permit`].
//!
//! Everything fails closed. What no policy permits is denied, a policy that forbids wins, and one that fails denies:
//! Cedar itself skips a failing policy, which would turn a failing `forbid` into a permission, so sets that could fail
//! are refused when they are loaded, and a failure that happens nevertheless denies.
//!
//! | module | what |
//! | --- | --- |
//! | `schema` | the Cedar schema and the ids of its entities |
//! | `set` | policies, loaded and validated |
//! | `rule` | one policy, and when it can matter |
//! | `reads` | what a policy reads, so that answers can be remembered |
//! | `slice` | the few policies that can matter for a question |
//! | `request` | a principal in Cedar's terms |
//! | `authority` | one session's view: ask and decide |
//! | `memory` | what it was told before |
//! | `ladder` | the mask vector |
//! | `advice` | what would have helped |
//! | `decision` | permit or denial |
//! | `words` | a denial that an agent can act on |

mod advice;
mod authority;
mod decision;
mod ladder;
mod memory;
mod never;
mod reads;
mod request;
mod rule;
mod schema;
mod set;
mod slice;
mod words;

#[cfg(test)]
mod tests;

pub use authority::Authority;
pub use decision::{Decision, Denial, Permit};
pub use rule::TableRule;
pub use schema::SCHEMA;
pub use set::{PolicyError, PolicyFault, PolicyFile, PolicyId, PolicySet, unbundle};
