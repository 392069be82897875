//! Whether two answers are the same.

use super::session::Answer;

/// How two answers are held against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Byte for byte.
    Bytes,
    /// Byte for byte, the rows of each result sorted: where the statement gives no order.
    Sorted,
    /// The rows of a plan are not looked at: only what is an error in the one must be the same error in the other.
    Outcome,
}

/// Where two answers differ, for a person to read; the name `other` in the second is taken for `one`, which is as long.
pub fn differ(a: &Answer, b: &Answer, how: How, [one, other]: [&str; 2]) -> Option<String> {
    let (a, b) = match how {
        How::Bytes => (a.bytes.clone(), b.bytes.clone()),
        How::Sorted => (a.sorted(), b.sorted()),
        How::Outcome => (a.outcome(), b.outcome()),
    };
    if a == b {
        return None;
    }
    let (a, b) = (fold(a, other, one), fold(b, other, one));
    if a == b {
        return None;
    }
    let at = a.iter().zip(&b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
    let shown = |bytes: &[u8]| {
        let part = &bytes[at.saturating_sub(80)..bytes.len().min(at + 200)];
        String::from_utf8_lossy(part).replace('\0', "·")
    };
    Some(format!("differs at {at} of {} and {}\n  {}\n  {}", a.len(), b.len(), shown(&a), shown(&b)))
}

fn fold(mut bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let mut at = 0;
    while at + from.len() <= bytes.len() {
        if from.len() == to.len() && &bytes[at..at + from.len()] == from {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        at += 1;
    }
    bytes
}
