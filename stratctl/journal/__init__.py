"""The append-only record of what was meant, sent and answered: hash-chained JSON lines."""
