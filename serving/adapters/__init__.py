"""Which weights answer: releases, adapters, canaries and their rollback."""
