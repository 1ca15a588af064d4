"""Every finding about what people wrote: its stable code and its fixed one-line summary.

``docs/diagnostics.md`` has an entry per code, with a wrong and a right example that the tests run.
"""

from __future__ import annotations

from stratctl.core.diagnostic import Diagnostic, Severity, Span

SUMMARIES = {
    # reading bytes
    "E_ENCODING": "the file is not plain UTF-8 text",
    "E_UNICODE_CONTROL": "an invisible or direction-changing character",
    "E_FILE_SIZE": "the file is too large",
    "E_FILE_MISSING": "the named file does not exist",
    "E_FILE_CHANGED": "the file changed while it was read",
    "E_FILE_DIGEST": "the file is not the one that was meant",
    "E_INCLUDE_OUTSIDE": "the path leaves the project",
    "E_INCLUDE_NOT_REGULAR": "the path is not a regular file",
    # YAML
    "E_YAML_SYNTAX": "this is not YAML",
    "E_YAML_ALIAS": "anchors and aliases are not accepted",
    "E_YAML_MERGE": "merge keys are not accepted",
    "E_YAML_TAG": "tags and directives are not accepted",
    "E_YAML_DUPKEY": "the key occurs twice",
    "E_YAML_KEY": "a key must be plain text before a colon",
    "E_YAML_DEPTH": "the document is nested too deeply",
    "E_YAML_NODES": "the file has too many values",
    "E_YAML_BOOL": "only true and false are booleans",
    "E_EMPTY_CONFIG": "there is nothing in this document",
    # the shape of a document
    "E_KIND": "the document has no known kind",
    "E_KIND_MISPLACED": "this kind of document does not belong in this file",
    "E_VERSION": "the version of the document is not known",
    "E_UNKNOWN_KEY": "the key is not known here",
    "E_MISSING_KEY": "a key is missing",
    "E_TYPE": "the value is of the wrong type",
    "E_TYPE_STRING_REQUIRED": "this must be quoted",
    "E_VALUE": "the value is not one of the accepted ones",
    "E_TEXT": "the text does not fit the field",
    "E_DUP_ITEM": "the list names the same thing twice",
    "E_NAME_SYNTAX": "the name is not [a-z0-9-]{1,64}",
    "E_UUID_SYNTAX": "the provider's id is not a lower-case UUID",
    "E_DATE_SYNTAX": "the date is not YYYY-MM-DD",
    "E_ENDPOINT": "the endpoint is not acceptable",
    "E_WINDOW": "the window cannot be understood",
    "E_ROLLOUT": "the stages do not lead to everybody",
    "E_JOURNAL_PLACE": "the journal is kept in one place",
    # codes, amounts and weights
    "E_CODE_SYNTAX": "the participant code is not six of A-Z and 0-9",
    "E_ASSET_SYNTAX": "the asset code is not acceptable",
    "E_CURRENCY": "the currency is not acceptable",
    "E_AMOUNT_MISSING": "the amount is missing",
    "E_AMOUNT_SYNTAX": "the amount is not a plain decimal number",
    "E_AMOUNT_SCALE": "the amount has more decimals than the currency",
    "E_AMOUNT_NOT_POSITIVE": "the amount must be more than zero",
    "E_AMOUNT_SIZE": "the amount is too large",
    "E_RATIO_SYNTAX": "the fraction is not a plain decimal number",
    "E_WEIGHT_SYNTAX": "the weight is not a plain decimal number",
    "E_WEIGHT_RANGE": "the weight is not between 0 and 1, or too fine",
    "E_WEIGHT_SUM": "the weights do not add up to exactly 1",
    "E_WEIGHT_SOURCE": "the weights must be given in exactly one way",
    "E_WEIGHT_CYCLE": "Strategies take their weights from each other in a circle",
    "E_CAP": "the cap cannot be kept",
    "E_TRANSITION": "the steps do not lead to the new weights",
    "E_WEIGHT_CAP": "the weight is above the cap of its asset",
    # tables
    "E_CSV_HEADER": "the first line does not name the columns",
    "E_CSV_COLUMNS": "the row has another number of cells than the header",
    "E_CSV_QUOTE": "a quote is not closed or misplaced",
    "E_CSV_NEWLINE": "a cell holds a line break",
    "E_CSV_FIELD": "a cell is too long",
    "E_CSV_FORMULA": "a cell begins like a spreadsheet formula",
    "E_JSON_SYNTAX": "the line is not JSON",
    "E_JSON_SHAPE": "the line is not one flat object",
    "E_JSON_DUPKEY": "the key occurs twice in the line",
    "E_JSON_NUMBER": "the number is not one of JSON",
    "E_TABLE_FORMAT": "the table cannot be read",
    "E_TABLE_COLUMNS": "the columns of the table are not the expected ones",
    "E_TABLE_TYPE": "the type of a column loses or hides exact values",
    "E_EMPTY_TABLE": "the table names nobody",
    "E_TABLE_ROWS": "the table has too many rows",
    "E_CONNECTION": "the connection cannot be used",
    "E_SQL": "the query cannot be run",
    "W_NOT_READ": "a source was not read",
    "E_TABLE_STATUS": "the status is not active or exited",
    "E_TABLE_FLAG": "the flag is not true or false",
    # meaning
    "E_EMPTY_COHORT": "the cohort names nobody",
    "E_DUP_PARTICIPANT": "the participant is named twice",
    "E_DUP_NAME": "the name is used twice",
    "E_DUP_KEY": "the funding key is used twice",
    "E_DUP_ADOPTED": "two Strategies claim the same Strategy of the provider",
    "E_UNKNOWN_STRATEGY": "there is no Strategy of this name",
    "E_UNKNOWN_CONNECTION": "there is no connection of this name",
    "E_UNKNOWN_ENVIRONMENT": "there is no environment of this name",
    "E_UNKNOWN_PARTICIPANT": "the participant is not in the cohort",
    "E_EXIT_ALLOCATED": "an asset is allocated and exited at once",
    "E_EXITS_WITHOUT_ALLOCATIONS": "exits without allocations of its own",
    "E_LIVE_TWICE": "two cohorts take the live Traders of one Strategy",
    "E_MANAGES": "what the cohort manages does not fit together",
    "W_CURRENCY": "the provider may not know this currency",
    "E_ENV_MISMATCH": "realm and endpoint do not belong together",
    # probably not meant
    "W_CONFUSABLE": "two participant codes look alike",
    "W_LEG_MINIMUM": "the contribution is too small to enroll with",
    "W_BAND_WIDER": "an asset can be lost inside the drift bands",
    "W_NEEDLESS_DIGITS": "the weight has needless zeros",
    "W_UNUSED_FILE": "nothing names this table",
    "W_UNTRACKED": "others may not have this file",
    "W_NO_MEMBERS": "the platform knows nobody of the cohort",
}
"""Code -> summary. The words never change with the particulars, which are in the detail."""


def problem(code: str, detail: str, span: Span | None = None, hint: str = "") -> Diagnostic:
    """An error with the code's fixed summary."""
    return Diagnostic(code, SUMMARIES[code], detail, hint, span)


def warning(code: str, detail: str, span: Span | None = None, hint: str = "") -> Diagnostic:
    """A finding that stops nothing."""
    return Diagnostic(code, SUMMARIES[code], detail, hint, span, Severity.WARNING)
