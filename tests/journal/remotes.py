"""Git remotes on this machine: bare repositories, behind file:// or behind a tiny web server."""

from __future__ import annotations

import os
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path


def git(at: Path, *words: str, data: bytes = b"") -> str:
    """Run git as a person would, with nobody's configuration."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(at),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_NAME": "somebody" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "somebody@localhost" for who in ("AUTHOR", "COMMITTER")},
    }
    ran = subprocess.run(
        ["git", "-C", str(at), *words], input=data, capture_output=True, env=environ, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout.decode().strip()


def bare(at: Path) -> Path:
    """A new remote that takes pushes."""
    return _repository(at, "[core]\n\tbare = true\n[http]\n\treceivepack = true\n")


def clone(at: Path, address: str) -> Path:
    """A new repository whose origin is the address; nothing is fetched."""
    fetch = "+refs/heads/*:refs/remotes/origin/*"
    _repository(at / ".git", f'[remote "origin"]\n\turl = {address}\n\tfetch = {fetch}\n')
    return at


def _repository(at: Path, config: str) -> Path:
    """What ``git init`` makes, without a process."""
    for folder in ("objects", "refs/heads", "refs/tags"):
        (at / folder).mkdir(parents=True)
    (at / "HEAD").write_text("ref: refs/heads/main\n")
    (at / "config").write_text(f"[core]\n\trepositoryformatversion = 0\n{config}")
    return at


def plant(remote: Path, ref: str, files: dict[str, bytes]) -> str:
    """Put a commit on a branch of a bare repository behind everybody's back."""
    entries = ""
    for name, data in files.items():
        blob = git(remote, "hash-object", "-w", "--stdin", data=data)
        entries += f"100644 blob {blob}\t{name}\0"
    tree = git(remote, "mktree", "-z", data=entries.encode())
    heads = git(remote, "for-each-ref", "--format=%(objectname)", ref)
    parents = ["-p", heads] if heads else []
    commit = git(remote, "commit-tree", tree, *parents, data=b"planted\n")
    git(remote, "update-ref", ref, commit)
    return commit


class Web:
    """What ``git http-backend`` serves, with the faults of a network."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.lose_replies = 0
        """How many answers to pushes are lost after the push was carried out."""
        self.token = ""
        """When set, who knows it may come in."""


@contextmanager
def web(root: Path) -> Iterator[Web]:
    """Serve the bare repositories below a folder over http on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve(b"")

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length")
            self._serve(self.rfile.read(int(length)) if length else _chunks(self.rfile))

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _serve(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            wanted = f"Basic {b64encode(f'x:{served.token}'.encode()).decode()}"
            if served.token and self.headers.get("Authorization") != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.end_headers()
                return
            said = subprocess.run(
                ["git", "http-backend"],
                input=body,
                stdout=subprocess.PIPE,
                check=True,
                env={
                    "PATH": os.environ["PATH"],
                    "GIT_PROJECT_ROOT": str(root),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                    "REQUEST_METHOD": self.command,
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                },
            ).stdout
            if path.endswith("/git-receive-pack") and served.lose_replies:
                served.lose_replies -= 1
                self.close_connection = True
                return
            head, _, rest = said.partition(b"\r\n\r\n")
            fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
            status = dict(fields).get("Status", "200").split()[0]
            self.send_response(int(status))
            for name, value in fields:
                if name != "Status":
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(rest)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Web(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _chunks(stream: BufferedIOBase) -> bytes:
    """A body that is sent in pieces of announced length."""
    body = b""
    while length := int(stream.readline(), 16):
        body += stream.read(length)
        stream.readline()
    stream.readline()
    return body
