//! The permutation of [`TokenForm::Invertible`](super::TokenForm::Invertible): a Feistel network of four rounds over a
//! block of 16 bytes, with a pseudo-random function made of SHA-256. Once as SQL of built-in functions, once in Rust.
//!
//! Four rounds with independent random functions are a strong pseudo-random permutation (Luby and Rackoff 1988), up to
//! about 2^32 blocks of this size, where collisions of the 64-bit halves begin. The function is
//! `sha256(key ‖ round ‖ half)`, cut to 8 bytes: its input has one length, so that a longer one cannot be made of it.

use aws_lc_rs::digest::{SHA256, digest};
use chaperone_model::Class;
use zeroize::Zeroizing;

use super::{feistel_setting, key};

/// What a block holds. Each kind has rounds of its own, so that a text and a `uuid` never share a token by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    /// A byte for the length, up to 15 bytes, zeros.
    Text,
    /// All 16 bytes.
    Uuid,
}

impl Block {
    /// What the function of each round is told apart by.
    fn rounds(self) -> [u8; 4] {
        match self {
            Block::Text => [0x01, 0x02, 0x03, 0x04],
            Block::Uuid => [0x11, 0x12, 0x13, 0x14],
        }
    }
}

/// The permutation's image of a block, `marker` and 32 hex digits; `block` is SQL of the block's 32 hex digits.
///
/// Each step is a query of its own with `OFFSET 0`: else the planner writes the halves out wherever they are used, and
/// there would be eleven hashes in place of four. Halves are `int8`, which has an exclusive or.
pub(super) fn sql(class: Class, kind: Block, block: &str, marker: &str) -> String {
    let half = |hex: &str| format!("('x' OPERATOR(pg_catalog.||) {hex})::pg_catalog.bit(64)::pg_catalog.int8");
    let start = format!(
        "SELECT {} AS l, {} AS r, {} AS k FROM (SELECT {block} AS h OFFSET 0) chaperone_v OFFSET 0",
        half("pg_catalog.substr(chaperone_v.h, 1, 16)"),
        half("pg_catalog.substr(chaperone_v.h, 17, 16)"),
        key(&feistel_setting(class), 64, "chaperone_z.k"),
    );
    let rounds = kind.rounds().into_iter().fold(start, |before, round| {
        let hash = format!(
            "pg_catalog.encode(pg_catalog.sha256(chaperone_v.k OPERATOR(pg_catalog.||) \
             pg_catalog.decode('{round:02x}', 'hex') OPERATOR(pg_catalog.||) pg_catalog.int8send(chaperone_v.r)), 'hex')"
        );
        let function = half(&format!("pg_catalog.substr({hash}, 1, 16)"));
        format!(
            "SELECT chaperone_v.r AS l, chaperone_v.l OPERATOR(pg_catalog.#) {function} AS r, chaperone_v.k AS k \
             FROM ({before}) chaperone_v OFFSET 0"
        )
    });
    format!(
        "(SELECT '{marker}'::pg_catalog.text OPERATOR(pg_catalog.||) pg_catalog.encode(\
         pg_catalog.int8send(chaperone_v.l) OPERATOR(pg_catalog.||) pg_catalog.int8send(chaperone_v.r), 'hex') \
         FROM ({rounds}) chaperone_v)"
    )
}

/// SQL of the block whose image has these 32 hex digits, as `bytea`; `None` if they are none. `key` is SQL of the key.
pub(super) fn inverse_sql(key: &str, kind: Block, digits: &str) -> Option<String> {
    let mut image = [0; 16];
    hex::decode_to_slice(digits, &mut image).ok()?;
    let (left, right) = halves(image);
    let half = |half: u64| format!("'x{half:016x}'::pg_catalog.bit(64)::pg_catalog.int8");
    Some(inverse_of_halves(key, kind, &half(left), &half(right)))
}

/// The same of digits that SQL gives: 32 hex digits, or `NULL`, whose block is `NULL`.
pub(super) fn inverse_of_sql(key: &str, kind: Block, digits: &str) -> String {
    let half = |from: usize| {
        format!(
            "('x' OPERATOR(pg_catalog.||) pg_catalog.substr({digits}, {from}, 16))::pg_catalog.bit(64)::pg_catalog.int8"
        )
    };
    inverse_of_halves(key, kind, &half(1), &half(17))
}

fn inverse_of_halves(key: &str, kind: Block, left: &str, right: &str) -> String {
    let start = format!("SELECT {left} AS l, {right} AS r, {key} AS k OFFSET 0");
    let rounds = kind.rounds().into_iter().rev().fold(start, |before, round| {
        let hash = format!(
            "pg_catalog.encode(pg_catalog.sha256(chaperone_v.k OPERATOR(pg_catalog.||) \
             pg_catalog.decode('{round:02x}', 'hex') OPERATOR(pg_catalog.||) pg_catalog.int8send(chaperone_v.l)), 'hex')"
        );
        let function = format!(
            "('x' OPERATOR(pg_catalog.||) pg_catalog.substr({hash}, 1, 16))::pg_catalog.bit(64)::pg_catalog.int8"
        );
        format!(
            "SELECT chaperone_v.r OPERATOR(pg_catalog.#) {function} AS l, chaperone_v.l AS r, chaperone_v.k AS k \
             FROM ({before}) chaperone_v OFFSET 0"
        )
    });
    format!(
        "(SELECT pg_catalog.int8send(chaperone_v.l) OPERATOR(pg_catalog.||) pg_catalog.int8send(chaperone_v.r) \
         FROM ({rounds}) chaperone_v)"
    )
}

/// The permutation of a block.
pub(super) fn permute(key: &[u8; 32], kind: Block, block: [u8; 16]) -> [u8; 16] {
    let (mut left, mut right) = halves(block);
    for round in kind.rounds() {
        (left, right) = (right, left ^ function(key, round, right));
    }
    joined(left, right)
}

/// Its inverse.
pub(super) fn invert(key: &[u8; 32], kind: Block, block: [u8; 16]) -> [u8; 16] {
    let (mut left, mut right) = halves(block);
    for round in kind.rounds().into_iter().rev() {
        (left, right) = (right ^ function(key, round, left), left);
    }
    joined(left, right)
}

fn halves(block: [u8; 16]) -> (u64, u64) {
    let block = u128::from_be_bytes(block);
    // both fit
    ((block >> 64) as u64, block as u64)
}

fn joined(left: u64, right: u64) -> [u8; 16] {
    (u128::from(left) << 64 | u128::from(right)).to_be_bytes()
}

fn function(key: &[u8; 32], round: u8, half: u64) -> u64 {
    let mut input = Zeroizing::new([0; 41]);
    input[..32].copy_from_slice(key);
    input[32] = round;
    input[33..].copy_from_slice(&half.to_be_bytes());
    let hash = digest(&SHA256, &*input);
    hash.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
