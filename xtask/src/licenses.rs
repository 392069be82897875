//! Whether everything that a build can use is under terms that suit an Apache-2.0 product.

use anyhow::Result;
use serde_json::Value;

use crate::{metadata, spdx};

/// Permissive licences, and at the edge MPL-2.0: it binds the files that carry it, which we use as they are.
const ALLOWED: [&str; 18] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

pub(crate) fn check() -> Result<Vec<String>> {
    Ok(metadata::everything()?.iter().filter_map(fault).collect())
}

fn fault(package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or("?");
    let version = package["version"].as_str().unwrap_or("?");
    match package["license"].as_str() {
        Some(terms) if spdx::satisfied(terms, &|licence| ALLOWED.contains(&licence)) => None,
        Some(terms) => Some(format!("`{name}` {version}: `{terms}` is not on the list of `xtask/src/licenses.rs`")),
        None => Some(format!("`{name}` {version} states no licence expression")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::fault;

    #[test]
    fn the_crate_is_named() {
        assert_eq!(fault(&json!({ "name": "good", "version": "1.0.0", "license": "GPL-2.0 OR MIT" })), None);
        assert!(fault(&json!({ "name": "bad", "version": "1.0.0", "license": "AGPL-3.0" })).unwrap().contains("`bad`"));
        assert!(fault(&json!({ "name": "silent", "version": "1.0.0", "license": null })).unwrap().contains("`silent`"));
    }
}
