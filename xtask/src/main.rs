//! Checks of the tree that no compiler makes: `cargo xtask arrows`, `licenses`, `tree`, or `all` of them.
//!
//! Each prints nothing but its name when all is well, and one line for each fault otherwise.

mod arrows;
mod licenses;
mod metadata;
mod spdx;
mod tree;

use std::process::ExitCode;

use anyhow::{Result, bail};

/// A check: its faults, one line each.
type Check = fn() -> Result<Vec<String>>;

const CHECKS: [(&str, Check); 3] = [("arrows", arrows::check), ("licenses", licenses::check), ("tree", tree::check)];

fn main() -> Result<ExitCode> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Vec<(&str, Check)> = match wanted.as_slice() {
        [all] if all == "all" => CHECKS.to_vec(),
        [name] => CHECKS.into_iter().filter(|(known, _)| known == name).collect(),
        _ => Vec::new(),
    };
    if chosen.is_empty() {
        bail!("usage: cargo xtask <arrows|licenses|tree|all>");
    }
    let mut sound = true;
    for (name, check) in chosen {
        let faults = check()?;
        println!("{name}: {}", if faults.is_empty() { "ok".to_owned() } else { format!("{} faults", faults.len()) });
        for fault in &faults {
            println!("  {fault}");
        }
        sound &= faults.is_empty();
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
