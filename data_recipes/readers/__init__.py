"""Readers: raw folders of dialogues and logs, rule documents in five formats, open instruction files."""
