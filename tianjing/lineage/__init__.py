"""Artefacts: folders with a manifest, written whole or not at all, and signed releases.

Every stage writes one folder through `artefact`; its manifest names the inputs by digest, so that any
result can be walked back to the raw files (`tianjing lineage show`) and checked (`tianjing lineage verify`).
"""

from tianjing.lineage.errors import LineageError
from tianjing.lineage.keys import default_key_path, keygen
from tianjing.lineage.manifest import (
    MANIFEST,
    SCHEMA_VERSION,
    FileRecord,
    InputRecord,
    Manifest,
    all_there,
    artefact_digest,
    is_artefact,
    read_manifest,
)
from tianjing.lineage.release import Release, Verdict, read_release, sign_release, verify_release
from tianjing.lineage.staging import staged
from tianjing.lineage.verification import verify, verify_chain
from tianjing.lineage.writer import Work, artefact, check_target

__all__ = [
    "MANIFEST",
    "SCHEMA_VERSION",
    "FileRecord",
    "InputRecord",
    "LineageError",
    "Manifest",
    "Release",
    "Verdict",
    "Work",
    "all_there",
    "artefact",
    "artefact_digest",
    "check_target",
    "default_key_path",
    "is_artefact",
    "keygen",
    "read_manifest",
    "read_release",
    "sign_release",
    "staged",
    "verify",
    "verify_chain",
    "verify_release",
]
