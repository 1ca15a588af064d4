"""One run of the command line: arguments in, output out, one exit code."""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn

import click

from stratctl.cli.commands import stratctl
from stratctl.cli.exits import Exit
from stratctl.cli.state import State
from stratctl.core.errors import InputError, StratctlError


def main() -> NoReturn:
    """The console script."""
    # What lives here lives until the end: to look for circles in it at the usual pace is wasted on
    # large books.
    gc.set_threshold(50_000, 20, 20)
    state = State()
    sys.excepthook = bug_reporter(state)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A character that a terminal cannot show must not fail an apply that is already done.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:], state))


def run(arguments: Sequence[str], state: State | None = None) -> int:
    """Carry out one command line and return the exit code."""
    state = state or State()
    here = os.getcwd()
    try:
        with _signals(state):
            result = stratctl.main(
                list(arguments), prog_name="stratctl", standalone_mode=False, obj=state
            )
        return state.exit_code(result if isinstance(result, int) else Exit.DONE)
    except StratctlError as error:
        return _failed(state, error)
    except click.Abort:
        # click turns KeyboardInterrupt, and so our own second signal, into this.
        state.console.error("Interrupted.\n")
        return state.exit_code(Exit.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    finally:
        state.console.close()
        os.chdir(here)


def _failed(state: State, error: StratctlError) -> int:
    """Say why, in the format that was asked for, and give the error's own code."""
    from stratctl.view import diagnostics, json, markdown

    code = state.exit_code(error.exit_code)
    console = state.console
    found = error.diagnostics if isinstance(error, InputError) else ()
    if state.format == "json":
        console.result(json.error(error, code))
        return code
    if state.format == "markdown":
        hint = diagnostics.way_out(error)
        said = markdown.diagnostics(found) if found else markdown.error(error.summary, hint)
        console.result(said)
    sources = state.sources(found)
    console.error(diagnostics.error_text(error, sources, color=console.colors_errors))
    return code


# --- signals ---------------------------------------------------------------------------------


@contextmanager
def _signals(state: State) -> Iterator[None]:
    """SIGINT and SIGTERM stop the run; an apply first finishes the answer it is waiting for."""

    def stop(number: int, frame: FrameType | None) -> None:
        first = state.signal is None
        state.signal = state.signal or number
        if state.graceful and first:
            state.console.error("Stopping after the current answer. Once more stops at once.\n")
            return
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- bugs ------------------------------------------------------------------------------------


Hook = Callable[[type[BaseException], BaseException, TracebackType | None], None]


def bug_reporter(state: State) -> Hook:
    """What Python calls for an exception that nobody expected: a bug, with its place."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        places = traceback.extract_tb(trace)
        where = f"{places[-1].filename}:{places[-1].lineno}" if places else "an unknown place"
        state.console.error(
            f"stratctl has a bug: {kind.__name__} at {where}.\n"
            "Nothing new was sent after it. Run again with -vv for the traceback, and report it.\n"
        )
        if state.verbose >= 2:
            # Lines only: a traceback with local variables could show a secret.
            state.console.error("".join(traceback.format_exception(kind, error, trace)))

    return hook
