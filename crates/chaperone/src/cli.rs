//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A gateway between AI agents and protected health data.
#[derive(Debug, Parser)]
#[command(name = "chaperone", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway until SIGTERM or Ctrl-C
    Serve {
        /// The configuration file
        #[arg(long, short, default_value = "chaperone.yaml", env = "CHAPERONE_CONFIG")]
        config: PathBuf,
    },
    /// Validate configuration, policies and classifications, and hold them against the live databases; exit 1 on errors
    Check(CheckArguments),
    /// What would become of a statement for a principal, and why: facts, policies, masks, the text that would run
    Explain(ExplainArguments),
    /// Propose a classification from a database's definitions, for a person to review; reads no row of any table
    Discover(DiscoverArguments),
    /// The database roles of sessions
    Credentials {
        /// What about them.
        #[command(subcommand)]
        command: CredentialsCommand,
    },
    /// Let an agent connect on loopback without TLS or token: adds both on the way to the gateway
    Sidecar(SidecarArguments),
    /// The policies themselves
    Policy {
        /// What about them.
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Sessions in the evidence log
    Sessions {
        /// What about them.
        #[command(subcommand)]
        command: SessionsCommand,
    },
    /// The evidence log itself
    Audit {
        /// What about it.
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// A synthetic clinic, an issuer and the gateway on loopback
    #[cfg(feature = "demo")]
    Demo {
        /// Play the scenario, check every claim of it, and exit
        #[arg(long)]
        check: bool,
        /// Keep the folder with configuration, keys and evidence
        #[arg(long)]
        keep: bool,
    },
}

/// `chaperone check`
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The configuration file
    #[arg(long, short, default_value = "chaperone.yaml", env = "CHAPERONE_CONFIG")]
    pub config: PathBuf,
    /// Look at the files only, not at the databases
    #[arg(long)]
    pub offline: bool,
    /// Fail on warnings too
    #[arg(long)]
    pub strict: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `chaperone explain`
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// The configuration file
    #[arg(long, short, default_value = "chaperone.yaml", env = "CHAPERONE_CONFIG")]
    pub config: PathBuf,
    /// The connection that the statement would be sent on; its database is asked for its catalog
    #[arg(long, value_name = "NAME")]
    pub connection: String,
    /// Who asks: the claims of a token as a JSON object, `iss` among them; nothing is verified
    #[arg(long, value_name = "FILE", conflicts_with = "token_file", required_unless_present = "token_file")]
    pub claims: Option<PathBuf>,
    /// Who asks: a file with a valid token
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The statement
    #[arg(long, value_name = "TEXT", conflicts_with = "file", required_unless_present = "file")]
    pub sql: Option<String>,
    /// A file with the statement; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Policies in place of those of the configuration: ones to try, or old ones (`chaperone policy restore`)
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// A classification in place of the connection's
    #[arg(long, value_name = "FILE")]
    pub classification: Option<PathBuf>,
    /// Show what is seen of every column, not only those of the tables that the statement names
    #[arg(long)]
    pub all: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What to do with the roles of sessions.
#[derive(Debug, Subcommand)]
pub enum CredentialsCommand {
    /// Print the SQL that makes the role which makes a role for each session, with the least that it needs
    Script(ScriptArguments),
}

/// `chaperone credentials script`
#[derive(Debug, Args)]
pub struct ScriptArguments {
    /// The configuration file
    #[arg(long, short, default_value = "chaperone.yaml", env = "CHAPERONE_CONFIG")]
    pub config: PathBuf,
    /// The connection; its credential is `ephemeral`
    #[arg(long, value_name = "NAME")]
    pub connection: String,
}

/// `chaperone discover`
#[derive(Debug, Args)]
pub struct DiscoverArguments {
    /// The configuration file; of it, only the connection is used
    #[arg(long, short, default_value = "chaperone.yaml", env = "CHAPERONE_CONFIG")]
    pub config: PathBuf,
    /// The connection whose database is read, with the gateway's own credential; needs no classification yet
    #[arg(long, value_name = "NAME")]
    pub connection: String,
    /// Only this schema; may be given several times. All but the system's own by default
    #[arg(long, value_name = "SCHEMA")]
    pub schema: Vec<String>,
    /// A classification to add to: what it says is kept as it is, new tables and columns are marked `# proposed`
    #[arg(long, value_name = "FILE")]
    pub merge: Option<PathBuf>,
    /// Where to write; standard output by default. A file that exists is replaced only if it is the one of `--merge`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How to write
    #[arg(long, value_enum, default_value_t = ProposalFormat::Yaml)]
    pub format: ProposalFormat,
}

/// How to write a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProposalFormat {
    /// A classification file
    Yaml,
    /// With confidence and reason as fields; not to be used as a classification
    Json,
}

/// `chaperone sidecar`
#[derive(Debug, Args)]
pub struct SidecarArguments {
    /// Where the agent connects: a loopback address
    #[arg(long, default_value = "127.0.0.1:5432")]
    pub listen: SocketAddr,
    /// The gateway, as host:port; the host must be in its certificate
    #[arg(long, value_name = "HOST:PORT")]
    pub gateway: String,
    /// The CA of the gateway's certificate, PEM; the system's by default
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The file with the token; read anew for each connection
    #[arg(long, value_name = "FILE", default_value = "/var/run/secrets/tokens/chaperone")]
    pub token_file: PathBuf,
}

/// `chaperone policy …`
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Run cases (who asks what, and what should be decided); exit 0 all passed, 1 some failed, 3 cannot be read
    Test(PolicyTestArguments),
    /// Take a version that once decided out of the evidence log: policies as a folder, a classification as a file
    Restore(RestoreArguments),
}

/// `chaperone policy restore`
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// The version, as records and `sessions show` name it
    pub version: String,
    /// The folder of the evidence log
    #[arg(long, value_name = "DIR", env = "CHAPERONE_EVIDENCE")]
    pub dir: PathBuf,
    /// Where to put it; must not exist yet
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
}

/// `chaperone policy test`
#[derive(Debug, Args)]
pub struct PolicyTestArguments {
    /// Files of cases, YAML
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `chaperone sessions …`
#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// List sessions, newest last
    Ls(ListArguments),
    /// Show one session: what was asked, what was decided, what came back
    Show(ShowArguments),
}

/// `chaperone audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify the evidence log from its files alone; exit 0 sound, 1 tampered, 2 incomplete, 3 cannot check
    Verify(VerifyArguments),
}

/// Where the log is and how to print.
#[derive(Debug, Args)]
pub struct LogArguments {
    /// The folder of the evidence log
    #[arg(long, value_name = "DIR", env = "CHAPERONE_EVIDENCE")]
    pub dir: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `chaperone sessions ls`
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only those that returned rows of somebody: a file with their identifiers, one a line, as the database writes them
    /// (`-` is standard input); needs the payload key in the log's folder
    #[arg(long, value_name = "FILE")]
    pub subject: Option<PathBuf>,
    /// The log.
    #[command(flatten)]
    pub log: LogArguments,
}

/// `chaperone sessions show`
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The session's id, or enough of its start
    pub session: String,
    /// Show what was sent and answered too; needs the payload key in the log's folder
    #[arg(long)]
    pub payloads: bool,
    /// The log.
    #[command(flatten)]
    pub log: LogArguments,
}

/// `chaperone audit verify`
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// The log's public key, as text or as a file; `keys/log.vkey` in the folder by default, which proves less: pin it
    #[arg(long, value_name = "KEY|FILE")]
    pub key: Option<String>,
    /// The payload key's file: opens every payload and checks what was committed to
    #[arg(long, value_name = "FILE")]
    pub payload_key: Option<PathBuf>,
    /// The log.
    #[command(flatten)]
    pub log: LogArguments,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}
