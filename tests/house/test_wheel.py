"""The wheel: what is in it, and that it runs without the development parts."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ALONE = """\
import sys

class OnlyWhatRuns:
    "Refuses what the runtime lock does not install."
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {development}:
            raise ImportError(name + " is a development part")

sys.meta_path.insert(0, OnlyWhatRuns())
sys.path.insert(0, sys.argv.pop(1))
import stratctl
assert stratctl.__file__.startswith(sys.path[0]), stratctl.__file__
from stratctl.cli import main
sys.argv[0] = "stratctl"
sys.exit(main())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built and unpacked where an installer would put it."""
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", place],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


def names(lock: str) -> set[str]:
    """The packages of a lock, as they are imported."""
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    return {line.split("==")[0].replace("-", "_") for line in lines if "==" in line}


def test_the_wheel_holds_the_package_and_what_it_reads(installed: Path) -> None:
    """Inside are stratctl, the schemas and the page about findings, nothing else."""
    assert {path.name for path in installed.iterdir() if not path.name.endswith("dist-info")} == {
        "stratctl"
    }
    shipped = {path.name for path in (installed / "stratctl" / "schemas").iterdir()}
    assert shipped == {path.name for path in (ROOT / "schemas").glob("*.json")}
    assert "plan.schema.json" in shipped
    page = Path("docs", "diagnostics.md")
    assert (installed / "stratctl" / page).read_text("utf-8") == (ROOT / page).read_text("utf-8")


def test_the_wheel_runs_without_the_development_parts(installed: Path, tmp_path: Path) -> None:
    """The installed command says what it can do, with nothing around it but what it depends on."""
    development = names("dev.txt") - names("runtime.txt")
    assert {"pytest", "polars", "hypothesis"} <= development
    for arguments in (["--help"], ["schema", "strategy"]):
        script = ALONE.format(development=development)
        run = subprocess.run(
            [sys.executable, "-I", "-c", script, str(installed), *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
        assert run.stdout
