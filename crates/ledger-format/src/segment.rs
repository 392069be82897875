//! A journal segment: a header, frames back to back, then zeros to the end of the file.
//!
//! ```text
//! header  "CHPJRNL1" · number u64 · index of its first record u64 · size of the file u64 · CRC-32C of those 32
//!         bytes u32 · 0 u32
//! frame   length of kind and body u32 · CRC-32C of length, kind and body u32 · kind u8 · body
//! ```
//! All integers are little-endian. A frame of length 0 is the end. Frames never span segments.

/// Bytes of a segment's header.
pub const HEADER: usize = 40;
/// Bytes of a frame before its kind.
pub const FRAME_HEAD: usize = 8;
/// The longest kind and body of a frame: more than the longest sealed payload.
pub const MAX_FRAME: usize = 33 << 20;

const MAGIC: &[u8; 8] = b"CHPJRNL1";

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A record's bytes.
    Record,
    /// A sealed payload; the record that it belongs to is the next frame.
    Payload,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Kind::Record => 1,
            Kind::Payload => 2,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Kind::Record),
            2 => Some(Kind::Payload),
            _ => None,
        }
    }
}

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// As in the file's name.
    pub number: u64,
    /// The index of the first record in it.
    pub first_record: u64,
    /// Bytes of the file, from its beginning: so that no zero can be cut off its end unseen.
    pub size: u64,
}

impl Header {
    /// As on disk.
    pub fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_record.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.size.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..32]);
        bytes[32..36].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// From the start of a segment; `None` when it is not a header as [`Header::to_bytes`] writes it.
    pub fn from_bytes(segment: &[u8]) -> Option<Self> {
        let bytes = segment.first_chunk::<HEADER>()?;
        let header = Header { number: u64_at(bytes, 8)?, first_record: u64_at(bytes, 16)?, size: u64_at(bytes, 24)? };
        (header.to_bytes() == *bytes).then_some(header)
    }
}

/// Appends a frame with a body in parts to `out`.
pub fn push_frame(out: &mut Vec<u8>, kind: Kind, body: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD]);
    out.push(kind.byte());
    out.extend_from_slice(body);
    seal_frame(out, start);
}

/// Fills in the head of the frame that starts at `start` and ends with `out`: for bodies written in place.
pub fn seal_frame(out: &mut [u8], start: usize) {
    let Some(frame) = out.get_mut(start..) else { return };
    let Some((head, rest)) = frame.split_at_mut_checked(FRAME_HEAD) else { return };
    let length = u32::try_from(rest.len()).unwrap_or(u32::MAX).to_le_bytes();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&length), rest);
    let (l, c) = head.split_at_mut(4);
    l.copy_from_slice(&length);
    c.copy_from_slice(&crc.to_le_bytes());
}

/// Starts a frame whose body the caller appends; returns where it starts, for [`seal_frame`].
pub fn begin_frame(out: &mut Vec<u8>, kind: Kind) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD]);
    out.push(kind.byte());
    start
}

/// A frame in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it holds.
    pub kind: Kind,
    /// Its content.
    pub body: &'a [u8],
    /// Where it starts in the segment.
    pub at: usize,
}

/// What comes at a place in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'a> {
    /// A whole frame.
    Frame(Frame<'a>),
    /// Zeros to the end of the segment, or no room for a frame.
    End,
    /// Something that is neither: a torn write or a change.
    Broken,
}

/// Reads the frames of a segment in order.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    segment: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    /// The frames of `segment`, whose first bytes are a header.
    pub fn new(segment: &'a [u8]) -> Self {
        Frames { segment, at: HEADER }
    }

    /// Where the next frame starts, which is the end of the last whole one.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// What comes next. After [`Next::End`] and [`Next::Broken`] it stays there.
    pub fn next_frame(&mut self) -> Next<'a> {
        let rest = self.segment.get(self.at..).unwrap_or_default();
        match parse(rest) {
            Some((kind, body)) => {
                let frame = Frame { kind, body, at: self.at };
                self.at += FRAME_HEAD + 1 + body.len();
                Next::Frame(frame)
            }
            None if is_zero(rest) => Next::End,
            None => Next::Broken,
        }
    }
}

/// Whether there is nothing but zeros. A segment reserves its room, so most of it is looked at here each time that a log
/// is opened: in blocks, which the processor compares faster than a loop over bytes.
pub fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    let (blocks, rest) = bytes.as_chunks::<{ ZEROS.len() }>();
    blocks.iter().all(|block| *block == ZEROS) && rest.iter().all(|&byte| byte == 0)
}

fn parse(rest: &[u8]) -> Option<(Kind, &[u8])> {
    let (head, tail) = rest.split_first_chunk::<FRAME_HEAD>()?;
    let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
    let length = [l0, l1, l2, l3];
    let size = usize::try_from(u32::from_le_bytes(length)).ok()?;
    if size == 0 || size > MAX_FRAME {
        return None;
    }
    let content = tail.get(..size)?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&length), content);
    if crc != u32::from_le_bytes([c0, c1, c2, c3]) {
        return None;
    }
    let (kind, body) = content.split_first()?;
    Some((Kind::from_byte(*kind)?, body))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> Vec<u8> {
        let mut bytes = Header { number: 3, first_record: 77, size: 200 }.to_bytes().to_vec();
        push_frame(&mut bytes, Kind::Payload, b"sealed");
        push_frame(&mut bytes, Kind::Record, b"{}");
        bytes.resize(200, 0);
        bytes
    }

    #[test]
    fn golden_bytes() {
        let bytes = segment();
        assert_eq!(&bytes[..8], b"CHPJRNL1");
        assert_eq!(&bytes[8..24], [3, 0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[40..44], [7, 0, 0, 0]);
        assert_eq!(&bytes[48..55], b"\x02sealed");
        assert_eq!(Header::from_bytes(&bytes), Some(Header { number: 3, first_record: 77, size: 200 }));
        let mut frames = Frames::new(&bytes);
        assert_eq!(frames.next_frame(), Next::Frame(Frame { kind: Kind::Payload, body: b"sealed", at: 40 }));
        assert_eq!(frames.next_frame(), Next::Frame(Frame { kind: Kind::Record, body: b"{}", at: 55 }));
        assert_eq!(frames.next_frame(), Next::End);
        assert_eq!(frames.next_frame(), Next::End);
    }

    #[test]
    fn no_byte_can_change_unseen() {
        let good = segment();
        let read = |bytes: &[u8]| {
            let mut frames = Frames::new(bytes);
            let mut found = Vec::new();
            loop {
                match frames.next_frame() {
                    Next::Frame(f) => found.push((f.kind.byte(), f.body.to_vec())),
                    Next::End => return (Header::from_bytes(bytes), found, true),
                    Next::Broken => return (Header::from_bytes(bytes), found, false),
                }
            }
        };
        let was = read(&good);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert_ne!(read(&bad), was, "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn cut_anywhere_gives_only_whole_frames() {
        let good = segment();
        for len in 0..good.len() {
            let mut frames = Frames::new(&good[..len]);
            let mut count = 0;
            while let Next::Frame(_) = frames.next_frame() {
                count += 1;
            }
            assert_eq!(count, if len >= 66 { 2 } else { usize::from(len >= 55) }, "cut at {len}");
        }
    }
}
