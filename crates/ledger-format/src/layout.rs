//! Names of the files below the evidence folder.
//!
//! ```text
//! LOCK                        held (flock) by the one writer
//! keys/log.key                signs checkpoints (signed-note key, mode 0600)
//! keys/log.vkey               verifies them: public
//! keys/payload.key            32 bytes in hex, wraps the payloads' keys (mode 0600)
//! journal/0000000000.seg …    the source of truth: every record and payload, in order
//! log/checkpoint              the newest signed checkpoint
//! log/tile/<L>/<N>[.p/<W>]    hashes (C2SP tlog-tiles)
//! log/tile/entries/<N>[.p/<W>] records in bundles of 256
//! checkpoints/<date>.notes    older checkpoints, appended
//! versions/<version>          policies, classifications and configurations that records speak of
//! ```

/// The file that the writer holds locked.
pub const LOCK: &str = "LOCK";
/// The folder of keys.
pub const KEYS: &str = "keys";
/// Signs checkpoints.
pub const LOG_KEY: &str = "keys/log.key";
/// Verifies checkpoints.
pub const LOG_VKEY: &str = "keys/log.vkey";
/// Wraps the keys of payloads.
pub const PAYLOAD_KEY: &str = "keys/payload.key";
/// The folder of segments.
pub const JOURNAL: &str = "journal";
/// The folder of the Merkle log.
pub const LOG: &str = "log";
/// The newest checkpoint.
pub const CHECKPOINT: &str = "log/checkpoint";
/// The folder of older checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";
/// The folder of what decided.
pub const VERSIONS: &str = "versions";
/// How the name of a half-written file ends; the writer renames it when it is whole.
pub const UNFINISHED: &str = ".tmp";

/// The name of a segment in [`JOURNAL`].
pub fn segment(number: u64) -> String {
    format!("{number:010}.seg")
}

/// The number in a segment's name; `None` for any other name.
pub fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let number = digits.parse().ok()?;
    (segment(number) == name).then_some(number)
}

/// The name of what decided by its version, the start of its SHA-256 in hex; `None` where that is no such thing: other
/// words stand for versions too (`none`).
pub fn version(version: &str) -> Option<String> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (version.len() == VERSION && version.bytes().all(hex)).then(|| format!("{VERSIONS}/{version}"))
}

/// Hex digits of a version.
pub const VERSION: usize = 32;

/// The name of the history file of a day (`2026-11-24`) in [`CHECKPOINTS`].
pub fn history(date: &str) -> String {
    format!("{date}.notes")
}

/// Whether this is the name of a history file.
pub fn is_history(name: &str) -> bool {
    name.strip_suffix(".notes").is_some_and(|date| {
        date.len() == 10
            && date.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_strictly() {
        assert_eq!(segment_number(&segment(42)), Some(42));
        for bad in ["42.seg", "00000000042.seg", "0000000042", "+000000042.seg", "0000000042.seg.tmp"] {
            assert_eq!(segment_number(bad), None, "{bad}");
        }
        assert!(is_history(&history("2026-11-24")));
        assert!(!is_history("2026-11-24.notes.tmp") && !is_history("20261124.notes"));
    }
}
