"""The journal on a Git branch, and the n-th push of an apply fails, for n = 1, 2, … until there is
none: before or after it arrived, once or for good, and with or without the machine."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from tests.replaced import replaced
from tests.torture.ground import Ground

HOW = {
    "lost": "fails",
    "unheard": "arrives; fails",
    "gone": "goes; fails",
    "unheard-gone": "arrives; goes; fails",
    "dies": "dies",
    "unheard-dies": "arrives; dies",
}
"""What the n-th push does, in the words of the script below."""

NAMES = tuple(map("/".join, product(("begin", "change"), HOW, ("kept", "fresh"))))

SCRIPT = """\
#!/bin/sh
# Git, but for its n-th push.
arrives() {{ {git} "$@" > '{folder}/said' 2>&1 || exit 1; }}
goes() {{ touch '{folder}/gone'; }}
fails() {{ echo 'fatal: the remote end hung up unexpectedly' >&2; exit 128; }}
dies() {{ kill -9 $PPID; exit 1; }}
for word; do
    case "$word" in push | ls-remote | fetch) verb=$word; break ;; esac
done
test -n "$verb" && test -e '{folder}/gone' && fails
if test "$verb" = push; then
    echo >> '{folder}/pushes'
    if test "$(wc -l < '{folder}/pushes')" -eq {number}; then {does}; fi
fi
exec {git} "$@"
"""


@contextlib.contextmanager
def git_that(does: str, number: int, folder: str) -> Iterator[None]:
    """In this context the ``number``-th push of this process does something else."""
    real = shutil.which("git")
    at = Path(folder)
    at.mkdir()
    words = does.replace("arrives", 'arrives "$@"')
    script = SCRIPT.format(git=real, folder=folder, number=number, does=words)
    (at / "git").write_text(script, encoding="utf-8")
    (at / "git").chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    with replaced(os, "environ", {**os.environ, "PATH": path}):
        yield


def once(ground: Ground, name: str, number: int) -> bool:
    """Whether there was such a push. Then another apply, there or in a new clone, ends it."""
    phase, how, disk = name.split("/")
    case = ground.case(phase, git=True)
    folder = case.project.root.with_suffix(".pushes")
    inside = ["tests.torture.pushes", "git_that", HOW[how], number, str(folder)]
    ended = case.apply(inside=[inside])
    met = (folder / "pushes").read_text(encoding="ascii").count("\n") >= number
    assert ended.killed == (met and "dies" in how), ended
    if not ended.killed:
        # A push that fails once is sent again, and whether it arrived is asked.
        assert ended.error == ("JournalUnavailable" if met and "gone" in how else ""), ended
    if disk == "fresh":
        case.lose_disk()
    case.bring_home()
    case.judge()
    return met
