//! What cargo says of the workspace.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The members of the workspace with the dependencies their manifests state.
pub(crate) fn members() -> Result<Vec<Value>> {
    let document = cargo(&["--no-deps"])?;
    Ok(document["packages"].as_array().context("no packages")?.clone())
}

/// Every package that a build for this machine can use, tests included.
pub(crate) fn everything() -> Result<Vec<Value>> {
    let host = host()?;
    let arguments = ["--locked", "--filter-platform", &host];
    // What was built is here; only on a machine that has built nothing yet must cargo fetch.
    let document = cargo(&[&arguments[..], &["--offline"]].concat()).or_else(|_| cargo(&arguments))?;
    let nodes = document["resolve"]["nodes"].as_array().context("no resolution")?;
    let used: Vec<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let packages = document["packages"].as_array().context("no packages")?;
    let is_used = |package: &&Value| package["id"].as_str().is_some_and(|id| used.contains(&id));
    Ok(packages.iter().filter(is_used).cloned().collect())
}

fn cargo(arguments: &[&str]) -> Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(["metadata", "--format-version", "1"]).args(arguments).output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not tell its host")?;
    Ok(line.to_owned())
}
