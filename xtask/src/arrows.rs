//! Which crate may know which: the table of the architecture, as a check.
//!
//! An arrow points down the list. On top of the order stand the separations that an order cannot say: who verifies the
//! evidence shares nothing with who writes it but the format; the gateway knows no SQL; what decides does no I/O.

use anyhow::Result;
use serde_json::Value;

use crate::metadata;

/// From the top to the bottom; the binary's crate has no prefix.
const ORDER: [&str; 11] = [
    "chaperone",
    "gateway",
    "engine",
    "evidence",
    "verify",
    "ledger-format",
    "policy",
    "analysis",
    "mask",
    "wire",
    "model",
];

/// Parts for tests, and for the demo in the binary; it stands beside the order.
const TESTKIT: &str = "testkit";

/// The workspace's own tools, which ship nowhere.
const TOOLS: [&str; 1] = ["xtask"];

/// Crates of which only these are known.
const ONLY: [(&str, &[&str]); 1] = [("verify", &["ledger-format", "model"])];

/// Arrows that the order would allow.
const NEVER: [(&str, &[&str]); 4] = [
    ("gateway", &["analysis", "mask"]),
    ("evidence", &["verify", "policy", "analysis", "mask", "wire"]),
    ("ledger-format", &["policy", "analysis", "mask", "wire"]),
    ("policy", &["analysis", "mask", "wire"]),
];

/// Crates that do no I/O, so that they can be tested, fuzzed and reasoned about whole.
const PURE: [&str; 6] = ["ledger-format", "policy", "analysis", "mask", "wire", "model"];
/// What a crate that does no I/O has no use for.
const IO: [&str; 9] =
    ["tokio", "tokio-rustls", "rustls", "reqwest", "hyper", "axum", "tokio-postgres", "socket2", "rustix"];

/// A stated dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Arrow {
    from: String,
    to: String,
    kind: Kind,
    optional: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Dev,
    Build,
}

pub(crate) fn check() -> Result<Vec<String>> {
    let members = metadata::members()?;
    let names = members.iter().filter_map(|member| member["name"].as_str());
    let mut faults: Vec<String> = names.filter_map(|name| place_of(short(name)).err()).collect();
    faults.extend(members.iter().flat_map(arrows).filter_map(|arrow| fault(&arrow)));
    Ok(faults)
}

fn short(name: &str) -> &str {
    name.strip_prefix("chaperone-").unwrap_or(name)
}

/// Where a crate stands in the order; `None` for those that stand beside it.
fn place_of(name: &str) -> Result<Option<usize>, String> {
    match ORDER.iter().position(|known| *known == name) {
        Some(place) => Ok(Some(place)),
        None if name == TESTKIT || TOOLS.contains(&name) => Ok(None),
        None => Err(format!("`{name}` has no place in the table of crates: give it one in `xtask/src/arrows.rs`")),
    }
}

fn arrows(member: &Value) -> Vec<Arrow> {
    let from = short(member["name"].as_str().unwrap_or_default());
    let stated = member["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
    stated
        .iter()
        .map(|dependency| Arrow {
            from: from.to_owned(),
            to: short(dependency["name"].as_str().unwrap_or_default()).to_owned(),
            kind: match dependency["kind"].as_str() {
                Some("dev") => Kind::Dev,
                Some("build") => Kind::Build,
                Some(_) | None => Kind::Normal,
            },
            optional: dependency["optional"].as_bool().unwrap_or_default(),
        })
        .collect()
}

fn fault(arrow: &Arrow) -> Option<String> {
    let Arrow { from, to, kind, optional } = arrow;
    let refuse = |why: &str| Some(format!("`{from}` -> `{to}`: {why}"));
    let dev = *kind == Kind::Dev;
    if PURE.contains(&from.as_str()) && IO.contains(&to.as_str()) && !dev {
        return refuse("it does no I/O");
    }
    let (from_place, to_place) = (place_of(from).ok()?, place_of(to).ok());
    if TOOLS.contains(&from.as_str()) {
        return None;
    }
    if to == TESTKIT {
        let demo = from == "chaperone" && *optional;
        return if dev || demo { None } else { refuse("parts for tests stay in tests and in the demo") };
    }
    // A crate of somebody else.
    let to_place = to_place?;
    let Some(from_place) = from_place else {
        // The testkit is used to test all the others: it would close a circle of builds.
        return if from == TESTKIT && to_place.is_some() && !dev { refuse("the testkit stands alone") } else { None };
    };
    if to_place.is_some_and(|to_place| to_place <= from_place) {
        return refuse("an arrow points down");
    }
    let listed = |of: &[(&str, &[&str])]| {
        of.iter().find(|(name, _)| name == from).map(|(_, names)| names.contains(&to.as_str()))
    };
    if listed(&ONLY) == Some(false) {
        return refuse("it shares only the format with the writer");
    }
    if listed(&NEVER) == Some(true) && !dev {
        return refuse("it knows nothing of that");
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arrow(from: &str, to: &str, kind: Kind) -> Arrow {
        Arrow { from: from.into(), to: to.into(), kind, optional: false }
    }

    #[test]
    fn arrows_point_down() {
        assert_eq!(fault(&arrow("engine", "wire", Kind::Normal)), None);
        assert!(fault(&arrow("wire", "engine", Kind::Normal)).is_some());
        assert!(fault(&arrow("wire", "wire", Kind::Build)).is_some());
        assert!(fault(&arrow("verify", "evidence", Kind::Dev)).is_some());
        assert!(fault(&arrow("evidence", "verify", Kind::Normal)).is_some());
        assert_eq!(fault(&arrow("evidence", "verify", Kind::Dev)), None);
        assert!(fault(&arrow("verify", "wire", Kind::Normal)).is_some());
        assert!(fault(&arrow("gateway", "analysis", Kind::Normal)).is_some());
    }

    #[test]
    fn tests_parts_stay_in_tests_and_in_the_demo() {
        assert!(fault(&arrow("engine", "testkit", Kind::Normal)).is_some());
        assert_eq!(fault(&arrow("engine", "testkit", Kind::Dev)), None);
        assert!(fault(&arrow("chaperone", "testkit", Kind::Normal)).is_some());
        assert_eq!(fault(&Arrow { optional: true, ..arrow("chaperone", "testkit", Kind::Normal) }), None);
        assert!(fault(&arrow("testkit", "wire", Kind::Normal)).is_some());
        assert_eq!(fault(&arrow("testkit", "model", Kind::Dev)), None);
    }

    #[test]
    fn the_pure_do_no_io() {
        assert!(fault(&arrow("wire", "tokio", Kind::Normal)).is_some());
        assert_eq!(fault(&arrow("wire", "tokio", Kind::Dev)), None);
        assert_eq!(fault(&arrow("engine", "tokio", Kind::Normal)), None);
    }

    #[test]
    fn a_crate_without_a_place_is_told() {
        assert!(place_of("helpers").is_err());
        let member = json!({ "name": "chaperone-engine", "dependencies": [
            { "name": "chaperone-wire", "kind": null, "optional": false },
            { "name": "chaperone-testkit", "kind": "dev", "optional": false },
        ] });
        assert_eq!(arrows(&member), [arrow("engine", "wire", Kind::Normal), arrow("engine", "testkit", Kind::Dev)]);
    }
}
