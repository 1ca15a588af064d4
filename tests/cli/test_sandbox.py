"""`stratctl sandbox` as a command: where it can be found, and why it cannot start."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stratctl.cli.exits import Exit
from stratctl.cli.running import run
from tests.cli.conftest import ROOT


def test_outside_a_project_it_writes_keys_where_it_stands(tmp_path: Path) -> None:
    """Without a project it serves all the same: one line of JSON, private keys, given prices."""
    prices = tmp_path / "prices.json"
    prices.write_text('{"BTC": 12345.670000000000001}', encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "stratctl", "sandbox", "--prices", str(prices)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    ready = json.loads(process.stdout.readline())
    keys = Path(ready["credentials"])
    process.terminate()
    assert process.stdout.read() == ""
    assert process.wait(timeout=10) == Exit.DONE
    process.stdout.close()
    assert keys == tmp_path / ".stratctl" / "credentials"
    assert keys.stat().st_mode & 0o777 == 0o600
    assert len(keys.read_text().splitlines()) == 6


@pytest.mark.parametrize("prices", ["[1, 2]", "{", '{"BTC": "free"}'])
def test_bad_prices_are_said(
    prices: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that holds no prices stops it with a reason."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.json").write_text(prices, encoding="utf-8")
    assert run(["sandbox", "--prices", "prices.json"]) == Exit.USAGE
    assert "the sandbox cannot start" in capsys.readouterr().err


def test_a_taken_port_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port that somebody else has stops it with a reason."""
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run(["sandbox", "--port", str(taken.getsockname()[1])]) == Exit.USAGE
    assert "the sandbox cannot start" in capsys.readouterr().err


def test_an_unknown_switch_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A behaviour that does not exist stops it with a reason."""
    monkeypatch.chdir(tmp_path)
    assert run(["sandbox", "--switch", "gravity=off"]) == Exit.USAGE
    assert "gravity" in capsys.readouterr().err
