"""Git as a subprocess: nobody's hooks, no prompts, a bounded environment and a bounded time.

Credentials and the way to a remote are Git's own business (its helpers, ``url.*.insteadOf``,
``core.sshCommand``); everything else that a person may have configured is switched off here, so
that the same words do the same everywhere. The working tree and the index are never touched.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

LOCAL_SECONDS = 30.0
NETWORK_SECONDS = 90.0

_KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|TMPDIR|XDG_CONFIG_HOME|XDG_CACHE_HOME|XDG_RUNTIME_DIR"
    r"|SSH_AUTH_SOCK|SSL_CERT_FILE|SSL_CERT_DIR|CURL_CA_BUNDLE|(?i:https?_proxy|no_proxy|all_proxy)"
)
"""What Git and the programs that it starts may know of the environment. Everything else stays
here, the provider's keys among it."""

_SAID = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "SSH_ASKPASS_REQUIRE": "never",
    # An author that says nothing of the machine or of the person; who applied is in the entries.
    **{f"GIT_{who}_NAME": "stratctl" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "stratctl@localhost" for who in ("AUTHOR", "COMMITTER")},
}

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.askPass=",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "push.followTags=false",
    "push.gpgSign=false",
    "push.recurseSubmodules=no",
    "submodule.recurse=false",
    "transfer.fsckObjects=true",
    "protocol.ext.allow=never",
)

_SECRET = re.compile(r"(?<=//)[^/@\s]*@")
"""User and password of an address, as somebody may have written them into a remote."""


class GitFailed(Exception):
    """A git command did not do what it was told; ``text`` says why, in its own words."""

    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Git:
    """The commands of one repository."""

    def __init__(self, root: Path, environ: Mapping[str, str] | None = None) -> None:
        self._root = root
        given = os.environ if environ is None else environ
        kept = {name: value for name, value in given.items() if _KEPT.fullmatch(name)}
        self._environ = {**kept, **_SAID}

    def __call__(
        self,
        *words: str,
        data: bytes = b"",
        seconds: float = LOCAL_SECONDS,
        environ: Mapping[str, str] | None = None,
    ) -> bytes:
        """What the command prints. Raises GitFailed."""
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        command = ["git", "-C", str(self._root), *settings, *words]
        try:
            # A session of its own: it has no terminal to ask on, a Ctrl-C does not tear a push,
            # and all that it started can be ended with it.
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**self._environ, **(environ or {})},
                start_new_session=True,
            )
        except OSError as error:
            raise GitFailed(f"git cannot be started: {error.strerror}", code=127) from error
        with process:
            try:
                out, said = process.communicate(data, timeout=seconds)
            except subprocess.TimeoutExpired as error:
                text = f"git {words[0]} took longer than {seconds:g} s"
                raise GitFailed(text, code=124) from error
            finally:
                _end(process)
        if process.returncode:
            raise GitFailed(_reason(said, words[0]), code=process.returncode)
        return out

    def text(self, *words: str, data: bytes = b"", seconds: float = LOCAL_SECONDS) -> str:
        """The same as text, without its last line feed. Raises GitFailed."""
        return self(*words, data=data, seconds=seconds).decode("utf-8", "replace").rstrip("\n")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what still runs, whatever made us stop listening: git and all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _reason(said: bytes, word: str) -> str:
    """The line of git's words that tells why, without anybody's password."""
    lines = said.decode("utf-8", "replace").splitlines()
    told = [line for line in lines if line.startswith(("fatal:", "error:", "remote: error", " ! "))]
    chosen = (told or [line for line in lines if line.strip()] or [f"git {word} failed"])[0]
    text = "".join(char if char.isprintable() else " " for char in chosen)
    return _SECRET.sub("…@", text.removeprefix("fatal: ").removeprefix("error: ").strip())[:300]
