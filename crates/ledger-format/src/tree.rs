//! The Merkle tree over the records: RFC 6962 hashing in the tiles of C2SP `tlog-tiles` (height 8).

use tlog_tiles::{Error, Hash, HashReader, Tile, record_hash, split_stored_hash_index, tree_hash};

/// Hashes in a full tile, records in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// log2 of [`TILE_WIDTH`].
const TILE_HEIGHT: u8 = 8;
/// Bytes of a hash.
pub const HASH_SIZE: usize = tlog_tiles::HASH_SIZE;

/// The hash of a record as a leaf.
pub fn leaf(record: &[u8]) -> Hash {
    record_hash(record)
}

/// The tree, as the hashes in its tiles.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    size: u64,
    /// `levels[0]` are leaves, `levels[n]` roots of 256 of `levels[n - 1]`.
    levels: Vec<Level>,
}

#[derive(Debug, Clone, Default)]
struct Level {
    /// Hashes that were dropped from the front of `data`; a multiple of 256.
    dropped: u64,
    data: Vec<u8>,
}

impl Level {
    fn get(&self, from: u64, to: u64) -> Option<&[u8]> {
        let bytes = |n: u64| usize::try_from(n.checked_sub(self.dropped)?).ok()?.checked_mul(HASH_SIZE);
        self.data.get(bytes(from)?..bytes(to)?)
    }

    fn len(&self) -> u64 {
        self.dropped + (self.data.len() / HASH_SIZE) as u64
    }
}

impl Tree {
    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Level::default());
            }
            let Some(here) = self.levels.get_mut(level) else { return };
            here.data.extend_from_slice(&hash.0);
            let len = here.len();
            if !len.is_multiple_of(TILE_WIDTH) {
                return;
            }
            let Some(full) = here.get(len - TILE_WIDTH, len) else { return };
            hash = Tile::subtree_hash(full);
        }
    }

    /// The root over the first `size` leaves. `None` when there are fewer, or when hashes that it needs were
    /// dropped by [`Tree::forget_full_tiles`].
    pub fn root(&self, size: u64) -> Option<Hash> {
        if size > self.size {
            return None;
        }
        tree_hash(size, self).ok()
    }

    /// The hash of one leaf; `None` where there is none, or it was dropped.
    pub fn leaf(&self, index: u64) -> Option<Hash> {
        let bytes = self.levels.first()?.get(index, index.checked_add(1)?)?;
        bytes.try_into().ok().map(Hash)
    }

    /// The content of a hash tile with its first `width` hashes.
    pub fn tile(&self, level: u8, number: u64, width: u64) -> Option<&[u8]> {
        let from = number.checked_mul(TILE_WIDTH)?;
        self.levels.get(usize::from(level))?.get(from, from.checked_add(width)?)
    }

    /// The tiles that a log of the first `size` leaves publishes: every full one and at most one partial one a level,
    /// in order of level and number. Of full ones only those from number `from(level)` on.
    pub fn tiles(size: u64, from: impl Fn(u8) -> u64) -> Vec<TileName> {
        let mut tiles = Vec::new();
        let mut len = size;
        let mut level = 0;
        while len > 0 {
            for number in from(level)..len / TILE_WIDTH {
                tiles.push(TileName { level: Some(level), number, width: TILE_WIDTH });
            }
            if !len.is_multiple_of(TILE_WIDTH) {
                tiles.push(TileName { level: Some(level), number: len / TILE_WIDTH, width: len % TILE_WIDTH });
            }
            len /= TILE_WIDTH;
            level += 1;
        }
        tiles
    }

    /// Drops the hashes of full tiles: enough is left to go on and to compute the root over all leaves.
    pub fn forget_full_tiles(&mut self) {
        for level in &mut self.levels {
            let full = level.len() / TILE_WIDTH * TILE_WIDTH;
            let bytes = usize::try_from(full - level.dropped).unwrap_or(0) * HASH_SIZE;
            level.data.drain(..bytes.min(level.data.len()));
            level.dropped = full;
        }
    }
}

impl HashReader for Tree {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        indexes
            .iter()
            .map(|&index| {
                let (level, n) = split_stored_hash_index(index);
                let (tile_level, height) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
                let from = n << height;
                self.levels
                    .get(usize::from(tile_level))
                    .and_then(|level| level.get(from, from + (1 << height)))
                    .map(Tile::subtree_hash)
                    .ok_or(Error::IndexesNotInTree)
            })
            .collect()
    }
}

/// The name of a tile or a bundle of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileName {
    /// The level of a hash tile; `None` for a bundle of entries.
    pub level: Option<u8>,
    /// Its number in the level.
    pub number: u64,
    /// How many hashes or entries it holds: 256, or 1 to 255 for a partial one.
    pub width: u64,
}

impl TileName {
    /// The bundle that goes with a level-0 tile.
    pub fn entries(number: u64, width: u64) -> Self {
        TileName { level: None, number, width }
    }

    /// Its path below [`crate::layout::LOG`] (C2SP `tlog-tiles`, "Merkle tree"): `tile/0/x001/067.p/8`.
    pub fn path(&self) -> String {
        let mut path = match self.level {
            Some(level) => format!("tile/{level}/"),
            None => "tile/entries/".to_owned(),
        };
        let digits = self.number.to_string();
        let padded = format!("{digits:0>width$}", width = digits.len().div_ceil(3) * 3);
        for (i, digit) in padded.chars().enumerate() {
            if i.is_multiple_of(3) {
                if i > 0 {
                    path.push('/');
                }
                if padded.len() - i > 3 {
                    path.push('x');
                }
            }
            path.push(digit);
        }
        if self.width != TILE_WIDTH {
            path.push_str(&format!(".p/{}", self.width));
        }
        path
    }

    /// From a path as [`TileName::path`] writes it; `None` for any other.
    pub fn from_path(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("tile/")?;
        let (level, rest) = rest.split_once('/')?;
        let level = match level {
            "entries" => None,
            digits => Some(digits.parse().ok()?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().ok()?),
            None => (rest, TILE_WIDTH),
        };
        let number = number.replace(['/', 'x'], "").parse().ok()?;
        let name = TileName { level, number, width };
        (width > 0 && width <= TILE_WIDTH && name.path() == path).then_some(name)
    }
}

/// Appends a record to a bundle of entries: its length in two bytes, big-endian, and its bytes. `false` when it is
/// too long for that.
#[must_use]
pub fn push_entry(bundle: &mut Vec<u8>, record: &[u8]) -> bool {
    let Ok(length) = u16::try_from(record.len()) else { return false };
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(record);
    true
}

/// The records of a bundle; `None` when it does not end with one.
pub fn entries(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut records = Vec::new();
    while !bundle.is_empty() {
        let (length, rest) = bundle.split_first_chunk::<2>()?;
        let (record, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        records.push(record);
        bundle = rest;
    }
    Some(records)
}

#[cfg(test)]
mod tests {
    use tlog_tiles::{EMPTY_HASH, node_hash};

    use super::*;

    /// RFC 6962, section 2.1, word for word.
    fn definition(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => EMPTY_HASH,
            1 => leaves[0],
            n => {
                let k = (n - 1).ilog2();
                let (left, right) = leaves.split_at(1 << k);
                node_hash(definition(left), definition(right))
            }
        }
    }

    #[test]
    fn roots_are_those_of_the_definition() {
        let mut tree = Tree::default();
        let mut pruned = Tree::default();
        let mut leaves = Vec::new();
        assert_eq!(tree.root(0), Some(EMPTY_HASH));
        for i in 0..70_000u32 {
            let hash = leaf(&i.to_be_bytes());
            leaves.push(hash);
            tree.push(hash);
            pruned.push(hash);
            if i < 600 || i % 19_973 == 0 || (65_534..65_538).contains(&i) {
                let size = u64::from(i) + 1;
                let root = definition(&leaves);
                assert_eq!(tree.root(size), Some(root), "{size}");
                assert_eq!(pruned.root(size), Some(root), "{size} pruned");
                pruned.forget_full_tiles();
                assert_eq!(pruned.root(size), Some(root), "{size} pruned again");
            }
        }
        for size in [1, 255, 256, 257, 4096, 65_536, 65_537, 69_999] {
            assert_eq!(tree.root(size), Some(definition(&leaves[..size as usize])), "{size}");
        }
        assert_eq!(tree.root(70_001), None);
        assert_eq!(pruned.root(100), None);
        assert_eq!(tree.leaf(69_999), Some(leaves[69_999]));
    }

    #[test]
    fn tile_paths() {
        let path = |level, number, width| TileName { level, number, width }.path();
        assert_eq!(path(Some(0), 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(path(Some(2), 0, 1), "tile/2/000.p/1");
        assert_eq!(path(None, 1000, 255), "tile/entries/x001/000.p/255");
        for name in [
            TileName { level: Some(0), number: 999, width: 256 },
            TileName { level: Some(5), number: 1_000_000_000, width: 9 },
            TileName::entries(0, 256),
        ] {
            assert_eq!(TileName::from_path(&name.path()), Some(name));
        }
        for bad in ["tile/0/1", "tile/0/x000/001", "tile/0/001.p/256", "tile/0/001.p/0", "tile/00/001", "tile/0/001/"] {
            assert_eq!(TileName::from_path(bad), None, "{bad}");
        }
    }

    #[test]
    fn published_tiles() {
        let names: Vec<_> = Tree::tiles(256 * 256 + 3, |_| 255).iter().map(TileName::path).collect();
        assert_eq!(names, ["tile/0/255", "tile/0/256.p/3", "tile/2/000.p/1"]);
        let names: Vec<_> = Tree::tiles(257, |_| 0).iter().map(TileName::path).collect();
        assert_eq!(names, ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]);
    }

    #[test]
    fn bundles_round_trip_and_refuse_a_cut() {
        let mut bundle = Vec::new();
        assert!(push_entry(&mut bundle, b"one") && push_entry(&mut bundle, b""));
        assert!(!push_entry(&mut Vec::new(), &[0; 65_536]));
        assert_eq!(entries(&bundle), Some(vec![&b"one"[..], b""]));
        assert_eq!(entries(&bundle[..bundle.len() - 1]), None);
    }
}
