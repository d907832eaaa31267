"""What is published beside the rows: the card, Croissant metadata, the licence ledger, token lengths."""
