"""Documents as untidy as YAML allows: every style of scalar, a comment in every legal place.

A comment names its neighbours: the keys and values (``k0001``, ``v0002``) of which one must stand
next to it wherever it is moved to. ``*`` is anywhere, for what speaks of the whole document.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

from hypothesis import strategies as st

TOKEN = re.compile(r"[kv][0-9]{4}")
ANYWHERE = "*"

PLAIN = ["{}", "{} a b", "{}'s", "{}#x", "{}:x", "{} - y", "{}/é.csv", "{} (z)"]
PLAIN_IN_BLOCK = ["{}, b", "{} [x]", "{} {{y"]
QUOTED = [
    '"{}"',
    "'{}'",
    '"{}: a"',
    '"{} # no"',
    "'{} it''s'",
    "'{} \"so\"'",
    '"{} \\" \\\\ \'"',
    '"{}\\n\\tb"',
    '" {}"',
    '"{} "',
    "'{}, [x]'",
    '"- {}"',
    '"{}:"',
]
BROKEN = [
    "{0}\n{1}more",
    "{0}\n\n{1}more",
    '"{0}\n{1}  more\n\n{1}end"',
    "'{0}\n{1}more'",
    "{0} " + "\n{1}".join(["long words here"] * 9),
    '"{0} ' + "\n{1}".join(["long: words"] * 12) + '"',
]
SPECIAL = [
    "0.50",
    "1.10",
    "000123",
    '"000123"',
    "010",
    "'010'",
    "1e3",
    "yes",
    '"no"',
    "true",
    '"true"',
    "~",
    "''",
    "12:30:00",
    "2026-01-02",
    '"2026-01-02"',
    "12345678901234567.89",
    '"15000.00"',
    "-1",
    "'='",
    '"~"',
    "[]",
    "{}",
    "",
]
BLOCKS = [
    "{s}{c}\n{i}{t}\n{i}b\n",
    "{s}-{c}\n{i}{t}\n\n{i}  deeper\n{i}end\n\n",
    "{s}+{c}\n{i}{t}\n\n\n",
    "{s}{c}\n\n{i}{t}\n",
    "{s}{c}\n{i}{t} \n{i}x\n",
    "{s}-{c}\n{i}{t}\n{i} \n{i}x\n",
]
KINDS = {
    "Cohort": ["version", "name", "strategy", "manages", "hold", "source", "allocations", "exits"],
    "Strategy": ["version", "name", "metadata", "allocations", "exits", "rebalance", "policy"],
    "Policy": ["version", "drift", "guards", "minimums", "prices", "calls"],
    "Unheard": ["version", "name"],
}
ROW = ["participant_code", "contributed", "withdrawn", "status"]


class _Block(str):
    """Text that ends with a block scalar."""

    __slots__ = ()


@dataclass
class Writer:
    """Writes one file, choosing everything by chance."""

    chance: random.Random
    out: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    tokens: int = 0
    budget: int = 0
    block: bool = False
    """A block scalar is about to be written."""

    def file(self) -> str:
        """A few documents."""
        if self.maybe(0.2):
            self.alone(ANYWHERE, 0)
        if self.maybe(0.3):
            self.write("---" + self.comment(ANYWHERE, 0.5) + "\n")
        for number in range(self.chance.choice([1, 1, 2, 3])):
            if number:
                if self.maybe(0.5):
                    self.write("..." + self.comment(ANYWHERE, 0.5) + "\n")
                self.write("---" + self.comment(ANYWHERE, 0.3) + "\n")
            self.document()
        return "".join(self.out)

    def document(self) -> None:
        if self.maybe(0.5):
            self.write(f"{self.remember(ANYWHERE)}\n")
            if self.maybe(0.5):
                self.write("\n")
        kind = self.chance.choice(list(KINDS))
        if self.maybe(0.1):
            self.write(f"{{ kind: {kind}{self.comment(ANYWHERE, 0.3)}\n")
            for _ in range(self.chance.randint(0, 3)):
                self.write(f" , {self.key()}: {self.leaf(2, brackets=True)}")
                self.write(self.comment(ANYWHERE, 0.3) + "\n")
            self.write(" }\n")
            return
        # Values name what the keys of a kind cannot, so comments of its own keys name those.
        entries: list[str | None] = ["kind", *self.some(KINDS[kind])]
        if kind == "Cohort":
            entries.append("participants")
        entries += [None] * self.chance.randint(0, 3)
        self.chance.shuffle(entries)
        self.mapping(0, entries, kind=kind, top=True)
        if self.maybe(0.3):
            self.alone(ANYWHERE, 0)

    # --- blocks ------------------------------------------------------------------------------

    def mapping(
        self, indent: int, names: list[str | None], *, kind: str = "", top: bool = False
    ) -> list[str]:
        """A block mapping whose first line is begun already; its tokens."""
        all_tokens: list[str] = []
        for number, name in enumerate(names):
            place = len(self.out)
            key = name or self.key()
            self.write(key + ("  " if self.maybe(0.1) else "") + ":")
            if name == "kind":
                self.write(f" {kind}\n")
                tokens = []
            elif name == "participants":
                tokens = self.rows(indent)
            else:
                tokens = self.value(indent, [key] if name is None else [])
            mine = [key, *tokens] if name is None else tokens
            if number:
                # What stands above could only be written when the tokens were known.
                self.begin(place, indent, mine, all_tokens)
            all_tokens += mine
        if self.maybe(0.2) and not top and all_tokens:
            self.alone(" ".join(all_tokens), indent)
        return all_tokens

    def begin(self, place: int, indent: int, mine: list[str], before: list[str]) -> None:
        """Put before an entry what stands above it, and its indentation."""
        odd = 0.0 if self.after_block(place) else 0.2
        self.out.insert(place, self.above(indent, mine, before, odd) + " " * indent)

    def above(self, indent: int, mine: list[str], before: list[str], odd: float = 0.2) -> str:
        """Blank lines and a comment; perhaps one at an odd column."""
        text = self.chance.choice(["", "", "", "\n", "\n\n\n"])
        if mine and self.maybe(0.3):
            oddly = self.maybe(odd)
            column = self.chance.randint(0, indent + 5) if oddly else indent
            neighbours = [*mine, *before] if oddly else mine
            text += " " * column + self.remember(" ".join(neighbours)) + "\n"
            text += self.chance.choice(["", "", "\n"])
        return text

    def value(self, indent: int, owner: list[str]) -> list[str]:
        """What follows a colon, up to the end of its line; its tokens."""
        self.budget -= 1
        choice = self.chance.random()
        if self.budget < 0 or choice < 0.4:
            if owner and self.maybe(0.3):
                self.write(f" {self.special()}{self.comment(owner[0], 0.3)}\n")
                return []
            token = self.token("v")
            between = self.comment(" ".join([*owner, token]), 0.1)
            if between or self.maybe(0.1):
                self.write(between + "\n")
                if self.maybe(0.3):
                    self.alone(" ".join([*owner, token]), indent + 2)
                self.write(" " * (indent + 1))
            self.write(f" {self.leaf(indent + 2, token, header=True)}")
            self.end_of_leaf(token)
            return [token]
        if choice < 0.6:
            self.write(" ")
            tokens = self.brackets(indent + 1, owner, self.chance.randint(0, 2))
            self.write(self.comment(" ".join([*owner, *tokens]), 0.3) + "\n")
            return tokens
        inner = indent + self.chance.choice([1, 2, 2, 2, 4])
        sequence = choice > 0.8
        place = len(self.out)
        if sequence:
            inner = indent if self.maybe(0.3) else inner
            self.write(" " * inner)
            tokens = self.sequence(inner)
        else:
            self.write(" " * inner)
            tokens = self.mapping(inner, [None] * self.chance.randint(1, 3))
        beside = self.comment(" ".join([*owner, *tokens]), 0.2) + "\n"
        self.out.insert(place, beside + self.above(inner, tokens, owner))
        return tokens

    def sequence(self, indent: int) -> list[str]:
        """A block sequence whose first line is begun already; its tokens."""
        all_tokens: list[str] = []
        for number in range(self.chance.randint(1, 4)):
            place = len(self.out)
            tokens = self.item(indent)
            if number:
                self.begin(place, indent, tokens, all_tokens)
            all_tokens += tokens
        if self.maybe(0.2) and not self.after_block(0):
            self.alone(" ".join(all_tokens), indent + (0 if indent else 2))
        return all_tokens

    def item(self, indent: int) -> list[str]:
        self.budget -= 1
        choice = self.chance.random()
        blanks = self.chance.choice([1, 1, 3])
        if self.budget < 0 or choice < 0.5:
            token = self.token("v")
            self.write(f"-{' ' * blanks}{self.leaf(indent + 2, token, header=True)}")
            self.end_of_leaf(token)
            return [token]
        if choice < 0.7:
            self.write(f"-{' ' * blanks}")
            tokens = self.brackets(indent + 1, [], self.chance.randint(1, 2))
            self.write(self.comment(" ".join(tokens), 0.3) + "\n")
            return tokens
        inner = indent + 1 + blanks
        names: list[str | None] = [None] * self.chance.randint(1, 3)
        place = len(self.out)
        tokens = self.sequence(inner) if choice > 0.9 else self.mapping(inner, names)
        begun = " " * blanks
        if tokens and self.maybe(0.3):
            # The parser accepts no tab behind a dash.
            comment = self.comment(" ".join(tokens), 0.5).replace("\t", " ")
            begun = f"{comment}\n{' ' * inner}"
        self.out.insert(place, "-" + begun)
        return tokens

    def rows(self, indent: int) -> list[str]:
        """Participants, in brackets or not, with comments beside, above and within."""
        self.write("\n")
        all_tokens: list[str] = []
        for _ in range(self.chance.randint(1, 4)):
            token = self.token("v")
            pairs = [(key, self.chance.choice(SPECIAL[:-3])) for key in self.some(ROW[1:])]
            pairs = [*pairs, (ROW[0], f'"{token}"')]
            self.chance.shuffle(pairs)
            self.write(self.above(indent, [token], all_tokens) + " " * indent + "- ")
            if self.maybe(0.5):
                lines = [f"{key}: {value}" for key, value in pairs]
                end = ""
            else:
                lines = [f"{key}: {value}," for key, value in pairs]
                lines[0] = "{" + lines[0]
                end = "}"
            if end and self.maybe(0.7):
                self.write(" ".join(lines))
            else:
                gap = f"\n{' ' * (indent + 2)}"
                *others, last = lines
                self.write("".join(line + self.comment(token, 0.1) + gap for line in others))
                self.write(last + (gap if end else ""))
            self.write(end + self.comment(token, 0.2) + "\n")
            all_tokens.append(token)
        return all_tokens

    # --- brackets ----------------------------------------------------------------------------

    def brackets(self, indent: int, owner: list[str], depth: int) -> list[str]:
        """A mapping or sequence between brackets; its tokens."""
        mapping = self.maybe(0.5)
        tokens: list[str] = []
        last = owner
        place = len(self.out)
        for _ in range(self.chance.randint(0 if owner else 1, 4)):
            mine: list[str] = []
            before = len(self.out)
            if mapping:
                key = self.key()
                mine.append(key)
                self.write(f"{self.chance.choice(['{}', chr(34) + '{}' + chr(34)]).format(key)}: ")
            if depth and self.maybe(0.3):
                mine += self.brackets(indent, mine, depth - 1)
            else:
                mine.append(self.token("v"))
                self.write(self.leaf(indent, mine[-1], brackets=True))
            # On the line of the bracket, or of what comes before, a comment speaks of that.
            self.out.insert(before, self.gap(indent, [*last, *mine]))
            last = mine
            self.write(self.gap(indent, mine, own=False) + ",")
            self.write(self.gap(indent, mine, own=False))
            tokens += mine
        near = [*owner, *tokens]
        self.out.insert(place, "{["[not mapping] + self.gap(indent, near))
        self.write(self.gap(indent, near) + "}]"[not mapping])
        return tokens

    def gap(self, indent: int, near: list[str], *, own: bool = True) -> str:
        """Blanks, a line break or a comment between brackets."""
        choice = self.chance.random()
        pad = "\n" + " " * (indent + 1)
        if choice < 0.75 or not near:
            return " " * (choice < 0.4)
        if choice < 0.85:
            return pad
        if choice < 0.93 or not own:
            return f" {self.remember(' '.join(near))}{pad}"
        return f"{pad}{self.remember(' '.join(near))}{pad}"

    # --- scalars and comments ----------------------------------------------------------------

    def leaf(
        self, indent: int, token: str = "", *, brackets: bool = False, header: bool = False
    ) -> str:
        """A scalar that holds a token."""
        token = token or self.token("v")
        pad = " " * (indent + self.chance.randint(0, 2))
        choice = self.chance.random()
        if choice < 0.3:
            return token
        if choice < 0.5:
            return self.chance.choice(PLAIN if brackets else PLAIN + PLAIN_IN_BLOCK).format(token)
        if choice < 0.8:
            return self.chance.choice(QUOTED).format(token)
        if choice < 0.9 or brackets:
            return self.chance.choice(BROKEN).format(token, pad)
        comment = self.comment(token, 0.3) if header else ""
        self.block = True
        return self.chance.choice(BLOCKS).format(
            s=self.chance.choice("|>"), c=comment, i=pad, t=token
        )

    def end_of_leaf(self, token: str) -> None:
        if not self.out[-1].endswith("\n"):
            self.write(self.comment(token, 0.3) + "\n")

    def special(self) -> str:
        return self.chance.choice(SPECIAL)

    def comment(self, near: str, probability: float) -> str:
        """Perhaps a comment beside something."""
        if not near or not self.maybe(probability):
            return ""
        return self.chance.choice([" ", "   ", "\t"]) + self.remember(near)

    def alone(self, near: str, column: int) -> None:
        self.write(self.chance.choice(["", "\n"]) + " " * column + self.remember(near) + "\n")

    def remember(self, near: str) -> str:
        """A new comment that names its neighbours."""
        made = f"#{self.chance.choice(['', ' '])}{len(self.comments)} near {near}"
        self.comments.append(made)
        return made

    def key(self) -> str:
        return self.token("k")

    def token(self, letter: str) -> str:
        self.tokens += 1
        return f"{letter}{self.tokens:04}"

    def some(self, names: list[str]) -> list[str]:
        return self.chance.sample(names, self.chance.randint(0, len(names)))

    def maybe(self, probability: float) -> bool:
        return self.chance.random() < probability

    def write(self, text: str) -> None:
        self.out.append(_Block(text) if self.block else text)
        self.block = False

    def after_block(self, place: int) -> bool:
        """Whether a block scalar ended here: a deeper line would still be its text."""
        return isinstance(self.out[place - 1], _Block)


def untidy(seed: int, size: int) -> tuple[str, list[str]]:
    """One file and the comments in it."""
    writer = Writer(random.Random(seed), budget=size)
    return writer.file(), writer.comments


FILES = st.builds(untidy, seed=st.integers(0, 1 << 32), size=st.integers(0, 20))


_DEBRIS = [
    *"{}[],:#-?|>'\"\n\t&*!%@`~0.=<é\\+",
    *("\n  ", "\n- ", "- ", "? ", ": ", " # c", "---\n", "...\n", "\n\n", "''", "|+\n", ">\n"),
]


def damaged(seed: int, size: int) -> str:
    """An untidy file in which some characters were added, dropped or repeated elsewhere."""
    chance = random.Random(seed)
    text, _ = untidy(seed, size)
    for _ in range(chance.randint(1, 6)):
        place, other = chance.randrange(len(text) + 1), chance.randrange(len(text) + 1)
        choice = chance.random()
        if choice < 0.5:
            text = text[:place] + chance.choice(_DEBRIS) + text[place:]
        elif choice < 0.8:
            text = text[:place] + text[place + chance.randint(1, 3) :]
        else:
            text = text[:place] + text[other : other + 12] + text[place:]
    return text


DAMAGED = st.builds(damaged, seed=st.integers(0, 1 << 32), size=st.integers(0, 6))
