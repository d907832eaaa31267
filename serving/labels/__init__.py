"""Labels of AI-generated content: the notice people read, and the `AIGC` metadata of GB 45438-2025."""
