//! A private PostgreSQL cluster in a temporary folder, of the server binaries this machine has, or of those that
//! `CHAPERONE_TEST_SERVER` names the folder of.
//!
//! ```no_run
//! use chaperone_testkit::postgres::{Cluster, Options};
//! let cluster = Cluster::start(Options::default())?;
//! cluster.create_role("app", "secret")?;
//! cluster.create_database("clinic", "app")?;
//! assert_eq!(cluster.psql_in("clinic", "select 1 + 1")?, "2");
//! # Ok::<(), anyhow::Error>(())
//! ```
//!
//! **Nothing is left behind, however the owner ends.** The server runs under a *keeper*, a small shell that waits for the
//! end of a pipe whose other end this process holds. The pipe ends when the [`Cluster`] is dropped, and also when this
//! process panics, exits with the cluster in a `static`, or is killed; then the keeper stops the server and removes the
//! folder.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::pki::Files;

/// The name of the superuser of every cluster.
pub const SUPERUSER: &str = "postgres";

/// How long a server may take until it answers, and until it is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// `$1` is the folder, the rest is the server's command. Signals meant for the terminal's foreground do not reach us
/// (own process group); `read` ends when the owner's end of the pipe is closed, by whatever cause.
const KEEPER: &str = r#"
dir=$1; shift
"$@" >>"$dir/log" 2>&1 </dev/null &
server=$!
read -r _
kill -QUIT $server 2>/dev/null
wait $server
cd / && rm -rf "$dir"
"#;

/// How the server asks a client on 127.0.0.1 for its password (`pg_hba.conf`, PostgreSQL manual chapter 21).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// SCRAM-SHA-256, with channel binding where the connection has TLS.
    #[default]
    Scram,
    /// MD5, also for the passwords stored.
    Md5,
    /// The password in clear.
    Password,
    /// No question asked.
    Trust,
}

impl Auth {
    fn method(self) -> &'static str {
        match self {
            Auth::Scram => "scram-sha-256",
            Auth::Md5 => "md5",
            Auth::Password => "password",
            Auth::Trust => "trust",
        }
    }
}

/// What a cluster is like.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Flush to disk as a real server does. Off by default: a test does not survive a power cut anyway.
    pub fsync: bool,
    /// The certificate and key of the server; plain TCP stays possible unless `hba` says otherwise.
    pub tls: Option<Files>,
    /// The method for every role that `hba` does not name.
    pub auth: Auth,
    /// Lines of `pg_hba.conf` that come before the general one.
    pub hba: Vec<String>,
    /// Further settings of `postgresql.conf`, as written there: `("max_connections", "20")`.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// With TLS by these files.
    pub fn tls(mut self, files: &Files) -> Self {
        self.tls = Some(files.clone());
        self
    }

    /// With this method of authentication.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// With one more line of `postgresql.conf`.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With one more line at the top of `pg_hba.conf`.
    pub fn hba(mut self, line: &str) -> Self {
        self.hba.push(line.to_owned());
        self
    }
}

/// A running private cluster; dropping it stops the server and removes its folder.
#[derive(Debug)]
pub struct Cluster {
    dir: PathBuf,
    binaries: PathBuf,
    port: u16,
    password: String,
    keeper: Child,
    /// The keeper's reason to wait; closed first on drop.
    pipe: Option<ChildStdin>,
}

impl Cluster {
    /// Makes a cluster and starts it on a free port of 127.0.0.1. Blocks until it answers (about two seconds).
    ///
    /// # Errors
    /// No server binaries on this machine, `initdb` failed, or the server did not answer in time; with its own words.
    pub fn start(options: Options) -> Result<Self> {
        let binaries = binaries()?;
        let dir = tempfile::Builder::new().prefix("chaperone-pg-").tempdir().context("cannot make a folder")?;
        let owner = Owner::find(dir.path())?;
        owner.give(dir.path())?;
        let password = random_password();
        init(&binaries, dir.path(), &owner, &password, options.auth)?;
        configure(dir.path(), &owner, &options)?;

        // Another process may take the free port between our look and the server's bind: try again then.
        let mut attempt = 0;
        loop {
            attempt += 1;
            let port = free_port()?;
            let (keeper, pipe) = keep(&binaries, dir.path(), &owner, port)?;
            let mut cluster = Cluster {
                dir: dir.path().to_owned(),
                binaries: binaries.clone(),
                port,
                password: password.clone(),
                keeper,
                pipe: Some(pipe),
            };
            match cluster.wait_until_ready() {
                Ok(()) => {
                    // From here the keeper removes the folder.
                    let _ = dir.keep();
                    return Ok(cluster);
                }
                Err(error) => {
                    let taken = cluster.log().contains("could not bind");
                    // Without its folder the keeper's `rm` has nothing to do, so end it here by hand.
                    cluster.abandon();
                    if !taken || attempt == 5 {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's password: made for this cluster, kept in memory only.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The folder with the data, the log and, with TLS, the server's certificate.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of the server's binaries, and of `psql`, `pgbench` and the others where its package has them.
    pub fn binaries(&self) -> &Path {
        &self.binaries
    }

    /// A libpq connection string for the superuser and the database `postgres`.
    pub fn conn_string(&self) -> String {
        self.conn_string_for("postgres", SUPERUSER, &self.password)
    }

    /// A libpq connection string for a database and a role.
    pub fn conn_string_for(&self, database: &str, user: &str, password: &str) -> String {
        format!("host=127.0.0.1 port={} dbname={database} user={user} password={password}", self.port)
    }

    /// Runs SQL as the superuser in the database `postgres`; the answer's rows as text, `|` between columns.
    ///
    /// # Errors
    /// The first error of the server, with its message.
    pub fn psql(&self, sql: &str) -> Result<String> {
        self.psql_in("postgres", sql)
    }

    /// Runs SQL as the superuser in a database of this cluster.
    ///
    /// # Errors
    /// As [`Cluster::psql`].
    pub fn psql_in(&self, database: &str, sql: &str) -> Result<String> {
        // any release of psql speaks to any server in plain SQL
        let own = self.binaries.join("psql");
        let mut psql = Command::new(if own.is_file() { own } else { PathBuf::from("psql") });
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", SUPERUSER, "-d", database, "-f", "-"])
            .arg("-p")
            .arg(self.port.to_string())
            .env("PGPASSWORD", &self.password)
            .env("PGSSLMODE", "prefer")
            .env_remove("PGOPTIONS")
            .env_remove("PGSERVICE");
        let output = feed(&mut psql, sql.as_bytes()).context("cannot run psql")?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8(output.stdout)?.trim_end_matches('\n').to_owned())
    }

    /// Makes a role that may log in.
    ///
    /// # Errors
    /// As [`Cluster::psql`].
    pub fn create_role(&self, name: &str, password: &str) -> Result<()> {
        self.psql(&format!("create role {} login password {}", quote_name(name), quote_text(password))).map(drop)
    }

    /// Makes a database, owned by a role that exists.
    ///
    /// # Errors
    /// As [`Cluster::psql`].
    pub fn create_database(&self, name: &str, owner: &str) -> Result<()> {
        self.psql(&format!("create database {} owner {}", quote_name(name), quote_name(owner))).map(drop)
    }

    /// The process id of the postmaster, for tests in which a database dies.
    ///
    /// # Errors
    /// The server is not running.
    pub fn pid(&self) -> Result<i32> {
        let text = fs::read_to_string(self.dir.join("data/postmaster.pid")).context("the server is not running")?;
        text.lines().next().and_then(|line| line.trim().parse().ok()).context("no process id in `postmaster.pid`")
    }

    /// Sends the postmaster `SIGQUIT`: every connection is cut at once. The folder stays until the drop.
    ///
    /// # Errors
    /// The server is not running.
    pub fn crash(&self) -> Result<()> {
        let pid = Pid::from_raw(self.pid()?).context("no such process id")?;
        kill_process(pid, Signal::QUIT).context("cannot stop the server")
    }

    /// What the server logged so far.
    pub fn log(&self) -> String {
        fs::read(self.dir.join("log")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = fs::read_to_string(self.dir.join("data/postmaster.pid")).unwrap_or_default();
            // Line 8 says `ready` once connections are taken (src/include/utils/pidfile.h).
            if status.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            let died = status.is_empty() && self.log().contains("FATAL");
            if died || self.keeper.try_wait()?.is_some() || Instant::now() > end {
                bail!("the server did not start: {}", self.log().trim());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends a failed attempt but keeps the folder for the next one.
    fn abandon(mut self) {
        if let Ok(pid) = self.pid()
            && let Some(pid) = Pid::from_raw(pid)
        {
            let _ = kill_process(pid, Signal::QUIT);
        }
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        let _ = fs::remove_file(self.dir.join("log"));
        self.pipe = None;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match self.keeper.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        let _ = self.keeper.kill();
    }
}

/// Whom the server runs as: ourselves, or `postgres` when we are root, which the server refuses to be.
#[derive(Debug)]
struct Owner {
    ids: Option<(u32, u32)>,
    home: PathBuf,
}

impl Owner {
    fn find(home: &Path) -> Result<Self> {
        let ids = if geteuid().is_root() { Some((id("-u")?, id("-g")?)) } else { None };
        Ok(Owner { ids, home: home.to_owned() })
    }

    fn give(&self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.ids else { return Ok(()) };
        chown(path, Some(user), Some(group)).with_context(|| format!("cannot give away `{}`", path.display()))
    }

    /// Becomes the owner in the child; for root, the standard library drops the other groups too.
    fn run(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.home).env("LC_ALL", "C").env("HOME", &self.home);
        for variable in ["PGDATA", "PGPORT", "PGHOST", "PGOPTIONS", "PGUSER", "PGDATABASE", "PGPASSWORD"] {
            command.env_remove(variable);
        }
        if let Some((user, group)) = self.ids {
            command.uid(user).gid(group);
        }
        command
    }
}

fn id(what: &str) -> Result<u32> {
    let output = Command::new("id").args([what, SUPERUSER]).output().context("cannot run id")?;
    ensure!(output.status.success(), "root cannot run a server, and there is no user `{SUPERUSER}` to run it as");
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// The folder of the server's binaries that tests are to run on, if not this machine's own.
const SERVER: &str = "CHAPERONE_TEST_SERVER";

/// The server that is asked for, else the newest on this machine: `pg_config` on the path, Debian's folders, then the path
/// itself.
fn binaries() -> Result<PathBuf> {
    let complete = |dir: &PathBuf| dir.join("initdb").is_file() && dir.join("postgres").is_file();
    if let Some(dir) = std::env::var_os(SERVER).filter(|dir| !dir.is_empty()) {
        // not the machine's own in its place: a test would tell of another server than was asked for
        let dir = PathBuf::from(dir);
        ensure!(complete(&dir), "`{SERVER}` names `{}`, where no server is", dir.display());
        return Ok(dir);
    }
    let configured = Command::new("pg_config").arg("--bindir").output().ok().filter(|output| output.status.success());
    let configured = configured.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    if let Some(dir) = configured.filter(complete) {
        return Ok(dir);
    }
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, dir)| complete(dir))
        .collect();
    debian.sort();
    if let Some((_, dir)) = debian.pop() {
        return Ok(dir);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(complete)
        .ok_or_else(|| anyhow!("no PostgreSQL server on this machine: install it with `tests/setup/install`"))
}

fn init(binaries: &Path, dir: &Path, owner: &Owner, password: &str, auth: Auth) -> Result<()> {
    let secret = dir.join("password");
    fs::write(&secret, password)?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    owner.give(&secret)?;
    let output = owner
        .run(binaries.join("initdb"))
        .arg("-D")
        .arg(dir.join("data"))
        .args(["-U", SUPERUSER, "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions"])
        .args(["-A", auth.method(), "--pwfile"])
        .arg(&secret)
        .output()
        .context("cannot run initdb")?;
    fs::remove_file(&secret)?;
    ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

fn configure(dir: &Path, owner: &Owner, options: &Options) -> Result<()> {
    let data = dir.join("data");
    let mut lines = String::from(
        "\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nlogging_collector = off\nlog_destination = 'stderr'\n",
    );
    if !options.fsync {
        lines += "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n";
    }
    if options.auth == Auth::Md5 {
        lines += "password_encryption = md5\n";
    }
    if let Some(files) = &options.tls {
        for (name, from) in [("server.crt", &files.cert), ("server.key", &files.key)] {
            let to = data.join(name);
            fs::copy(from, &to).with_context(|| format!("cannot copy `{}`", from.display()))?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600))?;
            owner.give(&to)?;
        }
        lines += "ssl = on\n";
    }
    for (name, value) in &options.settings {
        lines += &format!("{name} = {}\n", quote_text(value));
    }
    fs::OpenOptions::new().append(true).open(data.join("postgresql.conf"))?.write_all(lines.as_bytes())?;
    if !options.hba.is_empty() {
        let file = data.join("pg_hba.conf");
        let general = fs::read_to_string(&file)?;
        fs::write(&file, format!("{}\n{general}", options.hba.join("\n")))?;
    }
    Ok(())
}

fn keep(binaries: &Path, dir: &Path, owner: &Owner, port: u16) -> Result<(Child, ChildStdin)> {
    let mut keeper = owner
        .run("sh")
        .args(["-c", KEEPER, "keeper"])
        .arg(dir)
        .arg(binaries.join("postgres"))
        .arg("-D")
        .arg(dir.join("data"))
        .arg("-p")
        .arg(port.to_string())
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the server")?;
    let pipe = keeper.stdin.take().context("the keeper has no pipe")?;
    Ok((keeper, pipe))
}

/// Runs a command with this input. The output is read meanwhile, so neither side can block the other.
fn feed(command: &mut Command, input: &[u8]) -> Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("no pipe")?;
    std::thread::scope(|scope| {
        // A command that failed early closes its input: what counts then is its status.
        scope.spawn(move || stdin.write_all(input).ok());
        Ok(child.wait_with_output()?)
    })
}

/// A port of 127.0.0.1 that nobody listens on just now.
///
/// # Errors
/// The kernel has none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).context("no free port")?.local_addr()?.port())
}

fn random_password() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn quote_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Authority;

    #[test]
    fn serves_roles_databases_and_tls_and_leaves_nothing() {
        let pki = Authority::new("server CA").unwrap();
        let files = pki.leaf(&["localhost", "127.0.0.1"]).unwrap().write().unwrap();
        let cluster = Cluster::start(Options::default().tls(&files)).unwrap();
        let (dir, pid) = (cluster.dir().to_owned(), cluster.pid().unwrap());
        cluster.create_role("o'brien", "it's").unwrap();
        cluster.create_database("Clinic", "o'brien").unwrap();
        assert_eq!(cluster.psql_in("Clinic", "select current_database(), 2").unwrap(), "Clinic|2");
        assert_eq!(cluster.psql("select ssl from pg_stat_ssl where pid = pg_backend_pid()").unwrap(), "t");
        let error = cluster.psql("select 1; select nonsense").unwrap_err().to_string();
        assert!(error.contains("nonsense"), "{error}");
        let long = "x".repeat(1 << 20);
        assert_eq!(cluster.psql(&format!("select length('{long}')")).unwrap(), "1048576");
        drop(cluster);
        assert!(!dir.exists());
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_setting_the_server_refuses_is_told_and_leaves_nothing() {
        let error = Cluster::start(Options::default().set("no_such_setting", "1")).unwrap_err().to_string();
        assert!(error.contains("no_such_setting"), "{error}");
    }

    #[test]
    fn a_crash_keeps_the_folder_until_the_drop() {
        let cluster = Cluster::start(Options::default().auth(Auth::Md5)).unwrap();
        assert_eq!(cluster.psql("show password_encryption").unwrap(), "md5");
        cluster.crash().unwrap();
        let dir = cluster.dir().to_owned();
        assert!(dir.exists());
        drop(cluster);
        assert!(!dir.exists());
    }
}
