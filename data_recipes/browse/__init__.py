"""Artefacts as a person sees them: a page to browse, and what differs between two."""
