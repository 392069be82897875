//! Releases of the server in which a role can read planner statistics of columns that it may not read: the values
//! themselves, past every mask and privilege (CVE-2017-7484, CVE-2019-10130, CVE-2024-4317, CVE-2025-8713).

/// Maintained major releases, and the minor one that has the last of these fixes (August 2025), which includes the
/// earlier ones. Releases from 18 on were never without.
const PATCHED: [(u32, u32); 5] = [(14, 19), (15, 14), (16, 10), (17, 6), (18, 0)];

/// The same for CVE-2024-4317 (May 2024); 17 was never without.
const PATCHED_2024: [(u32, u32); 3] = [(14, 12), (15, 7), (16, 3)];

/// What is wrong with a release, by its `server_version_num`; `None` where nothing is known to be. A major release that is
/// newer than these is not an old one.
pub fn old_server(version: u32) -> Option<String> {
    let (major, minor) = (version / 10_000, version % 10_000);
    let older_than = |list: &[(u32, u32)]| list.iter().any(|(known, patched)| *known == major && minor < *patched);
    match PATCHED.iter().find(|(known, _)| *known == major) {
        Some((_, patched)) if older_than(&PATCHED) => {
            let both = if older_than(&PATCHED_2024) { "CVE-2024-4317, CVE-2025-8713" } else { "CVE-2025-8713" };
            Some(format!(
                "PostgreSQL {major}.{minor} shows planner statistics to those who may not read the data ({both}); update \
                 to {major}.{patched} or later"
            ))
        }
        None if major < 14 => {
            Some(format!("PostgreSQL {major} is no longer maintained; update to a supported release"))
        }
        _ => None,
    }
}

/// Whether a major release is newer than what this one was tested with.
pub(crate) fn is_untested(version: u32) -> bool {
    PATCHED.iter().all(|(known, _)| *known < version / 10_000)
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
            ("15.13 (Debian 15.13-0+deb12u1)", Some("(CVE-2025-8713); update to 15.14")),
            ("15.6", Some("(CVE-2024-4317, CVE-2025-8713); update to 15.14")),
            ("17.0", Some("(CVE-2025-8713); update to 17.6")),
            ("13.22", Some("no longer maintained")),
            ("9.6.24", Some("PostgreSQL 9 is no longer maintained")),
            ("14.19", None),
            ("15.18 (Debian 15.18-0+deb12u1)", None),
            ("18beta1", None),
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
