use bytes::BytesMut;
use chaperone_wire::postgres::{Deframer, HEADER, Limits, Piece, Side, WireError, next_frame, scan};
use proptest::prelude::*;

use crate::golden::{BACKEND, FRONTEND};

fn sides() -> [(Side, Vec<u8>, usize); 2] {
    [(Side::Frontend, FRONTEND.concat(), FRONTEND.len()), (Side::Backend, BACKEND.concat(), BACKEND.len())]
}

#[test]
fn golden_lengths_are_true() {
    for message in FRONTEND.iter().chain(BACKEND) {
        let declared = u32::from_be_bytes(message[1..5].try_into().unwrap());
        assert_eq!(usize::try_from(declared).unwrap() + 1, message.len(), "{}", message.escape_ascii());
    }
}

#[test]
fn every_split_gives_the_same_messages() {
    for (side, stream, count) in sides() {
        let limits = Limits::new(side);
        for split in 0..=stream.len() {
            let (first, second) = stream.split_at(split);
            let mut buffer = BytesMut::from(first);
            let mut frames = Vec::new();
            while let Some(frame) = next_frame(&mut buffer, &limits).unwrap() {
                frames.push(frame.bytes);
            }
            buffer.extend_from_slice(second);
            while let Some(frame) = next_frame(&mut buffer, &limits).unwrap() {
                frames.push(frame.bytes);
            }
            assert_eq!(frames.len(), count);
            assert_eq!(frames.concat(), stream);
            assert!(buffer.is_empty());
        }
    }
}

#[test]
fn scan_finds_what_next_frame_takes() {
    for (side, stream, count) in sides() {
        let limits = Limits::new(side);
        for end in 0..=stream.len() {
            let mut messages = scan(&stream[..end], &limits);
            let found: Vec<_> = messages.by_ref().map(Result::unwrap).collect();
            let mut buffer = BytesMut::from(&stream[..end]);
            for (tag, range) in &found {
                let frame = next_frame(&mut buffer, &limits).unwrap().unwrap();
                assert_eq!((frame.tag, &frame.bytes[..]), (*tag, &stream[range.clone()]));
                assert_eq!(frame.body(), &stream[range.start + HEADER..range.end]);
            }
            assert_eq!(next_frame(&mut buffer, &limits).unwrap(), None);
            assert_eq!(end - messages.consumed(), buffer.len());
            assert!(end < stream.len() || found.len() == count);
        }
    }
}

#[test]
fn tags_of_the_other_side_are_refused_at_once() {
    for byte in 0..=255 {
        for (side, known) in [(Side::Frontend, &b"BCDdcfEHFPpQSX"[..]), (Side::Backend, b"RK23CdcGHWDIEVvnNAtS1sZT")] {
            let result = next_frame(&mut BytesMut::from(&[byte][..]), &Limits::new(side));
            let expected = if known.contains(&byte) { Ok(None) } else { Err(WireError::UnknownTag { tag: byte }) };
            assert_eq!(result, expected);
        }
    }
}

#[test]
fn bad_lengths_are_refused_before_their_bytes_come() {
    let limits = Limits::new(Side::Frontend).whole(100);
    for length in [i32::MIN, -1, 0, 3] {
        let mut buffer = BytesMut::from(&b"Q"[..]);
        buffer.extend_from_slice(&length.to_be_bytes());
        assert_eq!(next_frame(&mut buffer, &limits), Err(WireError::BadLength { tag: b'Q', length }));
        assert_eq!(scan(&buffer, &limits).next(), Some(Err(WireError::BadLength { tag: b'Q', length })));
    }
    for (tag, length, limit) in
        [(b'Q', 101, 100), (b'P', i32::MAX, 100), (b'S', 10_001, 10_000), (b'p', 65_536, 65_535)]
    {
        let mut buffer = BytesMut::from(&[tag][..]);
        buffer.extend_from_slice(&length.to_be_bytes());
        let error = WireError::TooLong { tag, length: length.unsigned_abs(), limit };
        assert_eq!(next_frame(&mut buffer, &limits), Err(error));
        assert_eq!(Deframer::new(limits).next(&mut buffer), Err(error));
        let mut messages = scan(&buffer, &limits);
        assert_eq!((messages.next(), messages.next()), (Some(Err(error)), None));
    }
}

#[test]
fn a_message_of_a_gigabyte_streams_through_a_small_buffer() {
    let declared: u32 = 1 << 30;
    let mut deframer = Deframer::new(Limits::new(Side::Backend));
    let mut buffer = BytesMut::from(&b"D"[..]);
    buffer.extend_from_slice(&declared.to_be_bytes());
    let Some(Piece::Start { tag: b'D', declared_len, bytes }) = deframer.next(&mut buffer).unwrap() else {
        panic!("it did not start");
    };
    assert_eq!((declared_len, bytes.len()), (declared, HEADER));
    let chunk = vec![7; 1 << 20];
    let mut passed = bytes.len();
    loop {
        // the reader goes on into the next message
        let left = usize::try_from(declared).unwrap() + 1 - passed;
        buffer.extend_from_slice(&chunk[..left.min(chunk.len())]);
        if left <= chunk.len() {
            buffer.extend_from_slice(b"Z\0\0\0\x05I");
        }
        match deframer.next(&mut buffer).unwrap().unwrap() {
            Piece::More(bytes) => passed += bytes.len(),
            Piece::End(bytes) => {
                passed += bytes.len();
                break;
            }
            other => panic!("{other:?}"),
        }
        assert!(buffer.is_empty());
    }
    assert_eq!(passed, usize::try_from(declared).unwrap() + 1);
    assert_eq!(deframer.remaining(), 0);
    assert!(matches!(deframer.next(&mut buffer).unwrap(), Some(Piece::Whole(frame)) if frame.tag == b'Z'));
}

#[test]
fn only_long_messages_of_streaming_tags_come_in_pieces() {
    let header = |tag: u8, length: u32| [&[tag][..], &length.to_be_bytes(), b"x"].concat();
    let limits = Limits::new(Side::Frontend).threshold(1000);
    let next = |limits, bytes: &[u8]| Deframer::new(limits).next(&mut BytesMut::from(bytes)).unwrap();
    assert_eq!(next(limits, &header(b'd', 1000)), None);
    assert!(matches!(next(limits, &header(b'd', 1001)), Some(Piece::Start { .. })));
    assert_eq!(next(limits, &header(b'B', 1001)), None);
    assert!(matches!(next(limits.streaming(b'B'), &header(b'B', 1001)), Some(Piece::Start { .. })));
}

#[test]
fn debug_shows_no_contents() {
    let mut buffer = BytesMut::from(&b"Q\0\0\0\x0aSSN12\0"[..]);
    let frame = next_frame(&mut buffer, &Limits::new(Side::Frontend)).unwrap().unwrap();
    let shown = format!("{frame:?} {:?} {:?}", Piece::Whole(frame.clone()), Piece::More(frame.bytes.clone()));
    assert!(!shown.contains("SSN"), "{shown}");
}

/// A stream of copies, some long enough to come in pieces.
fn copies() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let message = (prop_oneof![Just(b'd'), Just(b'D')], prop::collection::vec(any::<u8>(), 0..200));
    prop::collection::vec(message, 0..8).prop_map(|messages| {
        let whole = |(tag, body): (u8, Vec<u8>)| {
            let length = u32::try_from(body.len() + 4).unwrap();
            [&[tag][..], &length.to_be_bytes(), &body].concat()
        };
        messages.into_iter().map(whole).collect()
    })
}

proptest! {
    #[test]
    fn pieces_join_to_what_was_sent(messages in copies(), step in 1usize..300) {
        let stream = messages.concat();
        let mut deframer = Deframer::new(Limits::new(Side::Backend).threshold(64));
        let mut buffer = BytesMut::new();
        let mut joined: Vec<Vec<u8>> = Vec::new();
        for chunk in stream.chunks(step) {
            buffer.extend_from_slice(chunk);
            while let Some(piece) = deframer.next(&mut buffer).unwrap() {
                prop_assert!(!piece.bytes().is_empty());
                if matches!(piece, Piece::Whole(_) | Piece::Start { .. }) {
                    joined.push(Vec::new());
                }
                joined.last_mut().unwrap().extend_from_slice(&piece.into_bytes());
            }
            // what is held back is at most a message below the threshold
            prop_assert!(buffer.len() <= 65);
        }
        prop_assert_eq!(joined, messages);
        prop_assert_eq!(deframer.remaining(), 0);
    }
}
