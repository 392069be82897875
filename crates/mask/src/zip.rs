//! ZIP codes of sparsely populated areas.

/// Version of [`SPARSE_ZIP3`].
pub const ZIP3_VERSION: &str = "2026-11 (HHS guidance on Census 2000, with 205 and 369 of Census 2010)";

/// Three-digit ZIP prefixes whose area holds 20,000 people or fewer: shown as `000` (45 CFR 164.514(b)(2)(i)(B)).
///
/// The 17 of the HHS guidance of 2012, which stands on Census 2000, and two more that a list on Census 2010 has: the
/// rule speaks of current data, so what either census finds sparse is hidden.
pub const SPARSE_ZIP3: [&str; 19] = [
    "036", "059", "063", "102", "203", "205", "369", "556", "692", "790", "821", "823", "830", "831", "878", "879",
    "884", "890", "893",
];
