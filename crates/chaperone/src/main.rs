//! `chaperone`: a gateway between AI agents and protected health data.

mod audit;
mod check;
mod cli;
mod config;
mod credentials;
#[cfg(feature = "demo")]
mod demo;
mod discover;
mod explain;
mod policy_test;
mod reload;
mod resolve;
mod restore;
mod serve;
mod sessions;
mod sidecar;
mod transcript;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{AuditCommand, Cli, Command, CredentialsCommand, PolicyCommand, SessionsCommand};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // help and version are no errors; anything else is a usage error, 64 as in sysexits
            let usage = error.use_stderr();
            if error.print().is_err() {
                return ExitCode::from(64);
            }
            return if usage { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("chaperone: a provider of cryptography was installed twice");
        return ExitCode::FAILURE;
    }
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("chaperone: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve { config } => serve::run(&config).map(|()| ExitCode::SUCCESS),
        Command::Check(arguments) => check::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Discover(arguments) => discover::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Credentials { command: CredentialsCommand::Script(arguments) } => {
            credentials::script(&arguments).map(|()| ExitCode::SUCCESS)
        }
        Command::Policy { command: PolicyCommand::Test(arguments) } => Ok(policy_test::run(&arguments)),
        Command::Policy { command: PolicyCommand::Restore(arguments) } => {
            restore::run(&arguments).map(|()| ExitCode::SUCCESS)
        }
        Command::Sidecar(arguments) => sidecar::run(arguments).map(|()| ExitCode::SUCCESS),
        Command::Audit { command: AuditCommand::Verify(arguments) } => audit::verify(&arguments),
        Command::Sessions { command: SessionsCommand::Ls(arguments) } => {
            sessions::list(&arguments).map(|()| ExitCode::SUCCESS)
        }
        Command::Sessions { command: SessionsCommand::Show(arguments) } => {
            sessions::show(&arguments).map(|()| ExitCode::SUCCESS)
        }
        #[cfg(feature = "demo")]
        Command::Demo { check, keep } => demo::run(check, keep).map(|()| ExitCode::SUCCESS),
    }
}
