"""One module per kind of value: how it is written and said, and what it then says."""
