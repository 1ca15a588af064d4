"""``stratctl apply``"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stratctl.cli.asking import ask_for
from stratctl.cli.commands import Command
from stratctl.cli.options import acknowledgement_options, acknowledgements, format_option, today
from stratctl.cli.plan import level
from stratctl.cli.state import State
from stratctl.cli.watching import Watching

if TYPE_CHECKING:
    from stratctl.core.plan import Plan


@click.command(cls=Command)
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--auto-approve", is_flag=True, help="Do not ask. Guards hold all the same.")
@click.option(
    "--expect-digest",
    metavar="SHA256",
    help="Refuse any other plan (exit code 4). It verifies, and approves nothing.",
)
@acknowledgement_options
@format_option("text", "json")
@click.pass_obj
def apply(
    state: State,
    *,
    file: Path | None,
    auto_approve: bool,
    expect_digest: str | None,
    acks: tuple[str, ...],
    reason: str | None,
    chosen: str | None,
) -> int:
    """Send what is approved, each call exactly once.

    Without FILE: plan, show the plan, and ask for its total (cash in + cash out + turnover) to be
    typed. With FILE, a plan that was saved: passing it is the approval, and it is a ceiling. Live
    is read again, rows that are no longer needed are left out, and nothing beyond it is sent.

    Settled trades are final. An apply that was stopped or lost its connection is finished by
    applying again; nothing moves twice.

    \b
    Exit codes:
      0  done, or nothing to do
      3  a guard or a halt refused
      4  live, prices or the configuration moved since the plan, or another digest
      5  done in part: some participants were rejected
      6  an outcome is not known yet: apply again
      7  nobody approved
      8  another apply is running

    \b
    Examples:
      stratctl apply
      stratctl apply plan.zip
      stratctl apply plan.zip --expect-digest 3ba737c0f67e…
      stratctl apply --ack liquidations=3 --reason "closing three test accounts"
    """
    from stratctl import pipeline
    from stratctl.core.surroundings import Surroundings
    from stratctl.view import json, report
    from stratctl.view.story import Story

    state.choose(chosen)
    approved = pipeline.read_plan(file) if file else None
    watcher = Watching(state, Story(verbose=bool(state.verbose)))
    result = pipeline.apply(
        state.root(),
        environment=state.env,
        environ=Surroundings(os.environ),
        approved=approved,
        expect_digest=expect_digest,
        acknowledgements=acknowledgements(acks, reason, today()),
        approve=_Approval(
            state, by_file=approved is not None, auto=auto_approve, digest=expect_digest
        ),
        progress=state.console.progress,
        watch=watcher,
        stopping=state.stopping,
    )
    watcher.end()
    code = state.exit_code(result.exit_code)
    console = state.console
    if state.format == "json":
        console.result(json.applied(result, code))
    else:
        shown = report.applied(result, color=console.colors_results, width=console.width)
        console.result(shown)
    return code


@dataclass(frozen=True)
class _Approval:
    """Shows the plan that would be sent, once, and finds out whether somebody says yes."""

    state: State
    by_file: bool
    auto: bool
    digest: str | None

    def __call__(self, made: Plan) -> None:
        """Raises PlanStale, GuardRefused or ApprovalMissing; returns when it may be sent."""
        from stratctl.core.errors import GuardRefused, PlanStale

        if not (self.by_file and made.empty):
            self._show(made)
        if not self.by_file and self.digest and made.digest != self.digest.lower():
            raise PlanStale(f"the plan's digest is {made.digest}, {self.digest} was expected")
        if made.stopped:
            rules = ", ".join(finding.rule for finding in made.findings if finding.stops)
            raise GuardRefused(
                f"the plan is stopped by: {rules}",
                hint="change the configuration, or acknowledge each number with --ack",
            )
        if not (self.by_file or self.auto or made.empty):
            self._ask(made)
        # From here on a signal only asks: the answer to a request that was sent is waited for.
        self.state.graceful = True

    def _show(self, made: Plan) -> None:
        """The plan is part of the result, except where the result is JSON for a machine."""
        console = self.state.console
        if self.state.format == "json":
            console.note(self._text(made, color=console.colors_errors))
        else:
            console.result(self._text(made, color=console.colors_results) + "\n")

    def _text(self, made: Plan, *, color: bool) -> str:
        """A saved plan was read before it was passed; a fresh one is shown whole."""
        from stratctl.view import human

        width = self.state.console.width
        if self.by_file:
            return human.approved(made, color=color, width=width)
        return human.plan(made, level=level(self.state), color=color, width=width, then="")

    def _ask(self, made: Plan) -> None:
        from stratctl.view.summary import summarise

        ask_for(
            summarise(made).total,
            self.state,
            what="plan",
            question="This moves money, and settled trades are final.\n"
            "Type the total (cash in + cash out + turnover) to apply",
            otherwise="save it with stratctl plan --out FILE and pass the file, or --auto-approve",
            no="nothing was sent",
        )
