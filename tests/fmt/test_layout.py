"""What canonical text looks like, one habit of the layout at a time."""

from __future__ import annotations

import pytest

from stratctl.fmt import formatted

LONG = "a reason that goes on and on, so that it does not fit on a line"
FULL = ", ".join(["abcdefgh"] * 9 + ["abcde"])
NEXT = "\n  - "

HABITS = {
    "keys of a kind stand in the order of its schema, kind, version and name first": (
        "exits: [SOL]\nallocations: {SOL: 0.5, BTC: 0.5}\nname: a\nversion: 1\nkind: Strategy\n",
        "kind: Strategy\nversion: 1\nname: a\nallocations: {SOL: 0.5, BTC: 0.5}\nexits: [SOL]\n",
    ),
    "mappings whose keys people choose keep their order": (
        "kind: Strategy\nmetadata:\n    z: last\n    a: first\n",
        "kind: Strategy\nmetadata:\n  z: last\n  a: first\n",
    ),
    "mappings below them have an order again": (
        "kind: Project\nenvironments:\n  b: {endpoint: sandbox, realm: sandbox}\n  a: {}\n",
        "kind: Project\nenvironments:\n  b: {realm: sandbox, endpoint: sandbox}\n  a: {}\n",
    ),
    "unknown keys come last and unknown kinds keep their order": (
        "zeal: 1\nage: 2\nname: a\nkind: Cohort\n---\nname: a\nkind: Other\n",
        "kind: Cohort\nname: a\nzeal: 1\nage: 2\n---\nname: a\nkind: Other\n",
    ),
    "a participant stands on one line, and rows keep their order": (
        "kind: Cohort\nparticipants:\n- contributed: 5.00\n  participant_code: P00002\n"
        "- {contributed: 5.00, participant_code: P00001}\n",
        "kind: Cohort\nparticipants:\n  - {participant_code: P00002, contributed: 5.00}\n"
        "  - {participant_code: P00001, contributed: 5.00}\n",
    ),
    "so does one amount of a contribution": (
        "kind: Cohort\nfunding:\n- participants:\n  - amount: 1.00\n    participant_code: P00002\n"
        "  key: k\n",
        "kind: Cohort\nfunding:\n  - key: k\n    participants:\n"
        "      - {participant_code: P00002, amount: 1.00}\n",
    ),
    "a participant with a comment inside keeps its lines": (
        "kind: Cohort\nparticipants:\n- contributed: 5.00 # late\n  participant_code: P00002\n",
        "kind: Cohort\nparticipants:\n  - participant_code: P00002\n    contributed: 5.00 # late\n",
    ),
    "brackets stay where they fit and hold no comment": (
        "a: [ x,y ]\nb: {c: [1,  2],}\nd: [x, # why\n  y]\n",
        "a: [x, y]\nb: {c: [1, 2]}\nd:\n  - x # why\n  - y\n",
    ),
    "brackets that are too long become a block": (
        f"a: [{FULL}]\nab: [{FULL}]\n",
        f"a: [{FULL}]\nab:\n  - {FULL.replace(', ', NEXT)}\n",
    ),
    "a comment beside brackets does not make them too long": (
        f"a: [{FULL}] # {LONG}\n",
        f"a: [{FULL}] # {LONG}\n",
    ),
    "quotes stay only where something could read the text otherwise": (
        "a: '000123'\nb: 'P00001'\nc: 'NO'\nd: \"0.50\"\ne: 'a: b'\nf: ''\n'g': '# no'\n",
        'a: "000123"\nb: P00001\nc: "NO"\nd: "0.50"\ne: "a: b"\nf: ""\ng: "# no"\n',
    ),
    "single quotes save escapes": (
        'a: "say \\"so\\""\nb: "it\'s \\"so\\""\nc: \'tab\there: "x"\'\n',
        'a: \'say "so"\'\nb: "it\'s \\"so\\""\nc: "tab\\there: \\"x\\""\n',
    ),
    "the digits are the author's, and what is doubtful is left to validate": (
        "a:   0.50\nb: 1e3\nc: 000123\nd: yes\ne: ~\nf: 12345678901234567.89\ng:\n",
        "a: 0.50\nb: 1e3\nc: 000123\nd: yes\ne: ~\nf: 12345678901234567.89\ng:\n",
    ),
    "blank lines are kept, one at most, and none where a block begins or ends": (
        "\n\na: 1\n\n\n\nb:\n\n  c: 1\n\n\n\n",
        "a: 1\n\nb:\n  c: 1\n",
    ),
    "a comment stays above or beside what it speaks of": (
        "kind: Policy # k\n# above calls\ncalls: # c\n      # above it\n      participants: 5 # p\n"
        "# above drift\ndrift: {absolute: 0.1}   # d\n",
        "kind: Policy # k\n# above drift\ndrift: {absolute: 0.1} # d\n# above calls\ncalls: # c\n"
        "  # above it\n  participants: 5 # p\n",
    ),
    "a comment that is indented like a block stays at its end": (
        "a:\n    - x\n    # - y\n# above b\nb: 1\n# end\n",
        "a:\n  - x\n  # - y\n# above b\nb: 1\n# end\n",
    ),
    "what stands at the top stays at the top": (
        "# yaml-language-server: $schema=x\n# About it.\nname: a\nkind: Cohort\n",
        "# yaml-language-server: $schema=x\n# About it.\nkind: Cohort\nname: a\n",
    ),
    "what a blank line sets apart from the top belongs to the key below": (
        "# yaml-language-server: $schema=x\n\n# The name.\nname: a\nkind: Cohort\n",
        "# yaml-language-server: $schema=x\n\nkind: Cohort\n# The name.\nname: a\n",
    ),
    "documents stay apart": (
        "# top\n--- # one\na: 1\n# end\n...\n# still the end\n---\n\n# two\nb: 2",
        "# top\n--- # one\na: 1\n# end\n# still the end\n---\n# two\nb: 2\n",
    ),
    "a comment with no place of its own goes above": (
        "a:\n  # between\n  1 # beside\nb: [ # open\n  # inside\n  ]\n",
        "# between\na: 1 # beside\n# inside\nb: [] # open\n",
    ),
    "text of several lines is kept as it is laid out": (
        "a: | # why\n     one\n       two\n\nb: >-\n   three\n   four\nc: |+\n  five\n\n",
        'a: | # why\n  one\n    two\n\nb: >-\n  three\n  four\nc: "five\\n\\n"\n',
    ),
    "blanks at the end of a line of text can be seen": (
        "a: |\n  one \n  two\n",
        'a: "one \\ntwo\\n"\n',
    ),
    "text that runs over several lines is joined, or folded where it is long": (
        f"a: one\n  two\nb: {LONG}\n  {LONG}\n",
        f"a: one two\nb: >-\n  {LONG} a reason that goes on and on, so\n"
        "  that it does not fit on a line\n",
    ),
    "lists in lists and mappings in lists begin on the line of their dash": (
        "a:\n-\n   - x\n   - y\n-\n   b: 1\n   c: 2\n",
        "a:\n  - - x\n    - y\n  - b: 1\n    c: 2\n",
    ),
    "a comment above the first key of a row goes above the row, which is one line then": (
        "kind: Cohort\nparticipants:\n- contributed: 5.00\n  # new\n  participant_code: P00002\n",
        "kind: Cohort\nparticipants:\n  # new\n  - {participant_code: P00002, contributed: 5.00}\n",
    ),
    "between brackets a sign is text, and it stays text without them": (
        "{a: [x, -], ... b: 1, --- : 2}\n",
        'a: [x, "-"]\n"... b": 1\n"---": 2\n',
    ),
    "quoted text of several lines does not keep a row apart": (
        "kind: Cohort\nparticipants:\n- participant_code: P00002\n  status: a\n\n    b\n",
        'kind: Cohort\nparticipants:\n  - {participant_code: P00002, status: "a\\nb"}\n',
    ),
    "a document between brackets becomes a block": (
        "{kind: Cohort, name: a} # c\n",
        "kind: Cohort\nname: a\n# c\n",
    ),
    "a document without a key is left": ("# c\n{}\n", "# c\n{}\n"),
    "a key that is too long for a colon has a question mark": (
        f"? {'k' * 1500}\n: 1\n? b\n: 2\n",
        f"? {'k' * 1500}\n: 1\nb: 2\n",
    ),
}


@pytest.mark.parametrize("habit", HABITS)
def test_the_layout_has_a_habit(habit: str) -> None:
    """Untidy text becomes exactly this, and this stays as it is."""
    untidy, tidy = HABITS[habit]
    assert formatted(untidy) == tidy
    assert formatted(tidy) == tidy
