"""What lint warns about: laws with an oracle, and no alarm where nothing is wrong."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.cli.running import run
from stratctl.core.diagnostic import Severity, Span
from stratctl.core.state import PARTICIPANT_ROWS, Drift, Live, LiveCohort
from stratctl.core.tables import Workspace
from stratctl.lint import Surroundings
from stratctl.lint.amounts import too_small_to_enroll
from stratctl.lint.bands import bands_without_a_floor
from stratctl.lint.codes import LOOK_ALIKES, look_alikes
from stratctl.lint.files import perhaps_not_shared
from stratctl.lint.members import cohorts_of_nobody
from stratctl.lint.places import Rows
from stratctl.load import read_project
from stratctl.pipeline.linting import lint_project
from tests.declare.world import ROOT, Project, git, shared_workspace
from tests.worlds import Declared, Holder, World, holdings_worth, strategy, vector

DOCUMENTS = read_project(ROOT, None, shared_workspace())
"""Of the example set; worlds are not in it, so findings fall back to the Strategy's place."""


def rows(world: World, space: Workspace) -> Rows:
    """What a world declares, as lines of a file."""
    return Rows(world.configuration(space).desired.rows, frozenset())


# --- nothing to warn about -------------------------------------------------------------------


def test_the_example_set_is_worth_no_warning() -> None:
    """The project of this repository, in every environment."""
    assert lint_project(ROOT, None, shared_workspace()) == ()


def test_what_init_writes_is_worth_no_warning(tmp_path: Path) -> None:
    """Before and after it is committed, and with files of its own around."""
    assert run(["-q", "init", str(tmp_path)]) == 0
    assert lint_project(tmp_path, None, shared_workspace()) == ()
    git(tmp_path, "init", "--quiet")
    (tmp_path / "strategies" / "README.md").write_text("Who may change what.\n")
    assert lint_project(tmp_path, None, shared_workspace()) == ()
    git(tmp_path, "add", ".")
    assert lint_project(tmp_path, None, shared_workspace()) == ()


# --- codes -----------------------------------------------------------------------------------

CODES = st.lists(
    st.tuples(st.sampled_from(["blue", "red"]), st.text("O0IL1B8S5Z2AX", min_size=6, max_size=6)),
    unique=True,
    max_size=12,
)


@given(CODES)
@settings(max_examples=25)
def test_codes_are_told_when_a_reader_takes_them_for_others(codes: list[tuple[str, str]]) -> None:
    """Pair by pair, and character by character; the first of a group stands for the others."""
    declared = [Declared(code, strategy=name) for name, code in codes]
    world = World(declared=declared, strategies=[strategy("blue"), strategy("red")])
    found = look_alikes(rows(world, shared_workspace()))
    expected = {
        line
        for line, (name, code) in enumerate(codes, start=1)
        if any(of == name and alike(code, other) for of, other in codes[: line - 1])
    }
    assert [one.span.line for one in found if one.span] == sorted(expected)
    assert all(one.severity is Severity.WARNING for one in found)


def alike(one: str, other: str) -> bool:
    """Whether every character is the same, or of the same group."""
    pairs = zip(one, other, strict=True)
    return all(a == b or any(a in group and b in group for group in LOOK_ALIKES) for a, b in pairs)


def test_at_most_a_hundred_are_told_and_the_others_counted() -> None:
    """Sixty-four ways to write one code are sixty-three findings; four such codes are too many."""
    ways = ["".join(way) for way in itertools.product("O0", "S5", "B8", "Z2", "O0", "S5")]
    names = ["a", "b", "c", "d"]
    world = World(
        declared=[Declared(code, strategy=name) for name in names for code in ways],
        strategies=[strategy(name) for name in names],
    )
    found = look_alikes(rows(world, shared_workspace()))
    assert len(found) == 100
    assert found[-1].detail.endswith("; 152 more rows are like these")


# --- amounts ---------------------------------------------------------------------------------


@given(
    amounts=st.lists(st.integers(1, 12_000), min_size=4, max_size=12),
    percent=st.integers(1, 98),
    leg=st.sampled_from(["0.01", "5", "7.77"]),
    account=st.sampled_from(["1", "25"]),
)
@settings(max_examples=10)
def test_a_contribution_is_told_exactly_when_a_plan_would_hold_it_back(
    amounts: list[int], percent: int, leg: str, account: str
) -> None:
    """Lint and plan know one smallest contribution, and the one that is named is enough."""
    weights = {"BTC": f"{percent / 100:.2f}", "ETH": "0.01", "SOL": f"{(99 - percent) / 100:.2f}"}
    target = replace(strategy().targets[0], vector=vector(**weights))
    declared = [
        Declared(f"P{number:05d}", f"{minor // 100}.{minor % 100:02d}")
        for number, minor in enumerate(amounts)
    ]
    world = World(
        declared=declared,
        strategies=[strategy(targets=(target,))],
        minimum_leg=leg,
        minimum_account=account,
    )
    space = shared_workspace()
    found = too_small_to_enroll(rows(world, space), world.configuration(space))
    blocked = {row[1]: row[2] for row in world.plan(space).blocked.rows()}
    assert {one.detail.split()[0] for one in found} == set(blocked)
    assert set(blocked.values()) <= {"below_leg_minimum", "below_account_minimum"}
    for enough in {one.hint.removeprefix("contribute at least ").split(",")[0] for one in found}:
        least = int(enough.replace(".", ""))
        cent_less = f"{(least - 1) // 100}.{(least - 1) % 100:02d}"
        world.declared = [Declared("P00001", enough), Declared("P00002", cent_less)]
        (short,) = too_small_to_enroll(rows(world, space), world.configuration(space))
        assert short.detail.startswith("P00002 ")


def test_every_figure_that_is_too_small_is_given() -> None:
    """By asset, with its weight, and for the account as a whole."""
    world = World(declared=[Declared("P00001", "16.01")])
    space = shared_workspace()
    (found,) = too_small_to_enroll(rows(world, space), world.configuration(space))
    assert found.detail == (
        "P00001 contributes USD 16.01: ETH 0.3 gets 4.803 and needs 5.00, "
        "SOL 0.2 gets 3.202 and needs 5.00, an account needs 25.00"
    )
    assert found.hint == "contribute at least 25.00, or lower minimums in the policy"


@pytest.mark.parametrize(
    "row",
    [
        Declared("P00001", "1", exited=True),
        Declared("P00001", "1", held=True),
        Declared("P00001", "0", manages=("allocations", "flags")),
    ],
)
def test_who_is_not_enrolled_from_here_needs_no_minimum(row: Declared) -> None:
    """An exit, a hold, and a cohort that others fund."""
    world, space = World(declared=[row]), shared_workspace()
    assert not too_small_to_enroll(rows(world, space), world.configuration(space))


# --- bands -----------------------------------------------------------------------------------

RATIO = st.integers(0, 200).map(lambda percent: Fraction(percent, 100))


@given(st.integers(1, 99), RATIO, RATIO, RATIO)
@settings(max_examples=60)
def test_a_band_is_told_exactly_when_losing_all_of_an_asset_breaches_nothing(
    percent: int, absolute: Fraction, relative: Fraction, portfolio: Fraction
) -> None:
    """Whatever the lost part turned into, half of all distances is what was lost."""
    drift = Drift(absolute, relative, portfolio)
    target = replace(
        strategy().targets[0],
        vector=vector(BTC=f"{percent / 100:.2f}", ETH=f"{(100 - percent) / 100:.2f}"),
    )
    world = World(strategies=[strategy(targets=(target,), drift=drift)])
    found = list(bands_without_a_floor(DOCUMENTS, world.configuration(shared_workspace())))
    lost = {asset for asset, weight in weights_of(world) if not breached(weight, drift)}
    told = {asset for one in found for asset in ("BTC", "ETH") if f"{asset} 0." in one.detail}
    assert told == lost
    assert len(found) == bool(lost)


def weights_of(world: World) -> list[tuple[str, Fraction]]:
    """The weights of the only target, as fractions."""
    ((target,),) = (one.targets for one in world.strategies)
    return [(asset, Fraction(weight, 10**18)) for asset, weight in target.vector.weights_e18]


def breached(weight: Fraction, drift: Drift) -> bool:
    """Whether a book of two assets that lost one of them has drifted, by the rule of the plan."""
    distances = (weight, weight)
    return weight > min(drift.absolute, drift.relative * weight) or (
        sum(distances) / 2 > drift.portfolio
    )


# --- files -----------------------------------------------------------------------------------

MORE = (
    "kind: Cohort\nversion: 1\nname: more\nstrategy: blue-chip\n"
    "source: {file: cohorts/more.csv}\nfunding: [{key: a, file: ../strategies/funding/a.csv}]\n"
)
TABLES: dict[str, str | bytes] = {
    "strategies/more.yaml": MORE,
    "strategies/cohorts/more.csv": "participant_code,contributed\nCUST02,100\n",
    "strategies/funding/a.csv": "participant_code,amount\nCUST02,1\n",
}
TWINS = (
    "strategies/cohorts/more.csv and strategies/cohorts/More.csv differ only in upper and "
    "lower case"
)
SPELT = "strategies/cohorts/more.csv is spelt strategies/cohorts/More.csv where it is kept"


def told(project: Project) -> list[tuple[str, str]]:
    """(place, detail) of every warning."""
    return [(str(found.span), found.detail) for found in project.lints()]


def test_a_table_is_unused_when_no_environment_names_it(tmp_path: Path) -> None:
    """A cohort of another environment is a use; notes and hidden files are no tables."""
    project = Project(tmp_path, TABLES)
    elsewhere = (
        "kind: Project\nversion: 1\ndefault_environment: sandbox\nenvironments:\n"
        "  sandbox: {realm: sandbox, endpoint: sandbox, platform_code: PLAT01, "
        "funding_model: novated}\n"
        "  cert: {realm: cert, endpoint: https://api.cert.zerohash.com, platform_code: PLAT01, "
        "funding_model: novated}\n"
    )
    project.write("stratctl.yaml", elsewhere)
    project.write("strategies/more.yaml", f"{MORE}environments: [cert]\n")
    project.write("strategies/funding/notes.md", "who asked for what\n")
    project.write("strategies/funding/.draft.csv", "")
    assert told(project) == []
    assert lint_project(tmp_path, "sandbox", shared_workspace()) == ()
    project.write("strategies/funding/old/b.CSV", "participant_code,amount\nCUST02,1\n")
    assert told(project) == [
        ("strategies/funding/old/b.CSV", "no document names strategies/funding/old/b.CSV")
    ]


def test_what_git_does_not_have_is_told_where_it_is_named(tmp_path: Path) -> None:
    """Tables where a document names them, documents as such, and nothing before Git is asked."""
    project = Project(tmp_path, TABLES)
    project.git("init", "--quiet")
    assert told(project) == []
    project.git("add", "stratctl.yaml", "policy.yaml", "strategies/*.yaml")
    project.write(
        "strategies/new.yaml", MORE.replace("more", "new").split("source")[0] + "source: live\n"
    )
    assert told(project) == [
        ("strategies/more.yaml:5:16", "Git does not track strategies/cohorts/more.csv"),
        ("strategies/more.yaml:6:26", "Git does not track strategies/funding/a.csv"),
        ("strategies/new.yaml", "Git does not track strategies/new.yaml"),
    ]
    project.git("add", ".")
    assert told(project) == []


@pytest.mark.parametrize(
    ("here", "tracked", "said"),
    [
        ("mM", None, TWINS),
        ("mM", "mM", TWINS),
        ("m", "mM", TWINS),
        ("mM", "M", SPELT),
        ("m", "M", SPELT),
        ("M", None, SPELT),
        ("m", "m", None),
        ("m", None, None),
    ],
)
def test_names_that_differ_only_in_case_are_told(
    tmp_path: Path, here: str, tracked: str | None, said: str | None
) -> None:
    """Both at once, or Git or the folder (of a system that ignores case) with the other one."""
    Project(tmp_path, TABLES)
    documents = read_project(tmp_path, None, shared_workspace())
    others = frozenset(documents.digests) - {"strategies/cohorts/more.csv"}

    def files(letters: str) -> frozenset[str]:
        return others | {f"strategies/cohorts/{letter}ore.csv" for letter in letters}

    around = Surroundings(files(here), None if tracked is None else files(tracked))
    found = [(str(one.span), one.detail) for one in perhaps_not_shared(documents, around)]
    assert found == ([("strategies/more.yaml:5:16", said)] if said else [])


def test_a_file_that_is_called_otherwise_is_named(tmp_path: Path) -> None:
    """Where case counts it is missing, elsewhere it is odd; either way its spelling is told."""
    project = Project(tmp_path, TABLES)
    (tmp_path / "strategies/cohorts/more.csv").rename(tmp_path / "strategies/cohorts/More.csv")
    (found,) = project.lints()
    missing = ("E_FILE_MISSING", "there is More.csv: upper and lower case count")
    assert missing == (found.code, found.hint) or found.detail == SPELT


def test_what_a_link_leads_to_is_what_git_must_have(tmp_path: Path) -> None:
    """A linked table, and one in a linked folder: the link is not enough, nor is the file."""
    project = Project(tmp_path, TABLES)
    project.write("strategies/more.yaml", MORE.replace("../strategies/funding", "../linked"))
    (tmp_path / "strategies/cohorts/more.csv").rename(tmp_path / "more.csv")
    (tmp_path / "strategies/cohorts/more.csv").symlink_to("../../more.csv")
    (tmp_path / "strategies/funding").rename(tmp_path / "paid")
    (tmp_path / "linked").symlink_to("paid")
    project.git("init", "--quiet")
    project.git("add", ".")
    assert told(project) == []
    table = ("strategies/more.yaml:5:16", "Git does not track strategies/cohorts/more.csv")
    funding = ("strategies/more.yaml:6:26", "Git does not track linked/a.csv")
    project.git("rm", "--quiet", "--cached", "more.csv", "paid/a.csv")
    assert told(project) == [table, funding]
    project.git("add", ".")
    project.git("rm", "--quiet", "--cached", "strategies/cohorts/more.csv", "linked")
    assert told(project) == [table, funding]


# --- members ---------------------------------------------------------------------------------


def members(world: World, known: list[str] | None) -> list[str]:
    """Details about cohorts of nobody, on a platform that has these participants."""
    space = Workspace()
    live: Live = world.live(space)
    if known is not None:
        people = [(code, "approved") for code in known]
        table = space.table("people", PARTICIPANT_ROWS, list(zip(*people, strict=True)))
        live = replace(live, participants=table)
    found = list(cohorts_of_nobody(DOCUMENTS, world.configuration(space), live))
    assert {one.code for one in found} <= {"W_NO_MEMBERS"}
    return [one.detail for one in found]


def test_a_cohort_is_told_when_the_platform_has_none_of_it() -> None:
    """One is enough; and where nobody was asked for, nothing is said."""
    world = World(declared=[Declared("P00001"), Declared("P00002")])
    assert members(world, ["P00009"]) == ["cohort names 2, and PLAT01 has none of them"]
    assert members(world, ["P00009", "P00002"]) == []
    assert members(world, None) == []


@pytest.mark.parametrize(
    ("holder", "declared", "absent", "warned"),
    [
        (Holder("P00001", holdings_worth(BTC="500")), [], False, False),
        (Holder("P00001"), [Declared("P00001")], False, True),
        (Holder("P00001", exited=True), [], False, True),
        (Holder("P00001", trader=False), [], False, True),
        (None, [], True, False),
    ],
    ids=["one Trader", "named elsewhere", "left", "never enrolled", "to be created"],
)
def test_a_live_cohort_is_told_when_it_selects_nobody(
    holder: Holder | None, declared: list[Declared], absent: bool, warned: bool
) -> None:
    """Of a Strategy that exists: what is yet to be created has nobody for a good reason."""
    claim = LiveCohort("app", 0, None, True, False, False, False, Span("strategies/app.yaml", 3, 7))
    world = World(
        declared=declared,
        holders=[holder] if holder else [],
        strategies=[strategy(live_cohort=claim)],
        absent=("blue",) if absent else (),
    )
    assert members(world, None) == (["app selects no Trader of blue"] if warned else [])


# --- the command -----------------------------------------------------------------------------

ODD = "kind: Strategy\nversion: 1\nname: blue-chip\nquoted_currency: USD\n"
ODD += "allocations: {BTC: 0.5000, ETH: 0.3000, SOL: 0.2000}\n"


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with three warnings, to stand in."""
    Project(tmp_path, {"strategies/blue-chip.yaml": ODD})
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("lint", 0, "3 warnings."),
        ("lint --strict", 1, "3 warnings."),
        ("lint --strict --ignore W_NEEDLESS_DIGITS", 0, "Nothing to warn about."),
        ("lint --format json", 0, '"code": "W_NEEDLESS_DIGITS"'),
        ("lint --format github", 0, "::warning file=strategies/blue-chip.yaml,line=5"),
        ("lint strategies/founders.yaml", 0, "3 more in other files."),
        ("validate", 0, "No problems in sandbox."),
        ("lint --ignore W_OTHER", 64, "--ignore W_OTHER: the codes are W_"),
        ("lint --live --snapshot stratctl.yaml", 64, "give one"),
    ],
)
def test_the_command_warns_and_only_strict_fails(
    odd: Path, capsys: pytest.CaptureFixture[str], line: str, code: int, said: str
) -> None:
    """The formats are those of validate, which leaves these warnings out."""
    assert run(line.split()) == code
    shown = capsys.readouterr()
    assert said in shown.out + shown.err


def test_errors_come_before_warnings(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What validate refuses lint refuses, in the same words, and warns about nothing."""
    Project(odd, {"strategies/blue-chip.yaml": ODD.replace("0.5000", "0.6000")})
    assert run(["lint"]) == run(["validate"]) == 1
    first, second = capsys.readouterr().out.split("1 error.\n", 1)
    assert first + "1 error.\n" == second
    assert "E_WEIGHT_SUM" in first
