"""The account of every request: append-only, hash-chained, keyed; raw text only in a vault that can forget."""
