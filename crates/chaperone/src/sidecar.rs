//! `chaperone sidecar`.

use anyhow::{Context, Result};
use chaperone_gateway::sidecar::{self, SidecarConfig};

use crate::cli::SidecarArguments;
use crate::serve::{log_to_stderr, runtime, stopped};

/// Runs the sidecar until SIGTERM or Ctrl-C.
pub fn run(arguments: SidecarArguments) -> Result<()> {
    log_to_stderr();
    let config = SidecarConfig::new(arguments.listen, arguments.gateway, arguments.ca.as_deref(), arguments.token_file)
        .context("the sidecar cannot start")?;
    runtime()?.block_on(async { sidecar::run(config, stopped()?).await.context("the sidecar failed") })
}
