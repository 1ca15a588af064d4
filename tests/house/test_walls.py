"""The walls between the parts stand: each rule in pyproject.toml catches a planted breach.

A rule that matches nothing passes for ever, so each is shown one thing that it must refuse, in a
small tree that has the project's shape and the project's real pyproject.toml.
"""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.warm import Warm

ROOT = Path(__file__).parents[2]
Walls = Callable[[], str]
BIN = Path(sys.executable).parent
TOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
CONTRACTS = {contract["name"]: contract for contract in TOOLS["importlinter"]["contracts"]}


def contract(beginning: str) -> Any:
    """The contract whose name begins so."""
    (found,) = (value for name, value in CONTRACTS.items() if name.startswith(beginning))
    return found


STAGES = contract("Layers")["layers"][2].split(" | ")
PURE = contract("Pure parts")["source_modules"]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A tree with an empty module wherever a contract names one."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    modules = {
        f"stratctl.{name}" for layer in contract("Layers")["layers"] for name in layer.split(" | ")
    }
    modules |= {"stratctl", "stratctl.sandbox", *PURE}
    for module in modules:
        package = tmp_path.joinpath(*module.split("."))
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text('"""Empty."""\n')
    return tmp_path


def plant(house: Path, module: str, *lines: str) -> None:
    """Add lines to a module of the tree."""
    with house.joinpath(*module.split("."), "__init__.py").open("a") as file:
        file.write("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def linter() -> Iterator[Warm]:
    """Import linters without a start-up."""
    with Warm("tests.house.walls") as opened:
        yield opened


@pytest.fixture
def walls(linter: Warm, house: Path) -> Walls:
    """Asks what the import linter says about the tree."""

    def ask() -> str:
        code, said = linter(str(house))
        assert code == 0
        return said

    return ask


def lint(house: Path) -> set[str]:
    """The codes of the rules that ruff finds broken in the tree."""
    run = subprocess.run(
        [BIN / "ruff", "check", "--no-cache", "--output-format", "concise", "."],
        cwd=house,
        capture_output=True,
        text=True,
    )
    return {line.split()[1] for line in run.stdout.splitlines() if ".py:" in line}


def test_an_empty_house_is_sound(walls: Walls, house: Path) -> None:
    """Without a breach both linters are content, so what they say below is about the breach."""
    assert "0 broken" in walls()
    assert lint(house) == set()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_cannot_import_another(walls: Walls, house: Path, stage: str) -> None:
    """A stage that imports the next one, lazily even, breaks the layers."""
    other = STAGES[(STAGES.index(stage) + 1) % len(STAGES)]
    plant(house, f"stratctl.{stage}", "def later():", f"    import stratctl.{other}")
    assert f"stratctl.{stage} is not allowed to import stratctl.{other}" in walls()


@pytest.mark.parametrize(
    ("lower", "upper"),
    [("pipeline", "cli"), ("plan", "pipeline"), ("documents", "load"), ("core", "documents")],
)
def test_a_lower_layer_cannot_import_an_upper(
    walls: Walls, house: Path, lower: str, upper: str
) -> None:
    """The shared words do not know the stages, nor the stages their order."""
    plant(house, f"stratctl.{lower}", f"import stratctl.{upper}")
    assert f"stratctl.{lower} is not allowed to import stratctl.{upper}" in walls()


def test_a_new_part_must_find_its_layer(walls: Walls, house: Path) -> None:
    """A module that no layer names is refused until somebody says where it stands."""
    newcomer = house / "stratctl" / "newcomer.py"
    newcomer.write_text('"""Empty."""\n')
    assert "newcomer" in walls()


@pytest.mark.parametrize("part", ["core", "documents", "live", "plan", "pipeline"])
def test_the_sandbox_shares_no_code(walls: Walls, house: Path, part: str) -> None:
    """The sandbox imports nothing of stratctl: a mistake in both would hide itself."""
    plant(house, "stratctl.sandbox", f"import stratctl.{part}")
    assert f"stratctl.sandbox is not allowed to import stratctl.{part}" in walls()


@pytest.mark.parametrize("part", ["core", "live", "apply", "view"])
def test_only_starters_import_the_sandbox(walls: Walls, house: Path, part: str) -> None:
    """Nothing that plans or applies can reach into the sandbox."""
    plant(house, f"stratctl.{part}", "import stratctl.sandbox")
    assert f"stratctl.{part} -> stratctl.sandbox" in walls()


@pytest.mark.parametrize("module", contract("Pure parts")["forbidden_modules"])
def test_a_pure_part_cannot_reach_the_world(walls: Walls, house: Path, module: str) -> None:
    """A pure part that imports the world, directly or through a friend, is refused."""
    plant(house, "stratctl.core", f"import {module}")
    plant(house, "stratctl.plan", "import stratctl.core")
    said = walls()
    assert f"stratctl.core is not allowed to import {module}" in said
    assert f"stratctl.plan is not allowed to import {module}" in said


@pytest.mark.parametrize("part", contract("SQL is")["source_modules"])
def test_only_those_who_speak_sql_import_the_engine(walls: Walls, house: Path, part: str) -> None:
    """The engine of tables stays out of what does not speak its language."""
    plant(house, part, "import duckdb")
    assert f"{part} is not allowed to import duckdb" in walls()


@pytest.mark.parametrize("part", PURE)
def test_a_pure_part_has_no_clock_no_files_and_no_voice(house: Path, part: str) -> None:
    """A clock, a file, chance and print are each found in every pure part."""
    for name, lines, code in (
        ("a clock", ("import time", "", "NOW = time.time()"), "TID251"),
        ("a date", ("from datetime import UTC, datetime", "", "NOW = datetime.now(UTC)"), "TID251"),
        ("chance", ("import random", "", "DICE = random.random()"), "TID251"),
        ("the environment", ("import os", "", "HOME = os.environ"), "TID251"),
        ("a path", ("from pathlib import Path", "", "HERE = Path.cwd()"), "TID251"),
        ("a file", ('TEXT = open("x")',), "PTH123"),
        ("a voice", ('print("hello")',), "T201"),
    ):
        module = house.joinpath(*part.split("."), "__init__.py")
        module.write_text('"""Empty."""\n\n' + "\n".join(lines) + "\n")
        assert code in lint(house), f"{name} in {part}"


def test_only_the_command_line_prints(house: Path) -> None:
    """print is refused in a part that may do anything else, and allowed in the command line."""
    plant(house, "stratctl.cli", "", 'print("hello")')
    assert lint(house) == set()
    plant(house, "stratctl.pipeline", "", 'print("hello")')
    assert lint(house) == {"T201"}


@pytest.mark.parametrize(
    "module", TOOLS["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"]
)
def test_the_command_line_starts_light(house: Path, module: str) -> None:
    """A heavy import at the top of the command line is refused; inside a function it is not."""
    plant(
        house,
        "stratctl.cli",
        "",
        "",
        "def command() -> None:",
        '    """Say so."""',
        f"    import {module}",
        "",
        f"    print({module})",
    )
    assert lint(house) == set()
    (house / "stratctl" / "cli" / "other.py").write_text(
        f'"""Heavy."""\n\nimport {module}\n\nX = {module}\n'
    )
    assert lint(house) == {"TID253"}
