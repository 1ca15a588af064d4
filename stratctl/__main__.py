"""``python -m stratctl``: the same as the ``stratctl`` command."""

from stratctl.cli import main

main()
