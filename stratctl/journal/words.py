"""What each key of a journal line means: the descriptions in ``journal.schema.json``."""

from __future__ import annotations

JOURNAL_WORDS = {
    # every line
    "v": "Version of the format.",
    "seq": "Place of the line, from 1.",
    "prev": "h of the line before; zeros for the first.",
    "t": "When it was written (UTC). The order is seq, never this.",
    "run": "The apply that wrote it.",
    "type": "What it says.",
    "h": "sha256 of this line without h, rows and body.",
    "rows_root": "Head of the tree (RFC 6962) over the canonical text of each row.",
    # said in several places
    "strategy": "Name of the Strategy.",
    "strategy_id": "The provider's id of the Strategy; empty when not known yet, or for all.",
    "participant_code": "The provider's code of the participant.",
    "participants": "Codes of the participants that are meant.",
    "request_id": "The idempotency key that the provider knows.",
    "slot": "Place in the Strategy's chain. Null for calls that have ids of their own.",
    "verb": "What the call does.",
    "amount_minor": "In the smallest unit of the currency. Null where the verb has none.",
    "target_text": "The declared target in canonical text; empty where there is none.",
    "target_epoch": "The Strategy's epoch when the target was declared.",
    "commit": "The Git commit of the configuration. Null outside Git.",
    "generation": "The project's generation. Null when it says none.",
    "plan_digest": "sha256 of the plan: what was approved.",
    "reason": "Why, in words.",
    "status": "As the provider said it.",
    "status_reason": "As the provider said it.",
    "detail": "The particulars.",
    # the journal's own
    "realm": "The provider's environment, for good.",
    "environment": "As the project file names it.",
    "configuration": "sha256 of everything that was read.",
    "run.acknowledgements": "Typed or reviewed widenings that the plan relies on.",
    "complete": "Whether every call of the plan has a result.",
    "acknowledgement": "The acknowledgement that says so.",
    "holder": "Who held the lock and did not let go.",
    "takeover.at": "Unix seconds. The earlier holder signed nothing after this.",
    "since": "Since when the flows are known to wait; earlier than the line where the journal does "
    "not reach back.",
    "exits_only": "Whether exits stay allowed.",
    # intent
    "method": "HTTP method.",
    "path": "HTTP path.",
    "body": "The exact body that is sent, in every attempt.",
    "body_sha256": "Of the body.",
    "currency": "Of the amounts.",
    "intent.rows": "Each participant of the call.",
    "auto_rebalance": "The flag that the call sets. Null where it sets none.",
    "vector_text": "Weights that are sent, in canonical text; empty where there are none.",
    "intent.acknowledgements": "Those that it relies on, and uses up.",
    "fence_head": "The newest slot of the chain when it was bound.",
    "entries": "Named contributions and payouts whose money is among the rows, but for those that "
    "an earlier committed call carried.",
    "key": "The entry's key in funding or payouts.",
    "kind": "funding or payouts.",
    "digest": "sha256 of the entry's canonical rows.",
    "entries.rows": "How many participants the entry has.",
    "entries.amount_minor": "What its rows add up to, in the smallest unit of the currency.",
    # attempt and answer
    "attempt.number": "Which attempt of the request.",
    "signed_at": "Unix seconds in the signature, which dies 60 s later.",
    "answer.number": "The attempt that is answered; 0 for a look-up.",
    "answer": "What the answer proves.",
    "answer.status": "HTTP status; 0 when there was none.",
    "resource_id": "The Operation, or the Strategy of a create; empty when none is known.",
    "errors": "As the provider said them.",
    # outcome
    "operation_id": "The provider's id of the Operation.",
    "outcome.rows": "What became of each participant.",
    "proven": "False: the provider carried out another body than we sent.",
    "result": "What became of the participant.",
    "execution_id": "The provider's id of the Execution.",
    "trade_ids": "The provider's ids of the trades.",
    # what is adopted
    "operations": "Those that are booked from now on.",
    "adopted.rows": "What their Executions moved, for each participant.",
    "contributed_minor": "Money in, in the smallest unit of the currency: as declared, where that "
    "agrees with what the legs add up to.",
    "withdrawn_minor": "Money out, likewise.",
    "exited": "Whether everything was sold; null when nothing was said about it.",
    "mixed": "Whether some legs executed and others failed.",
    "rebalanced_at": "Unix seconds of the last rebalance that traded, or null.",
    # the rest
    "parked": "Participant and reason of each row that the refusal named.",
    "forfeited.rows": "Participant, and what was declared and never moved: in, then out, in the "
    "smallest unit of the currency.",
    "code": "A word that stays the same.",
    "indeterminate": "Whether the outcome is open, rather than failed.",
}
"""``key``, or ``owner.key`` where a key means different things in different places."""
