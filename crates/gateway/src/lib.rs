//! The gateway: from a socket to an authenticated session of the engine.
//!
//! | step | module |
//! | --- | --- |
//! | accept, turn away, drain | [`listen`] |
//! | TLS, protocol version, cancel requests | `door` |
//! | token → principal | `authenticate`, [`identity`] |
//! | sockets of agents | [`socket`] |
//! | the other way round, in the agent's pod | [`sidecar`] |

mod authenticate;
mod door;
pub mod identity;
pub mod listen;
pub mod sidecar;
pub mod socket;
pub mod stream;
pub mod tls;

pub use listen::Gateway;
