//! Releases of the server in which a role can read what it may not: planner statistics of columns, which are values, or
//! memory, in which values lie, past every mask and privilege (CVE-2017-7484, CVE-2019-10130 and those below).

/// A flaw, and the minor release of each maintained major one that has its fix.
struct Flaw {
    does: &'static str,
    cve: &'static str,
    fixed: &'static [(u32, u32)],
}

const STATISTICS: &str = "shows planner statistics to those who may not read the data";

/// Oldest first; a fix includes those before it. A major release that is not listed was never without the fix.
const FLAWS: [Flaw; 4] = [
    Flaw { does: STATISTICS, cve: "CVE-2024-4317", fixed: &[(14, 12), (15, 7), (16, 3)] },
    Flaw { does: STATISTICS, cve: "CVE-2025-8713", fixed: &[(14, 19), (15, 14), (16, 10), (17, 6)] },
    Flaw {
        does: "shows bytes of its memory",
        cve: "CVE-2026-2003",
        fixed: &[(14, 21), (15, 16), (16, 12), (17, 8), (18, 2)],
    },
    Flaw {
        does: "lets any role overwrite its memory",
        cve: "CVE-2026-6473",
        fixed: &[(14, 23), (15, 18), (16, 14), (17, 10), (18, 4)],
    },
];

/// Major releases that are known here.
const KNOWN: std::ops::RangeInclusive<u32> = 14..=18;

/// What is wrong with a release, by its `server_version_num`; `None` where nothing is known to be. A major release that is
/// newer than these is not an old one.
pub fn old_server(version: u32) -> Option<String> {
    let (major, minor) = (version / 10_000, version % 10_000);
    if major < *KNOWN.start() {
        return Some(format!("PostgreSQL {major} is no longer maintained; update to a supported release"));
    }
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut update = minor;
    for flaw in &FLAWS {
        let Some((_, fixed)) = flaw.fixed.iter().find(|(known, fixed)| *known == major && minor < *fixed) else {
            continue;
        };
        update = update.max(*fixed);
        match found.last_mut().filter(|(does, _)| *does == flaw.does) {
            Some((_, cves)) => cves.push(flaw.cve),
            None => found.push((flaw.does, vec![flaw.cve])),
        }
    }
    let found: Vec<String> = found.into_iter().map(|(does, cves)| format!("{does} ({})", cves.join(", "))).collect();
    (!found.is_empty())
        .then(|| format!("PostgreSQL {major}.{minor} {}; update to {major}.{update} or later", found.join(", ")))
}

/// Whether a major release is newer than what this one was tested with.
pub(crate) fn is_untested(version: u32) -> bool {
    version / 10_000 > *KNOWN.end()
}

/// `server_version_num` from the text that a server greets with: `15.14 (Debian 15.14-1)`, `18beta1`, `9.6.24`.
pub fn server_version_num(text: &str) -> Option<u32> {
    let number = text.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let mut parts = number.split('.').map(|part| part.parse::<u32>().ok().filter(|part| *part < 10_000));
    let major = parts.next()??;
    let minor = parts.next().unwrap_or(Some(0))?;
    if major >= 10 {
        return Some(major * 10_000 + minor);
    }
    Some(major * 10_000 + minor * 100 + parts.next().unwrap_or(Some(0))?)
}

#[cfg(test)]
mod tests {
    use super::{old_server, server_version_num};

    #[test]
    fn releases_without_the_fixes() {
        for (text, says) in [
            (
                "15.13 (Debian 15.13-0+deb12u1)",
                Some(
                    "15.13 shows planner statistics to those who may not read the data (CVE-2025-8713), shows bytes of \
                     its memory (CVE-2026-2003), lets any role overwrite its memory (CVE-2026-6473); update to 15.18 or",
                ),
            ),
            ("15.6", Some("(CVE-2024-4317, CVE-2025-8713), ")),
            ("17.0", Some("the data (CVE-2025-8713), ")),
            ("17.6", Some("17.6 shows bytes of its memory (CVE-2026-2003), ")),
            ("18.0", Some("18.0 shows bytes of its memory (CVE-2026-2003), ")),
            ("16.12", Some("16.12 lets any role overwrite its memory (CVE-2026-6473); update to 16.14")),
            ("13.22", Some("no longer maintained")),
            ("9.6.24", Some("PostgreSQL 9 is no longer maintained")),
            ("14.23", None),
            ("16.14", None),
            ("17.10", None),
            ("18.4", None),
            ("15.18 (Debian 15.18-0+deb12u1)", None),
            ("18beta1", Some("update to 18.4")),
            ("19.1", None),
        ] {
            let old = old_server(server_version_num(text).unwrap());
            assert_eq!(old.is_some(), says.is_some(), "{text}");
            assert!(old.is_none_or(|old| old.contains(says.unwrap())), "{text}");
        }
        for text in ["", "devel", "99999.1", "15.x.1.99999999999"] {
            assert!(server_version_num(text).is_none_or(|version| version == 150_000), "{text}");
        }
    }
}
