"""A PostgreSQL server of a test run's own, where one is installed."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

NOBODY = "nobody"
"""The server refuses to run as root, so that it runs as nobody where the tests do."""


@dataclass(frozen=True)
class Server:
    """A running server; it listens on a socket in its own folder only."""

    folder: Path
    password: str

    def address(self, database: str = "postgres", *, password: str | None = None) -> str:
        """What a connection's variable holds."""
        secret = password or self.password
        return f"postgresql://keeper:{secret}@/{database}?host={self.folder}"

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Statements that change something, as somebody who may."""
        with psycopg.connect(self.address(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def one(self, sql: str) -> object:
        """The only value of a query's only row."""
        with psycopg.connect(self.address()) as connection:
            row = connection.execute(sql.encode()).fetchone()
        assert row is not None
        return row[0]


def programs() -> Path:
    """Where the server's programs are. Skips with a reason where there are none."""
    found = shutil.which("initdb")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folder = Path(found).resolve().parent if found else next(iter(places), None)
    if folder is None or not (folder / "postgres").exists():
        pytest.skip("no PostgreSQL server is installed here (initdb and postgres are not found)")
    return folder


@contextmanager
def running() -> Iterator[Server]:
    """A fresh server, stopped and forgotten afterwards."""
    bin_folder = programs()
    with tempfile.TemporaryDirectory(prefix="stratctl-pg-", dir="/tmp") as name:
        folder = Path(name)
        server = Server(folder, secrets.token_hex(12))
        (folder / "password").write_text(server.password)
        as_user: dict[str, object] = {}
        if os.getuid() == 0:
            user = pwd.getpwnam(NOBODY)
            for path in (folder, folder / "password"):
                os.chown(path, user.pw_uid, user.pw_gid)
            as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        environ = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": name}

        def call(*words: str) -> None:
            subprocess.run(  # type: ignore[call-overload]  # as_user is of several types
                [bin_folder / words[0], *words[1:]],
                check=True,
                capture_output=True,
                cwd=name,
                env=environ,
                timeout=120,
                **as_user,
            )

        call(
            *("initdb", "-D", f"{name}/data", "-U", "keeper", "-E", "UTF8", "--locale=C"),
            *("--auth=scram-sha-256", f"--pwfile={name}/password", "--no-sync"),
        )
        quick = "-c fsync=off -c listen_addresses= -c shared_buffers=16MB -c max_connections=10"
        control = ("pg_ctl", "-D", f"{name}/data", "-w", "-s")
        call(*control, "-l", f"{name}/log", "-o", f"{quick} -k {name}", "start")
        try:
            yield server
        finally:
            call(*control, "-m", "immediate", "stop")
