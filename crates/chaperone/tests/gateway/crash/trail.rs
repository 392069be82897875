//! Follows a journal while its writers come and go: each record is read once, in the place where it was found first.
//!
//! So it also notices when a recovery takes back what was there: the records after the place would not fit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use chaperone_evidence::CloseReason;
use chaperone_evidence::record::{Body, Record};
use chaperone_ledger_format::checkpoint::Verifier;
use chaperone_ledger_format::layout;
use chaperone_ledger_format::payload::{PayloadKey, SessionKey};
use chaperone_ledger_format::segment::{Frames, HEADER, Header, Kind, Next};

/// What is on record of a session.
pub struct Recorded {
    pub peer: String,
    key: SessionKey,
    next: u64,
    pub received: Vec<u8>,
    pub answered: Vec<u8>,
    pub closed: Option<CloseReason>,
}

/// The journal up to the last whole record.
pub struct Trail {
    dir: PathBuf,
    vkey: String,
    origin: String,
    key: PayloadKey,
    segment: u64,
    offset: usize,
    pub records: u64,
    pub sessions: BTreeMap<String, Recorded>,
    /// Marks in `received` records that have a statement.
    pub decided: BTreeSet<String>,
}

impl Trail {
    /// From the start of the log in a folder that a gateway has opened.
    pub fn new(dir: &Path) -> Self {
        let text = |name| fs::read_to_string(dir.join(name)).unwrap();
        let vkey = text(layout::LOG_VKEY);
        Trail {
            dir: dir.to_owned(),
            origin: Verifier::new(&vkey).unwrap().origin().to_owned(),
            vkey,
            key: PayloadKey::from_text(&text(layout::PAYLOAD_KEY)).unwrap(),
            segment: 0,
            offset: HEADER,
            records: 0,
            sessions: BTreeMap::new(),
            decided: BTreeSet::new(),
        }
    }

    /// Reads what is new.
    pub fn follow(&mut self) {
        loop {
            let path = |number| self.dir.join(layout::JOURNAL).join(layout::segment(number));
            let there_is_a_next = path(self.segment + 1).exists();
            let bytes = fs::read(path(self.segment)).unwrap();
            let header = Header::from_bytes(&bytes).unwrap();
            assert_eq!((header.number, header.size), (self.segment, bytes.len() as u64));
            let whole = self.frames(without_room(&bytes));
            if !there_is_a_next {
                return;
            }
            assert!(whole, "segment {} is torn, and there is a next one", self.segment);
            (self.segment, self.offset) = (self.segment + 1, HEADER);
        }
    }

    /// Returns whether the frames end with a record.
    fn frames(&mut self, bytes: &[u8]) -> bool {
        let base = self.offset - HEADER;
        let mut frames = Frames::new(bytes.get(base..).unwrap_or_default());
        let mut payload = None;
        loop {
            match frames.next_frame() {
                Next::Frame(frame) if frame.kind == Kind::Payload => {
                    assert!(payload.replace(frame.body).is_none(), "a payload without a record");
                }
                Next::Frame(frame) => {
                    self.record(Record::parse(frame.body).unwrap(), payload.take());
                    self.records += 1;
                    self.offset = base + frames.offset();
                }
                Next::End => return payload.is_none(),
                Next::Broken => return false,
            }
        }
    }

    fn record(&mut self, record: Record, frame: Option<&[u8]>) {
        let Record { place: Some(place), body, time: _ } = record else { return };
        if let Body::SessionOpened(opened) = &body {
            let key = self.key.session(&self.origin, &place.session).unwrap();
            let session = Recorded {
                peer: opened.peer.clone(),
                key,
                next: 0,
                received: Vec::new(),
                answered: Vec::new(),
                closed: None,
            };
            assert!(self.sessions.insert(place.session.clone(), session).is_none());
        }
        let session = self.sessions.get_mut(&place.session).expect("a session that was opened");
        assert_eq!(session.next, place.seq, "session {}", place.session);
        assert_eq!(session.closed, None, "session {}", place.session);
        session.next += 1;
        let bytes = match (body.payload(), frame) {
            (Some(reference), Some(frame)) => session.key.open(frame, place.seq, reference).unwrap().bytes,
            (None, None) => Vec::new(),
            (Some(_), None) | (None, Some(_)) => panic!("a record and a payload that do not belong together"),
        };
        match body {
            Body::Received(received) => {
                assert_eq!(received.input.from, session.received.len() as u64);
                session.received.extend_from_slice(&bytes);
                assert_eq!(received.input.to, session.received.len() as u64);
                if !received.statements.is_empty() {
                    self.decided.extend(marks(&bytes));
                }
            }
            Body::Answered(answered) => {
                assert_eq!(answered.output.from, session.answered.len() as u64);
                session.answered.extend_from_slice(&bytes);
                assert_eq!(answered.output.to, session.answered.len() as u64);
            }
            Body::SessionClosed(closed) => session.closed = Some(closed.reason),
            other => assert!(matches!(other, Body::SessionOpened(_)), "{} is not expected here", other.kind()),
        }
    }

    /// The ids of sessions that have no end.
    pub fn open_sessions(&self) -> Vec<String> {
        self.sessions.iter().filter(|(_, session)| session.closed.is_none()).map(|(id, _)| id.clone()).collect()
    }

    /// Lets go of what was looked at.
    pub fn forget(&mut self) {
        self.sessions.clear();
        self.decided.clear();
    }

    /// What the verifier says of the folder as it is.
    pub fn verify(&self) -> chaperone_verify::Report {
        chaperone_verify::verify(&self.dir, self.vkey.trim(), Some(&self.key))
    }
}

/// A segment without most of the zeros that keep its room.
fn without_room(mut bytes: &[u8]) -> &[u8] {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    while let Some(rest) = bytes.strip_suffix(&ZEROS) {
        bytes = rest;
    }
    bytes
}

/// The marks in a stream: `<…>`, as the clients write them.
pub fn marks(stream: &[u8]) -> Vec<String> {
    let pieces = stream.split(|&byte| byte == b'<').skip(1);
    pieces
        .filter_map(|piece| piece.split_at_checked(piece.iter().take(40).position(|&byte| byte == b'>')?))
        .map(|(mark, _)| format!("<{}>", String::from_utf8_lossy(mark)))
        .collect()
}
