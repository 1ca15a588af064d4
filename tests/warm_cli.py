"""The command line without its start-up: a ``stratctl`` on the path whose processes are forks.

Half of what a short command costs is loading the program. For tests of many commands in a row,
``python -m tests.warm_cli SOCKET`` loads all of it once. A small program named ``stratctl`` hands
it the arguments, the folder, the environment and the three streams; a new process runs the command
with them, and the small program ends as that one ends. SIGINT and SIGTERM are passed on; whatever
else ends the small program ends that one too.
Whether each command loads what it needs is seen where real processes are started: by the demo, and
by the tests of the command line.
"""

from __future__ import annotations

import array
import importlib
import marshal
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]

_CLIENT = """\
#!{python} -IS
import _signal, _socket, array, marshal, os, sys

server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
server.connect({address!r})
streams = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))
said = marshal.dumps((sys.argv[1:], os.getcwd(), dict(os.environ)))
server.sendmsg([len(said).to_bytes(4, "big")], [streams])
server.sendall(said)
for number in (_signal.SIGINT, _signal.SIGTERM):
    _signal.signal(number, lambda number, frame: server.sendall(bytes([number])))
ended = int.from_bytes(server.recv(4), "big", signed=True)
if ended < 0:
    _signal.signal(-ended, _signal.SIG_DFL)
    os.kill(os.getpid(), -ended)
os._exit(ended)
"""


@contextmanager
def warm_cli() -> Iterator[Path]:
    """The small program, while its server runs."""
    # Not in a folder of a test's: the address of such a socket may have a hundred characters.
    with tempfile.TemporaryDirectory(prefix="stratctl-") as folder:
        address = f"{folder}/socket"
        program = Path(folder) / "stratctl"
        program.write_text(_CLIENT.format(python=sys.executable, address=address), "utf-8")
        program.chmod(0o755)
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.warm_cli", address], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == b"ready\n"
            yield program
        finally:
            server.terminate()
            server.wait(timeout=30)
            server.stdout.close()


# --- the server ------------------------------------------------------------------------------


def main() -> NoReturn:
    """Load everything, say so, and carry out commands until the process is ended."""
    package = importlib.import_module("stratctl")
    for module in pkgutil.walk_packages(package.__path__, "stratctl."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a keeper ended
    while True:
        client, _ = listener.accept()
        if not os.fork():
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _keep(client)
        client.close()


def _keep(client: socket.socket) -> NoReturn:
    """Run the client's command in one more process, and see both of them through to the end."""
    head, ancillary, _, _ = client.recvmsg(4, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    streams = array.array("i", ancillary[0][2])
    arguments, folder, environ = marshal.loads(_read(client, int.from_bytes(head, "big")))
    ending, lasting = os.pipe()  # the child alone holds the end that lasts
    child = os.fork()
    if not child:
        client.close()
        os.close(ending)
        _run(arguments, folder, environ, streams)
    for number in (lasting, *streams):
        os.close(number)
    watched: list[Any] = [client, ending]
    while ending not in select.select(watched, [], [])[0]:
        told = client.recv(1)
        os.kill(child, told[0] if told else signal.SIGKILL)
        if not told:
            os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    client.sendall(status.to_bytes(4, "big", signed=True))
    os._exit(0)


def _read(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += client.recv(size - len(data))
    return data


def _run(
    arguments: list[str], folder: str, environ: dict[str, str], streams: array.array[int]
) -> NoReturn:
    """Be the command."""
    from stratctl.cli import main as command

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    sys.argv = ["stratctl", *arguments]
    code: object = 1
    try:
        command()
    except SystemExit as ended:
        code = ended.code
    finally:
        # Nothing of this process may come back into the loop that it was forked from.
        if sys.exc_info()[0] is not None:
            sys.excepthook(*sys.exc_info())
        for written in (sys.stdout, sys.stderr):
            written.flush()
        os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
