//! The journal: segments that are written in order, never changed.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chaperone_ledger_format::layout;
use chaperone_ledger_format::segment::{HEADER, Header};
use rustix::fs::{FallocateFlags, fallocate};

use crate::LedgerError;
use crate::folder::sync_folder;
use crate::queue::Item;

/// Zeros written after a small record, for those that follow it to overwrite. What `fallocate` reserved is "unwritten":
/// the first write of each block changes the file's metadata, which makes `fdatasync` wait for the filesystem's own
/// journal too. Over blocks that were written it takes a third less time (ext4).
const AHEAD: usize = 256 << 10;

/// The segment that is written, and where.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    number: u64,
    /// The segment's size, and that of the next.
    capacity: u64,
    segment_size: u64,
    /// Where the next frame goes.
    offset: u64,
    /// Up to here blocks were written, if only with zeros.
    written: u64,
    /// The index of the next record.
    next_record: u64,
    buffer: Vec<u8>,
}

impl Journal {
    /// The first segment of a new journal.
    pub(crate) fn create(folder: PathBuf, segment_size: u64) -> Result<Self, LedgerError> {
        let header = Header { number: 0, first_record: 0, size: segment_size };
        let (path, file) = create_segment(&folder, header)?;
        let offset = HEADER as u64;
        Ok(Journal {
            folder,
            path,
            file,
            number: 0,
            capacity: segment_size,
            segment_size,
            offset,
            written: offset,
            next_record: 0,
            buffer: Vec::new(),
        })
    }

    /// Goes on in an existing segment, which holds whole frames up to `offset` and zeros after that.
    pub(crate) fn resume(
        folder: PathBuf,
        number: u64,
        offset: u64,
        next_record: u64,
        segment_size: u64,
    ) -> Result<Self, LedgerError> {
        let path = folder.join(layout::segment(number));
        let file = OpenOptions::new().write(true).open(&path).map_err(LedgerError::io("open", &path))?;
        let capacity = file.metadata().map_err(LedgerError::io("read", &path))?.len();
        Ok(Journal {
            folder,
            path,
            file,
            number,
            capacity,
            segment_size,
            offset,
            written: offset,
            next_record,
            buffer: Vec::new(),
        })
    }

    /// Writes items in order and makes them durable: one `fdatasync`, one more for each segment that they fill.
    pub(crate) fn append<'a>(&mut self, items: impl IntoIterator<Item = &'a Item>) -> Result<(), LedgerError> {
        for item in items {
            let size = item.frames.len() as u64;
            if self.offset + self.buffer.len() as u64 + size > self.capacity {
                // a segment is durable before there is a next one: only the last can have a torn end
                self.flush()?;
                self.roll(size)?;
            }
            self.buffer.extend_from_slice(&item.frames);
            self.next_record += 1;
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), LedgerError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let size = self.buffer.len();
        let end = self.offset + size as u64;
        if end > self.written {
            if size < AHEAD / 4 {
                let room = usize::try_from(self.capacity.saturating_sub(end)).unwrap_or(AHEAD);
                self.buffer.resize(size + room.min(AHEAD), 0);
            }
            self.written = self.offset + self.buffer.len() as u64;
        }
        self.file.write_all_at(&self.buffer, self.offset).map_err(LedgerError::io("write", &self.path))?;
        // stopped here: whole frames and perhaps a torn one, of which nobody was told; `recover` keeps the whole ones
        self.file.sync_data().map_err(LedgerError::io("sync", &self.path))?;
        self.offset = end;
        self.buffer.clear();
        self.buffer.shrink_to(4 << 20);
        Ok(())
    }

    fn roll(&mut self, at_least: u64) -> Result<(), LedgerError> {
        let capacity = self.segment_size.max(at_least + HEADER as u64);
        let header = Header { number: self.number + 1, first_record: self.next_record, size: capacity };
        (self.path, self.file) = create_segment(&self.folder, header)?;
        self.number = header.number;
        self.capacity = capacity;
        self.offset = HEADER as u64;
        self.written = self.offset;
        Ok(())
    }
}

/// Makes a segment full of zeros after its header. It gets its name when it is whole.
fn create_segment(folder: &Path, header: Header) -> Result<(PathBuf, File), LedgerError> {
    let path = folder.join(layout::segment(header.number));
    let unfinished = folder.join(layout::segment(header.number) + layout::UNFINISHED);
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(LedgerError::io("create", &unfinished))?;
    match fallocate(&file, FallocateFlags::empty(), 0, header.size) {
        Ok(()) => {}
        // a filesystem that cannot reserve space: a full disk is found when it is written then
        Err(rustix::io::Errno::OPNOTSUPP) => {
            file.set_len(header.size).map_err(LedgerError::io("extend", &unfinished))?;
        }
        Err(errno) => return Err(LedgerError::io("reserve space for", &unfinished)(errno.into())),
    }
    file.write_all_at(&header.to_bytes(), 0).map_err(LedgerError::io("write", &unfinished))?;
    file.sync_all().map_err(LedgerError::io("sync", &unfinished))?;
    // stopped here: a file that is no segment yet, which `recover` removes
    fs::rename(&unfinished, &path).map_err(LedgerError::io("rename", &unfinished))?;
    sync_folder(folder)?;
    Ok((path, file))
}
