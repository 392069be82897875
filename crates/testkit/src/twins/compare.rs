//! Whether two answers are the same.

use super::session::Answer;
use crate::raw::Message;

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
    let (a, b) = &numbered_alike(a, b);
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

/// Temporary tables, the types of their rows, and the schema that they are in are numbered by a counter of the whole cluster,
/// which both twins move on: where two descriptions of rows name other tables or types of somebody, or two rows other schemas by
/// number, neither is looked at. That they are shown as stored is what the canaries find.
fn numbered_alike(a: &Answer, b: &Answer) -> (Answer, Answer) {
    let (mut a, mut b) = (a.clone(), b.clone());
    let mut changed = false;
    let mut schemas = Vec::new();
    for (one, other) in a.messages.iter_mut().zip(&mut b.messages) {
        let found: fn(&[u8], &[usize]) -> Vec<usize> = match (one.tag, other.tag) {
            (b'T', b'T') => {
                schemas = columns_of(&one.body, REGNAMESPACE);
                |body, _| numbers(body)
            }
            (b'D', b'D') => values_of_four,
            _ => continue,
        };
        let there = found(&other.body, &schemas);
        let places: Vec<usize> = found(&one.body, &schemas).into_iter().filter(|at| there.contains(at)).collect();
        for at in places {
            let (Some(x), Some(y)) = (one.body.get_mut(at..at + 4), other.body.get_mut(at..at + 4)) else { continue };
            if x != y && number(x) > 16_384 && number(y) > 16_384 {
                x.fill(0);
                y.fill(0);
                changed = true;
            }
        }
    }
    if changed {
        for answer in [&mut a, &mut b] {
            answer.bytes = answer.messages.iter().flat_map(Message::bytes).collect();
            answer.bytes.push(u8::from(answer.ended));
        }
    }
    (a, b)
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Where a `RowDescription` says which tables its columns are of, and which types they have (PostgreSQL manual, 55.7).
fn numbers(body: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 2;
    while let Some(end) = body.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0)) {
        places.extend([at + end + 1, at + end + 7]);
        at += end + 1 + 18;
    }
    places
}

/// The type of a schema's number (`pg_type.oid`).
const REGNAMESPACE: u32 = 4089;

/// Which columns of a `RowDescription` have this type.
fn columns_of(body: &[u8], ty: u32) -> Vec<usize> {
    let types = numbers(body).into_iter().skip(1).step_by(2);
    let is_it = |at: usize| body.get(at..at + 4).is_some_and(|bytes| number(bytes) == ty);
    types.enumerate().filter(|(_, at)| is_it(*at)).map(|(column, _)| column).collect()
}

/// Where the values of these columns are in a `DataRow`, of those that have four bytes.
fn values_of_four(body: &[u8], columns: &[usize]) -> Vec<usize> {
    let (mut places, mut at, mut column) = (Vec::new(), 2, 0);
    while let Some(length) = body.get(at..at + 4).map(number) {
        at += 4;
        if length == 4 && columns.contains(&column) {
            places.push(at);
        }
        // a NULL has no bytes
        at += if length == u32::MAX { 0 } else { length as usize };
        column += 1;
    }
    places
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(table: u32, ty: u32, value: &[u8]) -> Answer {
        let description = [
            &1_u16.to_be_bytes()[..],
            b"name\0",
            &table.to_be_bytes(),
            &1_u16.to_be_bytes(),
            &ty.to_be_bytes(),
            &[0xff; 6],
            &[0; 2],
        ]
        .concat();
        let row = [&1_u16.to_be_bytes()[..], &(value.len() as u32).to_be_bytes(), value].concat();
        let messages = vec![Message { tag: b'T', body: description }, Message { tag: b'D', body: row }];
        Answer { bytes: messages.iter().flat_map(Message::bytes).collect(), messages, ..Answer::default() }
    }

    #[test]
    fn numbers_of_what_a_session_made_are_not_compared_and_all_else_is() {
        let names = ["twin_a", "twin_b"];
        let same = |a: &Answer, b: &Answer| differ(a, b, How::Bytes, names).is_none();
        let one = answer(20_000, 20_002, b"x");
        assert!(same(&one, &answer(20_003, 20_005, b"x")));
        assert!(same(&one, &answer(20_000, 20_005, b"x")));
        assert!(!same(&one, &answer(20_003, 20_005, b"y")));
        let schema = |number: u32| answer(0, REGNAMESPACE, &number.to_be_bytes());
        assert!(same(&schema(20_000), &schema(20_001)));
        assert!(!same(&schema(20_000), &schema(11)));
        assert!(!same(&answer(0, 26, &20_000_u32.to_be_bytes()), &answer(0, 26, &20_001_u32.to_be_bytes())));
        // of the server's own, or of none
        assert!(!same(&one, &answer(20_000, 25, b"x")));
        assert!(!same(&one, &answer(0, 20_002, b"x")));
        assert!(!same(&answer(0, 23, b"x"), &answer(0, 25, b"x")));
        assert!(same(&answer(0, 25, b"twin_a"), &answer(0, 25, b"twin_b")));
    }
}
