"""One module per task: from knowledge to draft rows."""
