"""Decide over evidence on disk and write the signed release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evals.config import GatePolicy
from evals.errors import EvalError
from evals.gate import Finding, Verdict, decide, release_body
from evals.run import KIND, SUMMARY
from tianjing.files import atomic_write, canonical_json, sha256_bytes
from tianjing.lineage import artefact_digest, is_artefact, read_manifest, sign_release, verify

# Kind of the artefact that `tianjing train run` writes with `tune: full`.
_IN_FULL = "full"


def decide_and_sign(
    evals: Path, out: Path, contents: Mapping[str, Path], policy: GatePolicy, now: datetime | None = None
) -> tuple[Verdict, list[Finding]]:
    """Check the evidence, apply the policy, and write the signed decision, whatever it is, to `out`.

    Args:
        contents: folders of `base`, `adapter`, `merged` and `dataset`, whose digests the release names; without
            `adapter`, `merged` is a model tuned in full.

    Raises:
        EvalError: `evals` is no evaluation, the policy names a task that was not evaluated, or an adapter is missing.
        TianjingError: one of the folders is missing, or the key cannot be used.
    """
    if read_manifest(evals).kind != KIND:
        raise EvalError(f"{evals}: no evaluation", "give the folder that 'tianjing eval run' wrote")
    _check_adapter(contents)
    summary = json.loads((evals / SUMMARY).read_text(encoding="utf-8"))
    digests = {name: artefact_digest(path) for name, path in contents.items()}
    verdict, findings = decide(summary, policy, _broken(evals, contents, digests, summary))
    digests["evaluation"] = artefact_digest(evals)
    digests["policy"] = policy_digest(policy)
    body = release_body(verdict, findings, digests, policy, now or datetime.now(UTC), _temperature(summary))
    release = sign_release(body, policy.signing_key)
    atomic_write(out, json.dumps(release, ensure_ascii=False, indent=2) + "\n")
    return verdict, findings


def _check_adapter(contents: Mapping[str, Path]) -> None:
    """A release leaves no part unnamed: merged weights have an adapter, weights tuned in full have none."""
    merged = contents["merged"]
    in_full = is_artefact(merged) and read_manifest(merged).kind == _IN_FULL
    if in_full and "adapter" in contents:
        raise EvalError(f"{merged}: was tuned in full, without an adapter", "leave --adapter out")
    if not in_full and "adapter" not in contents:
        raise EvalError(f"{merged}: was not tuned in full, and no adapter is given", "give --adapter FOLDER")


def _temperature(summary: Mapping[str, Any]) -> float:
    """The sampling temperature that the evidence speaks for."""
    return float(summary["config"]["temperature"]) if summary["config"]["stability_items"] else 0.0


def policy_digest(policy: GatePolicy) -> str:
    """Digest of the rules alone: where the key lies does not change them."""
    return sha256_bytes(canonical_json(policy.model_dump(mode="json", exclude={"signing_key"})).encode())


def _broken(
    evals: Path, contents: Mapping[str, Path], digests: Mapping[str, str], summary: Mapping[str, Any]
) -> list[str]:
    """Why this evidence does not speak for this content: it was changed, or other content was evaluated."""
    problems = [f"the evidence was changed after it was written: {line}" for line in verify(evals)]
    evaluated = {
        "base": summary["arms"]["base"]["digest"],
        "merged": summary["arms"]["tuned"]["digest"],
        "dataset": summary["dataset"],
    }
    for name, digest in evaluated.items():
        if digests[name] != digest:
            problems.append(
                f"{contents[name]} is not what was evaluated as {name}: {digests[name][:12]} ≠ {digest[:12]}"
            )
    merged = contents["merged"]
    if is_artefact(merged):  # a plain folder's digest has read every byte already
        problems += [f"the merged model was changed: {line}" for line in verify(merged)]
        made_from = {record.sha256 for record in read_manifest(merged).inputs}
        problems += [
            f"{merged} was not made from {contents[name]}"
            for name in ("adapter", "base")
            if name in contents and digests[name] not in made_from
        ]
    return problems
