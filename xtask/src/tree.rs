//! What must not stand in a tracked file: the host of a package registry, or a path that only one machine has.
//!
//! Which registry or mirror is used is the business of each machine's own configuration.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Hosts of registries and of their mirrors, without the prefixes that vary.
const REGISTRIES: [&str; 14] = [
    "crates.io/",
    "static.crates.io",
    "index.crates.io",
    "pypi.org",
    "pythonhosted.org",
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "proxy.golang.org",
    "sum.golang.org",
    "repo1.maven.org",
    "repo.maven.apache.org",
    "deb.debian.org",
    "security.debian.org",
    "archive.ubuntu.com",
];

/// Folders of somebody's machine.
const MACHINES: [&str; 5] = ["/home/", "/root/", "/Users/", "/work/", "/workspace/"];

/// This file names them all.
const SELF: &str = "xtask/src/tree.rs";

/// The one address that cargo writes itself, into its lock file: the name of its default registry, not where it is.
const CARGO_DEFAULT: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn check() -> Result<Vec<String>> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let top = Path::new(top.trim());
    let mut faults = Vec::new();
    for name in git(&["ls-files", "-z", ":/"])?.split('\0').filter(|name| !name.is_empty() && *name != SELF) {
        // A binary file, or one that is deleted but not yet committed, has no lines.
        let Ok(text) = std::fs::read_to_string(top.join(name)) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(what) = offence(line, &top.to_string_lossy()) {
                faults.push(format!("{name}:{number}: {what}"));
            }
        }
    }
    Ok(faults)
}

fn git(arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").args(arguments).output().context("cannot run git")?;
    ensure!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?)
}

fn offence(line: &str, top: &str) -> Option<String> {
    let line = line.replace(CARGO_DEFAULT, "");
    if let Some(host) = REGISTRIES.iter().find(|host| line.contains(*host)) {
        return Some(format!("the host of a registry, `{host}`"));
    }
    let own = std::iter::once(top).filter(|top| top.len() > 1);
    let machine = MACHINES.into_iter().chain(own).find(|path| starts_path(&line, path))?;
    Some(format!("a path of one machine, `{machine}`"))
}

/// Whether an absolute path begins so: `see /root/x` does, `net/root/x` does not.
fn starts_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '~' | '}' | ')' | '*' | '$'))
    })
}

#[cfg(test)]
mod tests {
    use super::offence;

    #[test]
    fn paths_and_hosts_are_found_where_they_begin() {
        let is = |line: &str| offence(line, "/src/clone").is_some();
        assert!(is("cd /root/x"));
        assert!(is("\"/home/me/x\""));
        assert!(is("see /src/clone/target"));
        assert!(is("https://pypi.org/simple"));
        assert!(!is("net/root/x ../work/x $HOME/work/ /etc/chaperone /var/lib/postgresql"));
        assert!(!is("source = \"registry+https://github.com/rust-lang/crates.io-index\""));
    }
}
