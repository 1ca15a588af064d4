"""The exact grammars of what is written in a field: amounts, weights, codes, names, paths.

Each grammar is one regular expression, stated once, and is used three times with the same verdict:
in the published schema, in the model, and for the columns of tables. ``format`` names the grammar
inside the schema, so that a finding knows which one was broken. A plain number in YAML arrives as
an ``int`` or a ``Decimal`` made from its text, which loses nothing; a scalar that two versions of
YAML read differently arrives as ``Doubtful`` text, which no code or name accepts.
"""

from __future__ import annotations

import datetime
from collections.abc import Hashable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

AMOUNT = r"(0|[1-9][0-9]{0,14})(\.[0-9]{1,8})?"
RATIO = r"(0|[1-9][0-9]{0,5})(\.[0-9]{1,18})?"
WEIGHT = r"(0(\.[0-9]{1,18})?|1(\.0{1,18})?)"
PARTICIPANT_CODE = r"[A-Z0-9]{6}"
ASSET_CODE = r"[A-Z0-9]{1,20}(\.[A-Z0-9]{1,12})?"
SETTING_KEY = f"(default|{ASSET_CODE})"
CURRENCY_CODE = r"[A-Z]{3}"
NAME = r"[a-z0-9-]{1,64}"
PLATFORM_CODE = r"[A-Z0-9]{6}"
ACCOUNT_LABEL = r"[A-Za-z0-9_-]{1,40}"
GIT_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*([./][A-Za-z0-9][A-Za-z0-9_-]*)*"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
SHA256 = r"[0-9a-f]{64}"
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
ENDPOINT = (
    r"(sandbox|https://[a-z0-9.-]+(:[0-9]{1,5})?|http://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?)"
)
TEXT_LENGTH_MAX = 1000
QUERY_LENGTH_MAX = 10_000


class Doubtful(str):
    """Unquoted text that some YAML reads as something else: ``NO``, ``010``, ``1e3``, ``~``.

    ``reading`` says what as: null, boolean, number, time, date.
    """

    __slots__ = ("reading",)
    reading: str

    def __new__(cls, text: str, reading: str) -> Doubtful:
        made = super().__new__(cls, text)
        made.reading = reading
        return made


def source_text(value: object) -> object:
    """The text of a plain number exactly as it was written; anything else is left as it is."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    return value


def _certain(value: object) -> object:
    if isinstance(value, Doubtful):
        raise ValueError("must be quoted")
    return value


def _whole_number(value: object) -> object:
    if type(value) is not int:
        raise ValueError("must be a whole number")
    return value


def is_date(text: str) -> bool:
    """Whether YYYY-MM-DD names a day of the calendar."""
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _real_date(text: str) -> str:
    if not is_date(text):
        raise ValueError("no such day")
    return text


Item = TypeVar("Item", bound=Hashable)


def _unique(items: tuple[Item, ...]) -> tuple[Item, ...]:
    if len(set(items)) != len(items):
        raise ValueError("items must be unique")
    return items


# --- schemas of single values ----------------------------------------------------------------


def _number_or_text(
    name: str, pattern: str, said: str, examples: Sequence[str], **bounds: int
) -> dict[str, Any]:
    """Plain or quoted; the pattern speaks of the text in either case, the bounds of a number.

    A bound is the first number beyond the grammar, because that is what the largest one within it
    becomes in binary floating point, where editors keep it.
    """
    return {
        "description": said,
        "type": ["string", "number"],
        "format": name,
        "pattern": f"^{pattern}$",
        "minimum": 0,
        **bounds,
        "examples": list(examples),
    }


def _text(
    name: str, pattern: str, said: str, examples: Sequence[str], lengths: tuple[int, int] = (1, 200)
) -> dict[str, Any]:
    """Text with bounds on its length too, because some engines let ``$`` match before a newline."""
    return {
        "description": said,
        "type": "string",
        "format": name,
        "pattern": f"^{pattern}$",
        "minLength": lengths[0],
        "maxLength": lengths[1],
        "examples": list(examples),
    }


AMOUNT_SCHEMA = _number_or_text(
    "amount",
    AMOUNT,
    "Money: digits with at most one point, plain or quoted.",
    ["250.00", "15000"],
    maximum=10**15,
)
RATIO_SCHEMA = _number_or_text(
    "ratio",
    RATIO,
    "A fraction of 1: digits with at most one point, plain or quoted.",
    ["0.05", "0.25"],
    maximum=10**6,
)
WEIGHT_SCHEMA = _number_or_text(
    "weight",
    WEIGHT,
    "A weight between 0 and 1 with at most 18 decimals, plain or quoted.",
    ["0.50", "0.333333333333333333"],
    maximum=1,
)
PARTICIPANT_CODE_SCHEMA = _text(
    "participant-code",
    PARTICIPANT_CODE,
    "The provider's code of a participant.",
    ["CUST01"],
    (6, 6),
)
ASSET_CODE_SCHEMA = _text(
    "asset-code", ASSET_CODE, "An asset, as the provider lists it.", ["BTC", "AAVE.ETH"], (1, 33)
)
SETTING_KEY_SCHEMA = _text(
    "asset-code",
    SETTING_KEY,
    "An asset, or default for all that are not named.",
    ["default", "BTC"],
    (1, 33),
)
CURRENCY_CODE_SCHEMA = _text(
    "currency-code", CURRENCY_CODE, "A currency, in three letters.", ["USD"], (3, 3)
)
NAME_SCHEMA = _text(
    "name", NAME, "A name: lower-case letters, digits and dashes.", ["blue-chip"], (1, 64)
)
UUID_SCHEMA = _text(
    "uuid",
    UUID,
    "An id as the provider shows it.",
    ["9ba5e569-a966-42a9-a7ad-666b0a5300f3"],
    (36, 36),
)
DATE_SCHEMA = _text("date", DATE, "A day.", ["2026-12-31"], (10, 10))
PLATFORM_CODE_SCHEMA = _text(
    "platform-code", PLATFORM_CODE, "The provider's code of a platform.", ["PLAT01"], (6, 6)
)
ACCOUNT_LABEL_SCHEMA = _text(
    "account-label", ACCOUNT_LABEL, "The label of an account.", ["general"], (1, 40)
)
GIT_NAME_SCHEMA = _text(
    "git-name",
    GIT_NAME,
    "A name in Git: letters, digits and dashes, with points and slashes between them.",
    ["origin", "stratctl-journal"],
    (1, 100),
)
ENDPOINT_SCHEMA = _text(
    "endpoint",
    ENDPOINT,
    "sandbox, or https:// and a host name.",
    ["sandbox", "https://api.cert.zerohash.com"],
)
PATH_SCHEMA: dict[str, Any] = {
    "description": "A file of the project, relative to the file that names it.",
    "type": "string",
    "format": "path",
    "minLength": 1,
    "maxLength": 500,
    "examples": ["cohorts/founders.csv"],
}
PATTERN_SCHEMA: dict[str, Any] = {
    **PATH_SCHEMA,
    "description": "A table of the project, relative to this file: csv, jsonl or parquet. A * in "
    "the name of the file stands for any letters; what matches is read in the order of its name.",
    "examples": ["cohorts/founders.csv", "cohorts/founders-*.parquet"],
}
SHA256_SCHEMA = _text(
    "sha256",
    SHA256,
    "Digest of the file as sha256sum prints it: another content is an error.",
    ["0123456789abcdef" * 4],
    (64, 64),
)
QUERY_SCHEMA: dict[str, Any] = {
    "description": "One SELECT that names the columns of a table of members. It runs read-only.",
    "type": "string",
    "format": "text",
    "minLength": 1,
    "maxLength": QUERY_LENGTH_MAX,
    "examples": ["SELECT participant_code, contributed FROM founders"],
}
FREE_TEXT_SCHEMA: dict[str, Any] = {
    "type": "string",
    "format": "text",
    "minLength": 1,
    "maxLength": TEXT_LENGTH_MAX,
}


def listed(item: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The schema of a list without repeats."""
    return {"type": "array", "items": item, "uniqueItems": True, **more}


# --- fields of the models --------------------------------------------------------------------


def _whole(pattern: str) -> StringConstraints:
    return StringConstraints(pattern=f"^{pattern}$", max_length=200)


Amount = Annotated[str, BeforeValidator(source_text), _whole(AMOUNT), WithJsonSchema(AMOUNT_SCHEMA)]
"""Money as plain decimal text; the currency's scale is checked where the currency is known."""
Ratio = Annotated[str, BeforeValidator(source_text), _whole(RATIO), WithJsonSchema(RATIO_SCHEMA)]
"""A fraction of 1 that may exceed 1, as plain decimal text."""
Weight = Annotated[str, BeforeValidator(source_text), _whole(WEIGHT), WithJsonSchema(WEIGHT_SCHEMA)]
"""A fraction of 1 of at most 1, as plain decimal text with at most 18 decimals."""
ParticipantCode = Annotated[
    str,
    BeforeValidator(_certain),
    _whole(PARTICIPANT_CODE),
    WithJsonSchema(PARTICIPANT_CODE_SCHEMA),
]
AssetCode = Annotated[
    str, BeforeValidator(_certain), _whole(ASSET_CODE), WithJsonSchema(ASSET_CODE_SCHEMA)
]
CurrencyCode = Annotated[
    str, BeforeValidator(_certain), _whole(CURRENCY_CODE), WithJsonSchema(CURRENCY_CODE_SCHEMA)
]
Name = Annotated[str, BeforeValidator(_certain), _whole(NAME), WithJsonSchema(NAME_SCHEMA)]
Uuid = Annotated[str, BeforeValidator(_certain), _whole(UUID), WithJsonSchema(UUID_SCHEMA)]
Date = Annotated[str, _whole(DATE), AfterValidator(_real_date), WithJsonSchema(DATE_SCHEMA)]
Endpoint = Annotated[
    str, BeforeValidator(_certain), _whole(ENDPOINT), WithJsonSchema(ENDPOINT_SCHEMA)
]
PlatformCode = Annotated[
    str, BeforeValidator(_certain), _whole(PLATFORM_CODE), WithJsonSchema(PLATFORM_CODE_SCHEMA)
]
AccountLabel = Annotated[
    str, BeforeValidator(_certain), _whole(ACCOUNT_LABEL), WithJsonSchema(ACCOUNT_LABEL_SCHEMA)
]
GitName = Annotated[
    str,
    BeforeValidator(_certain),
    _whole(GIT_NAME),
    StringConstraints(max_length=100),
    WithJsonSchema(GIT_NAME_SCHEMA),
]
SettingKey = Annotated[
    str, BeforeValidator(_certain), _whole(SETTING_KEY), WithJsonSchema(SETTING_KEY_SCHEMA)
]
"""An asset, or ``default`` for all that are not named."""
Path = Annotated[
    str,
    BeforeValidator(_certain),
    StringConstraints(min_length=1, max_length=500),
    WithJsonSchema(PATH_SCHEMA),
]
Pattern = Annotated[
    str,
    BeforeValidator(_certain),
    StringConstraints(min_length=1, max_length=500),
    WithJsonSchema(PATTERN_SCHEMA),
]
Sha256 = Annotated[str, BeforeValidator(_certain), _whole(SHA256), WithJsonSchema(SHA256_SCHEMA)]
Query = Annotated[
    str,
    BeforeValidator(_certain),
    StringConstraints(min_length=1, max_length=QUERY_LENGTH_MAX),
    WithJsonSchema(QUERY_SCHEMA),
]
FreeText = Annotated[
    str,
    BeforeValidator(_certain),
    StringConstraints(min_length=1, max_length=TEXT_LENGTH_MAX),
    WithJsonSchema(FREE_TEXT_SCHEMA),
]
Version = Annotated[
    Literal[1],
    BeforeValidator(_whole_number),
    WithJsonSchema({"type": "integer", "const": 1}),
]
MetadataKey = Annotated[
    str,
    BeforeValidator(_certain),
    StringConstraints(min_length=1, max_length=100),
    WithJsonSchema({**FREE_TEXT_SCHEMA, "maxLength": 100}),
]
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=0, le=10**9)]

Allocations = Annotated[dict[AssetCode, Weight], Field(min_length=1)]
Assets = Annotated[
    tuple[AssetCode, ...], AfterValidator(_unique), WithJsonSchema(listed(ASSET_CODE_SCHEMA))
]
SomeAssets = Annotated[
    tuple[AssetCode, ...],
    Field(min_length=1),
    AfterValidator(_unique),
    WithJsonSchema(listed(ASSET_CODE_SCHEMA, minItems=1)),
]
Blend = Annotated[dict[Name, Weight], Field(min_length=1)]
Names = Annotated[tuple[Name, ...], AfterValidator(_unique), WithJsonSchema(listed(NAME_SCHEMA))]
SomeNames = Annotated[
    tuple[Name, ...],
    Field(min_length=1),
    AfterValidator(_unique),
    WithJsonSchema(listed(NAME_SCHEMA, minItems=1)),
]
Metadata = dict[MetadataKey, FreeText]
ProviderIds = dict[Name, Uuid]
