"""``stratctl fmt`` as people and editors use it: what it lists, what it writes, how it ends."""

from __future__ import annotations

import io
import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stratctl import fmt
from stratctl.cli.running import run
from stratctl.core.errors import UsageError
from stratctl.load.yaml import BYTES_MAX
from stratctl.pipeline.formatting import Target, format_bytes, write
from tests.declare.world import Project

UNTIDY = 'name:  "founders"\nkind: Cohort\n'
TIDY = "kind: Cohort\nname: founders\n"
TWO = "strategies/blue-chip.yaml\nstrategies/founders.yaml\n"

Fmt = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A small project, in which one starts: its Strategy and its cohort are not formatted yet."""
    made = Project(tmp_path, {"strategies/founders.yaml": UNTIDY})
    made.write("stratctl.yaml", fmt.formatted((tmp_path / "stratctl.yaml").read_text()))
    path = tmp_path / "strategies/blue-chip.yaml"
    path.write_text(
        "# About it.\n\n" + path.read_text().replace("name: blue-chip", "name:   blue-chip")
    )
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Fmt:
    """Run one command line; its exit code, standard output and standard error."""

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["fmt", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_it_rewrites_what_differs_and_lists_it(project: Project, said: Fmt) -> None:
    """The second time there is nothing to do, and nothing is written."""
    assert said() == (0, TWO, "2 files formatted, 2 files already in order.\n")
    path = project.root / "strategies/founders.yaml"
    assert path.read_text() == TIDY
    written = path.stat()
    assert said() == (0, "", "4 files in order.\n")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_check_writes_nothing_and_exits_with_one(project: Project, said: Fmt) -> None:
    """A workflow stops at files that are not formatted, and only then."""
    assert said("--check") == (1, TWO, "2 files to format, 2 files already in order.\n")
    assert (project.root / "strategies/founders.yaml").read_text() == UNTIDY
    said()
    assert said("--check")[0] == 0


def test_diff_writes_nothing_and_shows_a_patch(project: Project, said: Fmt) -> None:
    """What would change is shown; with --check it is also the exit code."""
    code, out, _ = said("--diff", "strategies/founders.yaml")
    assert (code, out) == (
        0,
        "--- strategies/founders.yaml\toriginal\n+++ strategies/founders.yaml\tformatted\n"
        '@@ -1,2 +1,2 @@\n-name:  "founders"\n kind: Cohort\n+name: founders\n',
    )
    assert said("--diff", "--check", "strategies/founders.yaml")[:2] == (1, out)
    assert (project.root / "strategies/founders.yaml").read_text() == UNTIDY


def test_a_patch_says_where_a_last_line_had_no_end(project: Project, said: Fmt) -> None:
    """A file that ends without a newline gets one, and the patch can be applied."""
    project.write("strategies/founders.yaml", TIDY.removesuffix("\n"))
    assert "-name: founders\n\\ No newline at end of file\n+name: founders\n" in said("--diff")[1]


def test_the_mode_of_a_file_and_a_link_to_it_stay(project: Project, said: Fmt) -> None:
    """What stands in the place of the file is the same file to everybody but its text."""
    path = project.root / "strategies/founders.yaml"
    path.chmod(0o640)
    link = project.root / "strategies/linked.yaml"
    link.symlink_to("../strategies/founders.yaml")
    assert said("strategies/linked.yaml")[0] == 0
    assert link.is_symlink()
    assert path.read_text() == TIDY
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(path.name for path in (project.root / "strategies").iterdir()) == [
        "blue-chip.yaml",
        "founders.yaml",
        "linked.yaml",
    ]


def test_a_broken_file_is_reported_and_left_while_others_are_formatted(
    project: Project, said: Fmt
) -> None:
    """Every mistake has its place, as validate shows it."""
    project.write("strategies/founders.yaml", "name:  x\nkind: &a Cohort\n")
    code, out, err = said()
    assert (code, out) == (1, "strategies/blue-chip.yaml\n")
    assert "1 file formatted, 2 files already in order, 1 file with mistakes left as it is." in err
    assert "strategies/founders.yaml:2:7: error E_YAML_ALIAS" in err
    assert (project.root / "strategies/founders.yaml").read_text() == "name:  x\nkind: &a Cohort\n"


def test_machines_read_the_same(project: Project, said: Fmt) -> None:
    """JSON names every file that was looked at, what changes, and the findings."""
    project.write("stratctl.yaml", "a: b: c\n")
    code, out, _ = said("--json", "--check", "stratctl.yaml", "strategies")
    found = json.loads(out)
    assert code == found["exit_code"] == 1
    assert [(one["file"], one["changed"]) for one in found["files"]] == [
        ("stratctl.yaml", False),
        ("strategies/blue-chip.yaml", True),
        ("strategies/founders.yaml", True),
    ]
    assert [one["code"] for one in found["diagnostics"]] == ["E_YAML_SYNTAX"]


def test_an_editor_pipes_a_text_through(
    project: Project, said: Fmt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standard output is the text and nothing else; a broken text gives none."""

    def typed(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    typed(UNTIDY)
    assert said("-") == (0, TIDY, "")
    typed(UNTIDY)
    assert said("-", "--check") == (1, "<stdin>\n", "")
    typed("a: [\n")
    code, out, err = said("-")
    assert (code, out) == (1, "")
    assert "<stdin>:" in err
    assert said("-", "stratctl.yaml")[0] == 64


def test_line_ends_of_windows_become_plain(project: Project, said: Fmt) -> None:
    """A file whose only fault is CRLF is rewritten too."""
    project.write("strategies/founders.yaml", TIDY.replace("\n", "\r\n"))
    assert said("strategies/founders.yaml")[1] == "strategies/founders.yaml\n"
    assert (project.root / "strategies/founders.yaml").read_bytes() == TIDY.encode()


def test_a_file_outside_of_a_project_needs_none(
    tmp_path: Path, said: Fmt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A draft is formatted wherever it lies; a folder must be in a project, and so must nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "draft.yaml").write_text(UNTIDY)
    assert said("draft.yaml")[:2] == (0, "draft.yaml\n")
    assert said(".")[0] == 64
    assert said()[0] == 64


def test_a_folder_means_the_documents_of_the_project_in_it(project: Project, said: Fmt) -> None:
    """YAML of other tools is not touched, and a folder without documents is a mistake."""
    project.write("strategies/cohorts/members.csv", "participant_code\n")
    project.write("compose.yaml", "services:   {}\n")
    assert said(".")[1] == TWO
    assert (project.root / "compose.yaml").read_text() == "services:   {}\n"
    assert said("strategies/cohorts")[0] == 64


@pytest.mark.parametrize(
    ("policy", "listed"),
    [("limits.yaml", True), ("../limits.yaml", False), ("missing.yaml", False)],
)
def test_the_policy_is_the_one_that_the_project_names(
    project: Project, said: Fmt, policy: str, listed: bool
) -> None:
    """A policy outside of the project, or one that is not there, is for validate to find."""
    named = project.root / "stratctl.yaml"
    named.write_text(named.read_text() + f"policy: {policy}\n")
    project.write("limits.yaml", "version:  1\nkind: Policy\n")
    assert ("limits.yaml\n" in said("--check")[1]) is listed


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """The world may refuse; the file is as it was and nothing is left beside it."""
    with pytest.raises(UsageError, match="a\\.yaml cannot be written: No such file"):
        write(Target(tmp_path / "gone", "a.yaml", "a.yaml"), TIDY)


def test_a_link_that_leads_out_is_reported(project: Project, said: Fmt) -> None:
    """What is not in the project is not rewritten through it."""
    (project.root / "strategies/out.yaml").symlink_to("/etc/hosts")
    code, _, err = said("strategies/out.yaml")
    assert code == 1
    assert "strategies/out.yaml: error E_INCLUDE_OUTSIDE" in err


def test_a_text_that_would_grow_too_large_is_left() -> None:
    """Formatting cannot make a file that is then refused."""
    text = "a:\n- b\n"
    data = (text + "#" * (BYTES_MAX - len(text))).encode()
    assert fmt.formatted(text) == "a:\n  - b\n"
    result = format_bytes(data, "a.yaml")
    assert [found.code for found in result.problems] == ["E_FILE_SIZE"]
    assert not result.changed


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        (lambda text: fmt.formatted(text).replace('"000123"', "000123"), "change what it says"),
        (lambda text: fmt.formatted(text).replace("0.50", "0.5"), "change what it says"),
        (lambda text: fmt.formatted(text).replace("# why", ""), "lose a comment"),
    ],
)
def test_a_bug_of_the_formatter_writes_nothing(planted: Callable[[str], str], said: str) -> None:
    """What comes out is read back before it goes anywhere."""
    data = b'code: "000123"\nweight:   0.50 # why\n'
    assert format_bytes(data, "a.yaml").after == 'code: "000123"\nweight: 0.50 # why\n'
    with pytest.raises(AssertionError, match=said):
        format_bytes(data, "a.yaml", formatted=planted)
