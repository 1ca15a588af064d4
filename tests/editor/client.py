"""A small editor: it drives yaml-language-server over its standard input and output."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

Json = dict[str, Any]

CURSOR = "‸"
PATIENCE_SECONDS = 300
"""A server that takes longer than this for everything together is killed, which ends the test."""


class Editor:
    """One server process with one project open; files are opened with the text that is given."""

    def __init__(self, command: list[str], project: Path, settings: Mapping[str, Any]) -> None:
        self._project = project
        self._settings = settings
        self._requests = 0
        self._versions = 0
        self._underlined: dict[str, list[str]] = {}
        """What was last said about a file, as messages."""
        self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._watchdog = threading.Timer(PATIENCE_SECONDS, self._server.kill)

    def __enter__(self) -> Editor:
        self._watchdog.start()
        root = self._project.as_uri()
        self._ask(
            "initialize",
            processId=None,
            rootUri=root,
            workspaceFolders=[{"uri": root, "name": self._project.name}],
            capabilities={"workspace": {"configuration": True}},
        )
        # Asked for, so that the server says when it has taken the settings in: it looks at every
        # open file again then, which would be a second answer to opening one.
        self._tell("yaml/supportSchemaSelection")
        self._tell("initialized")
        while (message := self._receive()).get("method") != "yaml/schema/store/initialized":
            self._take(message)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watchdog.cancel()
        self._server.kill()
        self._server.communicate()

    # --- what a person sees --------------------------------------------------------------------

    def problems(self, texts: Mapping[Path, str]) -> dict[Path, list[str]]:
        """What is underlined in each of some files, as messages."""
        with self._opened(texts) as underlined:
            return underlined

    def offers(self, path: Path, text: str) -> list[str]:
        """What is offered where the cursor stands in a text."""
        (answer,) = self._at("completion", path, text)
        return [str(item["label"]) for item in answer["items"]]

    def explains(self, path: Path, text: str) -> list[str]:
        """What pops up over each word in which a cursor stands."""
        return [str(answer["contents"]["value"]) for answer in self._at("hover", path, text)]

    def _at(self, question: str, path: Path, text: str) -> list[Json]:
        """The answer for each cursor in a text."""
        pieces = text.split(CURSOR)
        before = ["".join(pieces[: count + 1]) for count in range(len(pieces) - 1)]
        with self._opened({path: "".join(pieces)}):
            return [
                self._ask(
                    f"textDocument/{question}",
                    textDocument={"uri": path.as_uri()},
                    position={
                        "line": part.count("\n"),
                        "character": len(part) - part.rfind("\n") - 1,
                    },
                )
                for part in before
            ]

    @contextmanager
    def _opened(self, texts: Mapping[Path, str]) -> Iterator[dict[Path, list[str]]]:
        """Open files, wait for what the server says about each, and close them.

        Opening and closing are both answered by exactly one list of findings, so none of them is
        ever taken for one about another text.
        """
        for path, text in texts.items():
            self._versions += 1  # the server keeps what it parsed by name and version
            document = {"uri": path.as_uri(), "languageId": "yaml", "text": text}
            self._tell("textDocument/didOpen", textDocument=document | {"version": self._versions})
        yield {path: self._said_about(path) for path in texts}
        for path in texts:
            self._tell("textDocument/didClose", textDocument={"uri": path.as_uri()})
            self._said_about(path)

    def _said_about(self, path: Path) -> list[str]:
        while (uri := path.as_uri()) not in self._underlined:
            self._take(self._receive())
        return self._underlined.pop(uri)

    # --- the protocol --------------------------------------------------------------------------

    def _ask(self, method: str, **params: Any) -> Any:
        self._requests += 1
        self._send({"id": self._requests, "method": method, "params": params})
        while (message := self._receive()).get("id") != self._requests or "method" in message:
            self._take(message)
        return message["result"]

    def _tell(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def _take(self, message: Json) -> None:
        """What the server says on its own: findings are kept, its questions are answered."""
        method, params = message.get("method"), message.get("params")
        if method == "textDocument/publishDiagnostics" and params:
            found = [str(finding["message"]) for finding in params["diagnostics"]]
            self._underlined[params["uri"]] = found
        elif method == "workspace/configuration" and params:
            wanted = [self._section(item["section"]) for item in params["items"]]
            self._send({"id": message["id"], "result": wanted})
        elif "id" in message:
            self._send({"id": message["id"], "result": None})

    def _section(self, name: str) -> Json:
        """The settings that begin with a word; the rest of a dotted key is a path."""
        made: Json = {}
        for key, value in self._settings.items():
            first, *steps, last = key.split(".")
            if first == name:
                part = made
                for step in steps:
                    part = part.setdefault(step, {})
                part[last] = value
        return made

    def _send(self, message: Json) -> None:
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._server.stdin is not None
        self._server.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
        self._server.stdin.flush()

    def _receive(self) -> Json:
        assert self._server.stdout is not None
        size = 0
        while (line := self._server.stdout.readline()) != b"\r\n":
            assert line, "the language server ended"
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                size = int(value)
        message: Json = json.loads(self._server.stdout.read(size))
        return message
