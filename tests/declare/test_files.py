"""The project folder: what is read, what is refused, and what the digest covers."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from stratctl.core.diagnostic import Span
from stratctl.core.errors import InputError, UsageError
from stratctl.core.tables import Workspace
from stratctl.load import find_root, read_project
from stratctl.load.files import Folder, Refused
from stratctl.resolve import resolve
from tests.declare.world import Project

SOURCE = "kind: Cohort\nversion: 1\nname: founders\nstrategy: blue-chip\nsource: {file: FILE}\n"
CSV = "participant_code,contributed\nCUST01,1.00\n"


def cohort(file: str) -> str:
    """A cohort whose members stand in a file."""
    return SOURCE.replace("FILE", file)


def test_the_root_is_found_from_below(tmp_path: Path) -> None:
    """Commands work from any folder of the project."""
    project = Project(tmp_path)
    below = tmp_path / "strategies" / "cohorts"
    below.mkdir()
    assert find_root(below) == project.root.resolve()


def test_without_a_project_file_there_is_no_root(tmp_path: Path) -> None:
    """Nothing is guessed."""
    with pytest.raises(UsageError, match=r"no stratctl\.yaml"):
        find_root(tmp_path)


def test_a_project_file_that_cannot_be_used_stops_at_once(tmp_path: Path) -> None:
    """Without environments nothing else has a meaning; its own mistakes are all reported."""
    Project(tmp_path, {"stratctl.yaml": "kind: Project\nversion: 1\nenvs: {}\n"})
    with pytest.raises(InputError) as raised:
        read_project(tmp_path, None, Workspace())
    assert [found.code for found in raised.value.diagnostics] == [
        "E_MISSING_KEY",
        "E_UNKNOWN_KEY",
    ]


def test_two_projects_in_one_file_are_one_too_many(tmp_path: Path) -> None:
    """Nobody knows which one was meant."""
    project = Project(tmp_path)
    text = (tmp_path / "stratctl.yaml").read_text("utf-8")
    project.write("stratctl.yaml", f"{text}---\n{text}")
    assert project.codes() == ["E_KIND_MISPLACED"]


def test_files_beginning_with_a_dot_and_other_suffixes_are_left_alone(tmp_path: Path) -> None:
    """Editors leave such files behind."""
    rubbish = {"strategies/.x.yaml": "?", "strategies/x.txt": "?", "strategies/.git/x.yaml": "?"}
    assert Project(tmp_path, dict(rubbish)).codes() == []


def test_nested_folders_and_both_suffixes_are_read(tmp_path: Path) -> None:
    """Folders are for people; every document counts."""
    text = "kind: Strategy\nversion: 1\nname: NAME\nquoted_currency: USD\nallocations: {BTC: 1}\n"
    files = {
        "strategies/a/b/c.yml": text.replace("NAME", "deep"),
        "strategies/d.yml": text.replace("NAME", "flat"),
    }
    names = [found.name for found in Project(tmp_path, dict(files)).declare().desired.strategies]
    assert names == ["blue-chip", "deep", "flat"]


def test_a_project_without_documents_is_a_mistake(tmp_path: Path) -> None:
    """An empty folder never means: remove everything."""
    project = Project(tmp_path)
    for path in (tmp_path / "strategies").iterdir():
        path.unlink()
    assert project.codes() == ["E_EMPTY_CONFIG"]


def test_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    """What a reviewer does not see in the repository does not count."""
    outside = tmp_path / "outside.csv"
    outside.write_text(CSV)
    project = Project(tmp_path / "p", {"strategies/founders.yaml": cohort("x.csv")})
    (project.root / "strategies/x.csv").symlink_to(outside)
    assert project.codes() == ["E_INCLUDE_OUTSIDE"]


def test_a_link_inside_the_project_is_followed(tmp_path: Path) -> None:
    """It leads to a file that reviewers see."""
    files = {"strategies/founders.yaml": cohort("x.csv"), "tables/real.csv": CSV}
    project = Project(tmp_path, dict(files))
    (tmp_path / "strategies/x.csv").symlink_to("../tables/real.csv")
    assert project.codes() == []


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop"])
def test_what_is_not_a_plain_file_is_refused(tmp_path: Path, kind: str) -> None:
    """A pipe would wait for ever, a loop lead nowhere."""
    project = Project(tmp_path, {"strategies/founders.yaml": cohort("x.csv")})
    path = tmp_path / "strategies/x.csv"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("x.csv")
    assert project.codes() == ["E_INCLUDE_NOT_REGULAR"]


def test_a_linked_folder_is_refused_and_not_forgotten(tmp_path: Path) -> None:
    """Its documents would silently be missing otherwise."""
    project = Project(tmp_path / "p")
    (tmp_path / "elsewhere").mkdir()
    (project.root / "strategies/more").symlink_to(tmp_path / "elsewhere")
    assert project.codes() == ["E_INCLUDE_OUTSIDE"]


def test_an_unreadable_file_is_a_finding(tmp_path: Path) -> None:
    """Never a traceback; who runs as root may read everything, and then nothing is wrong."""
    project = Project(tmp_path)
    file = tmp_path / "strategies/founders.yaml"
    file.chmod(0)
    assert project.codes() == ([] if os.access(file, os.R_OK) else ["E_INCLUDE_NOT_REGULAR"])


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """What was checked must be what was used."""
    path = Project(tmp_path).write("strategies/x.parquet", "one")
    holding = Folder(tmp_path).held("strategies/x.parquet")
    assert holding.__enter__().path.read_text() == "one"
    path.write_text("another")
    with pytest.raises(Refused) as raised:
        holding.__exit__(None, None, None)
    assert raised.value.at(Span("f")).code == "E_FILE_CHANGED"


# --- patterns --------------------------------------------------------------------------------


def test_a_pattern_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    """Whatever the folder hands out first; the digest covers each of the files."""
    files: dict[str, str | bytes] = {"strategies/founders.yaml": cohort("cohorts/f-*.csv")}
    for number in (3, 1, 2, 10):
        files[f"strategies/cohorts/f-{number}.csv"] = CSV.replace("CUST01", f"CUST{number:02d}")
    project = Project(tmp_path, files)
    before = project.declare().desired
    assert len(before.rows) == 4
    folder = Folder(tmp_path)
    assert folder.matching("cohorts/f-*.csv", "strategies/founders.yaml") == [
        f"strategies/cohorts/f-{number}.csv" for number in (1, 10, 2, 3)
    ]
    project.write("strategies/cohorts/f-4.csv", CSV.replace("CUST01", "CUST04"))
    assert project.declare().desired.digest != before.digest


def test_sixty_files_are_one_cohort(tmp_path: Path) -> None:
    """More than are read where they stand, each row with its own file and line."""
    files: dict[str, str | bytes] = {"strategies/founders.yaml": cohort("f-*.csv")}
    for number in range(60):
        files[f"strategies/f-{number:02d}.csv"] = CSV.replace("CUST01", f"CUST{number:02d}")
    project = Project(tmp_path, files)
    rows = project.declare().desired.rows
    assert rows.workspace.rows(f"SELECT participant_code, file, line FROM {rows} ORDER BY 1") == [
        (f"CUST{number:02d}", f"strategies/f-{number:02d}.csv", 2) for number in range(60)
    ]
    project.write("strategies/f-59.csv", CSV.replace("CUST01", "CUST00"))
    (found,) = project.says()
    assert (found.code, found.span) == ("E_DUP_PARTICIPANT", Span("strategies/f-59.csv", 2, 1))
    assert "strategies/f-00.csv:2" in found.detail


def test_a_pattern_does_not_follow_a_link_out_of_the_project(tmp_path: Path) -> None:
    """A link among the matches is held to the same rules, and so is a linked folder."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/f-1.csv").write_text(CSV)
    files = {"strategies/founders.yaml": cohort("cohorts/f-*.csv")}
    project = Project(tmp_path / "p", dict(files))
    (project.root / "strategies/cohorts").symlink_to(tmp_path / "outside")
    # Of the folder, which is looked for documents too, and of the pattern.
    assert project.codes() == ["E_INCLUDE_OUTSIDE", "E_INCLUDE_OUTSIDE"]
    (project.root / "strategies/cohorts").unlink()
    (project.root / "strategies/cohorts").mkdir()
    (project.root / "strategies/cohorts/f-1.csv").symlink_to(tmp_path / "outside/f-1.csv")
    assert project.codes() == ["E_INCLUDE_OUTSIDE"]


def test_a_file_that_is_matched_twice_names_everybody_twice(tmp_path: Path) -> None:
    """Under another name it is another file, and nobody is funded twice for it."""
    files: dict[str, str | bytes] = {
        "strategies/founders.yaml": cohort("f-*.csv")
        + "funding:\n  - {key: paid, file: paid-*.csv}\n",
        "strategies/f-1.csv": CSV,
        "strategies/paid-1.csv": "participant_code,amount\nCUST01,1.00\n",
    }
    project = Project(tmp_path, files)
    assert project.codes() == []
    (tmp_path / "strategies/f-2.csv").symlink_to("f-1.csv")
    (tmp_path / "strategies/paid-2.csv").hardlink_to(tmp_path / "strategies/paid-1.csv")
    assert project.codes() == ["E_DUP_PARTICIPANT", "E_DUP_PARTICIPANT"]


@pytest.mark.parametrize(
    "name", [b"f-\xe2\x80\xae.csv", b"f-?.csv", b"f-$x.csv", b"f-\n.csv", b"f-\xff.csv"]
)
def test_a_pattern_matches_plain_names_only(tmp_path: Path, name: bytes) -> None:
    """A name that nobody could see or write down is refused, and neither read nor forgotten."""
    project = Project(tmp_path, {"strategies/founders.yaml": cohort("f-*.csv")})
    project.write("strategies/f-1.csv", CSV)
    (tmp_path / "strategies" / os.fsdecode(name)).write_text(CSV)
    assert project.codes() == ["E_INCLUDE_OUTSIDE"]


# --- environments ----------------------------------------------------------------------------

TWO = """kind: Project
version: 1
environments:
  cert:
    {realm: cert, endpoint: "https://api.cert.zerohash.com", platform_code: PLAT01,
     funding_model: novated}
  sandbox: {realm: sandbox, endpoint: sandbox, platform_code: PLAT02, funding_model: standard}
"""


def test_one_environment_needs_no_name(tmp_path: Path) -> None:
    """The only one is meant."""
    assert Project(tmp_path).declare().environment.name == "sandbox"


def test_several_environments_need_a_name_or_a_default(tmp_path: Path) -> None:
    """A guess could reach the wrong platform."""
    project = Project(tmp_path, {"stratctl.yaml": TWO})
    with pytest.raises(UsageError, match="several environments: cert, sandbox"):
        project.declare()
    project.write("stratctl.yaml", TWO + "default_environment: cert\n")
    assert project.declare().environment.name == "cert"
    assert project.declare("sandbox").environment.platform_code == "PLAT02"


def test_an_unknown_environment_names_the_known_ones(tmp_path: Path) -> None:
    """A mistyped name must not fall back to another platform."""
    with pytest.raises(UsageError) as raised:
        Project(tmp_path).declare("sandbx")
    assert raised.value.hint == "did you mean sandbox?"


def test_documents_of_other_environments_are_left_out(tmp_path: Path) -> None:
    """They are checked, but they declare nothing here, and their tables are not read."""
    files = {
        "stratctl.yaml": TWO,
        "strategies/founders.yaml": cohort("missing.csv") + "environments: [cert]\n",
    }
    project = Project(tmp_path, dict(files))
    assert project.codes("sandbox") == []
    assert len(project.declare("sandbox").desired.rows) == 0
    assert project.codes("cert") == ["E_FILE_MISSING"]


def test_every_environment_reads_all_tables(tmp_path: Path) -> None:
    """``validate`` looks at everything."""
    files = {
        "stratctl.yaml": TWO,
        "strategies/founders.yaml": cohort("missing.csv") + "environments: [cert]\n",
    }
    Project(tmp_path, dict(files))
    documents = read_project(tmp_path, "sandbox", Workspace(), every_environment=True)
    assert [found.code for found in documents.problems] == ["E_FILE_MISSING"]
    assert documents.environments == ("cert", "sandbox")


# --- digest ----------------------------------------------------------------------------------


def test_the_digest_follows_every_byte_that_was_read(tmp_path: Path) -> None:
    """Any change of any file that counts is another configuration; of others it is not."""
    files = {"strategies/founders.yaml": cohort("x.csv"), "strategies/x.csv": CSV}
    project = Project(tmp_path, dict(files))
    before = project.declare().desired.digest
    assert project.declare().desired.digest == before
    project.write("strategies/notes.txt", "nothing")
    assert project.declare().desired.digest == before
    seen = {before}
    for name in ("stratctl.yaml", "policy.yaml", "strategies/founders.yaml", "strategies/x.csv"):
        path = tmp_path / name
        path.write_text(path.read_text() + ("\n" if name.endswith("csv") else "# more\n"))
        digest = project.declare().desired.digest
        assert digest not in seen
        seen.add(digest)


def test_the_digest_does_not_depend_on_what_other_environments_read(tmp_path: Path) -> None:
    """``validate`` and ``plan`` speak of the same configuration."""
    other = SOURCE.replace("FILE", "y.csv").replace("founders", "other") + "environments: [cert]\n"
    files = {"stratctl.yaml": TWO, "strategies/other.yaml": other, "strategies/y.csv": CSV}
    project = Project(tmp_path, dict(files))
    workspace = Workspace()
    documents = read_project(tmp_path, "sandbox", workspace, every_environment=True)
    resolved = resolve(documents, "sandbox", workspace)
    assert resolved.desired.digest == project.declare("sandbox").desired.digest
    assert "strategies/y.csv" in documents.files


COHORT = "kind: Cohort\nversion: 1\nname: more\nstrategy: blue-chip\nsource: live\n"


@pytest.mark.parametrize(
    ("text", "codes", "last"),
    [
        (
            COHORT + "".join(f"key{n}: 1\n" for n in range(20_000)),
            {"E_UNKNOWN_KEY"},
            "what else is wrong in this document is not looked for",
        ),
        (
            COHORT + "---\nkind: Cohort\n" * 20_000,
            {"E_MISSING_KEY", "E_EMPTY_COHORT"},
            "the rest of this file is not looked at",
        ),
        (
            COHORT + f"previously: [{'a, ' * 20_000}a]",
            {"E_DUP_ITEM"},
            "what else is wrong in this document is not looked for",
        ),
        (
            COHORT + f"previously: [{'a, 1, ' * 20_000}a]",
            {"E_TYPE_STRING_REQUIRED"},
            "what else is wrong in this document is not looked for",
        ),
    ],
    ids=["keys", "documents", "repeats", "mixed"],
)
def test_a_large_file_of_mistakes_is_answered_shortly_and_soon(
    tmp_path: Path, text: str, codes: set[str], last: str
) -> None:
    """Some hundred findings, the last of which says that there may be more, within seconds."""
    project = Project(tmp_path, {"strategies/more.yaml": text})
    begun = time.process_time()
    found = project.says()
    assert time.process_time() - begun < 2.0
    assert 100 <= len(found) < 110
    assert {one.code for one in found} == codes
    assert sum(last in one.detail for one in found) == 1
