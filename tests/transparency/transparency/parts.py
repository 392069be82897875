"""What the suites are made of, fetched by the ordinary clients and kept in one folder."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

from . import machine


class Unavailable(Exception):
    """A part cannot be had on this machine."""


def place():
    """Where parts are kept: `.parts`, which git ignores; elsewhere if the user that the server runs as cannot get there,
    as in root's home."""
    here = Path(".parts").resolve()
    reachable = all(folder.stat().st_mode & stat.S_IXOTH for folder in here.parents)
    return here if reachable or not machine.ROOT else Path("/var/tmp/chaperone-parts")


class Parts:
    """The folder of downloads and builds."""

    def __init__(self, folder):
        self.dir = Path(folder).resolve()
        self.dir.mkdir(parents=True, exist_ok=True)
        self.log = self.dir / "fetch.log"

    def _run(self, command, cwd=None, seconds=900, env=None):
        if machine.run(command, seconds=seconds, log=self.log, cwd=cwd, env=env) != 0:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
            raise Unavailable(f"`{' '.join(str(part) for part in command[:3])} …` failed:\n{tail}")

    # Python

    def python(self, *requirements):
        """The interpreter of our own virtual environment, with these packages."""
        venv = self.dir / "venv"
        python = venv / "bin" / "python"
        if not python.exists():
            self._run([sys.executable, "-m", "venv", venv])
        stamp = venv / "installed"
        installed = set(stamp.read_text().split()) if stamp.exists() else set()
        missing = [requirement for requirement in requirements if requirement not in installed]
        if missing:
            self._run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *missing])
            stamp.write_text("\n".join(sorted(installed | set(missing))))
        return python

    def sdist(self, name, version, *members):
        """Some folders and files of a source package, unpacked."""
        target = self.dir / f"{name}-{version}"
        if not target.exists():
            downloads = self.dir / "sdist"
            downloads.mkdir(exist_ok=True)
            # pip prepares the metadata of what it downloads; for psycopg2 that asks for pg_config.
            env = dict(os.environ, PATH=f"{machine.binaries()}{os.pathsep}{os.environ['PATH']}")
            pip = [self.python(), "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
            self._run([*pip, "--no-binary", name, "-d", downloads, f"{name}=={version}"], env=env)
            archive = next(path for path in downloads.glob("*.tar.gz") if path.name.lower().startswith(f"{name}-{version}"))
            unpack(archive, target, members)
        return target

    # PostgreSQL's own suites

    def postgres_tests(self, bindir):
        """The folder `src/test` of the sources that fit the server, with `regress.so` built; and binaries that fit them.

        pg_regress fits one minor version. When the sources of the installed one cannot be had, the newest version that
        has both is fetched and used from its own folder.
        """
        installed = package_version(bindir)
        problem = None
        for version in self._source_versions(bindir, installed):
            try:
                tree = self._source(bindir, version)
            except Unavailable as error:
                problem = error
                continue
            binaries = bindir if version == installed else self._binaries(bindir, version)
            return self._build(tree, binaries, version), binaries
        raise Unavailable(f"no sources of PostgreSQL: {problem}")

    def _apt(self, *command, cwd=None):
        """Runs apt with lists of our own that know sources too, and the packages of other versions; the machine's
        configuration stays as it is. What it does not find in old lists is looked for again in new ones.
        """
        options = self._apt_options()
        fresh = any((self.dir / "apt" / "lists").glob("*Sources*"))
        if not fresh:
            self._run(["apt-get", *options, "-qq", "update"])
        try:
            self._run(["apt-get", *options, "-qq", *command], cwd=cwd)
        except Unavailable:
            if not fresh:
                raise
            self._run(["apt-get", *options, "-qq", "update"])
            self._run(["apt-get", *options, "-qq", *command], cwd=cwd)

    def _apt_options(self):
        apt = self.dir / "apt"
        (apt / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (apt / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        with open(apt / "deb822.sources", "w", encoding="utf-8") as out:
            for path in sorted(Path("/etc/apt/sources.list.d").glob("*.sources")):
                out.write(re.sub(r"(?m)^Types:.*$", "Types: deb deb-src", path.read_text()) + "\n")
        lines = []
        for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.list"))]:
            text = path.read_text() if path.exists() else ""
            for line in re.findall(r"(?m)^deb\s.*$", text):
                lines += [line, re.sub(r"^deb\s", "deb-src ", line)]
        (apt / "sources.list").write_text("\n".join(lines) + "\n")
        # A folder of sources is read by the endings of its files; both forms go into one.
        both = apt / "sources.list.d"
        both.mkdir(exist_ok=True)
        shutil.copy(apt / "deb822.sources", both / "machine.sources")
        shutil.copy(apt / "sources.list", both / "machine.list")
        return [
            "-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={both}",
            "-o", f"Dir::State::Lists={apt / 'lists'}", "-o", f"Dir::Cache={apt / 'cache'}",
            # Its own user for downloads could not write here.
            *(["-o", "APT::Sandbox::User=root"] if machine.ROOT else []),
        ]

    def _source_versions(self, bindir, installed):
        """The installed version; after it, newest first, the others of which apt knows sources. Lazily: when the first can
        be had, nobody is asked for the others.
        """
        yield installed
        major = bindir.parent.name
        show = subprocess.run(["apt-cache", *self._apt_options(), "showsrc", f"postgresql-{major}"], capture_output=True,
                              text=True, check=False).stdout
        found = set(re.findall(r"(?m)^Version: (\S+)$", show)) - {installed}
        yield from sorted(found, key=lambda version: [int(part) for part in re.findall(r"\d+", version)], reverse=True)

    def _source(self, bindir, version):
        major = bindir.parent.name
        target = self.dir / f"postgresql-{version}"
        if not target.exists():
            downloads = self.dir / "source"
            downloads.mkdir(exist_ok=True)
            self._apt("source", "--download-only", f"postgresql-{major}={version}", cwd=downloads)
            upstream = version.split("-")[0]
            archive = next(downloads.glob(f"postgresql-{major}_{upstream}.orig.tar.*"))
            unpack(archive, target, ["src/test/regress", "src/test/isolation"])
        return target

    def _deb(self, package, version):
        """The contents of a binary package, in a folder; nothing is installed."""
        target = self.dir / f"{package}-{version}"
        if not target.exists():
            downloads = self.dir / "deb"
            downloads.mkdir(exist_ok=True)
            self._apt("download", f"{package}={version}", cwd=downloads)
            archive = next(downloads.glob(f"{package}_{version.replace(':', '%3a')}_*.deb"))
            self._run(["dpkg", "-x", archive, target])
        return target

    def _binaries(self, bindir, version):
        major = bindir.parent.name
        server = self._deb(f"postgresql-{major}", version)
        client = self._deb(f"postgresql-client-{major}", version)
        shutil.copytree(client, server, dirs_exist_ok=True, symlinks=True)
        return server / bindir.relative_to("/")

    def _build(self, tree, bindir, version):
        tests = tree / "src" / "test"
        library = tests / "regress" / "regress.so"
        if not library.exists():
            headers = self._deb(f"postgresql-server-dev-{bindir.parent.name}", version) / "usr" / "include" / "postgresql"
            include = ["-I", headers / bindir.parent.name / "server", "-I", headers / "internal", "-I", headers]
            self._run(["cc", "-O1", "-fPIC", "-shared", "-w", *include, "-o", library, tests / "regress" / "regress.c"])
        return tests

    # The crate

    def tokio_postgres(self):
        """The crate's own sources, at the version that our lock file names; cargo has fetched them already."""
        lock = Path("Cargo.lock").read_text()
        version = re.search(r'name = "tokio-postgres"\nversion = "([^"]+)"', lock).group(1)
        target = self.dir / f"tokio-postgres-{version}"
        if not target.exists():
            home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
            found = list(home.glob(f"registry/src/*/tokio-postgres-{version}"))
            if not found:
                self._run(["cargo", "fetch", "--locked"])
                found = list(home.glob(f"registry/src/*/tokio-postgres-{version}"))
            shutil.copytree(found[0], target)
            with open(target / "Cargo.toml", "a", encoding="utf-8") as manifest:
                manifest.write("\n[workspace]\n")
        return target


def package_version(bindir):
    """The version of the distribution's package that a server binary is of."""
    owner = subprocess.run(["dpkg-query", "-S", str(bindir / "postgres")], capture_output=True, text=True, check=False)
    if owner.returncode != 0:
        raise Unavailable("the server is of no Debian package: its own suites need sources of its very version")
    package = owner.stdout.split(":")[0]
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=True)
    return shown.stdout


def unpack(archive, target, members):
    """Takes some members of an archive, without its top folder; whole or not at all."""
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as tar:
        top = tar.next().name.split("/")[0]
        wanted = [f"{top}/{member}" for member in members]
        chosen = [m for m in tar if any(m.name == want or m.name.startswith(want + "/") for want in wanted)]
        # `data` refuses what would leave the folder; Pythons before its time have no such thing.
        tar.extractall(partial, members=chosen, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    os.rename(partial / top, target)
    partial.rmdir()
