"""Decide over evidence on disk and write the signed release."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evals.errors import EvalError
from evals.gate.beside import read_beside
from evals.gate.decide import decide
from evals.gate.findings import Decision, Finding, decision
from evals.gate.policy import GatePolicy
from evals.gate.preconditions import of_evidence
from evals.gate.provenance import of_dataset, of_manifest, of_plan
from evals.run import KIND, SUMMARY, read_evidence, rescore
from tianjing.files import atomic_write, canonical_json, sha256_bytes
from tianjing.lineage import artefact_digest, is_artefact, read_manifest, sign_release, verify

# Kind of the artefact that `tianjing train run` writes with `tune: full`.
_IN_FULL = "full"

Json = Mapping[str, Any]


def judge(evals: Path, policy: GatePolicy, beside: Sequence[Path] = ()) -> Decision:
    """Check the evidence and apply the policy; nothing is written.

    The figures are computed again from the raw outputs: what the policy is applied to is what the answers say.

    Args:
        beside: folders of parity checks and judgements of the same models, for rules about their figures.

    Raises:
        EvalError: `evals` is no evaluation, or the policy names a task that was not evaluated.
    """
    return _judge(evals, policy, {}, beside=beside)[0]


def decide_and_sign(
    evals: Path,
    out: Path,
    contents: Mapping[str, Path],
    policy: GatePolicy,
    now: datetime | None = None,
    against: Path | None = None,
    beside: Sequence[Path] = (),
) -> Decision:
    """Check the evidence, apply the policy, and write the signed decision, whatever it is, to `out`.

    Args:
        contents: folders of `base`, `adapter`, `merged` and `dataset`, whose digests the release names; without
            `adapter`, `merged` is a model tuned in full.
        against: the model that was evaluated as `base`, where it is not the base itself: the one released so far.
        beside: as in `judge`.

    Raises:
        EvalError: `evals` is no evaluation, the policy names a task that was not evaluated, or an adapter is missing.
        TianjingError: one of the folders is missing, or the key cannot be used.
    """
    _check_adapter(contents)
    asked = {"base": against or contents["base"], "merged": contents["merged"]}
    decided, summary = _judge(evals, policy, asked, contents, beside)
    digests = {name: artefact_digest(path) for name, path in contents.items()}
    digests["evaluation"] = artefact_digest(evals)
    digests["policy"] = policy_digest(policy)
    body = release_body(decided, digests, policy, now or datetime.now(UTC), _temperature(summary))
    release = sign_release(body, policy.signing_key)
    atomic_write(out, json.dumps(release, ensure_ascii=False, indent=2) + "\n")
    return decided


def release_body(
    decided: Decision, digests: Mapping[str, str], policy: GatePolicy, now: datetime, temperature: float
) -> dict[str, Any]:
    """The unsigned release (`tianjing.lineage.Release`): what was decided about which content, why, and until when."""
    return {
        **digests,
        "verdict": decided.verdict.lower(),
        "reasons": [str(finding) for finding in decided.findings],
        "temperature": temperature,
        "created": now.astimezone(UTC).isoformat(timespec="seconds"),
        "expires": (now + timedelta(days=policy.expiry_days)).astimezone(UTC).isoformat(timespec="seconds"),
    }


def policy_digest(policy: GatePolicy) -> str:
    """Digest of the rules alone: where the key lies does not change them."""
    return sha256_bytes(canonical_json(policy.model_dump(mode="json", exclude={"signing_key"})).encode())


def _judge(
    evals: Path,
    policy: GatePolicy,
    asked: Mapping[str, Path],
    contents: Mapping[str, Path] | None = None,
    beside: Sequence[Path] = (),
) -> tuple[Decision, Json]:
    """The decision and the summary it was reached on; an empty one where the evidence was changed."""
    manifest = read_manifest(evals)
    if manifest.kind != KIND:
        raise EvalError(f"{evals}: no evaluation", "give the folder that 'tianjing eval run' wrote")
    if changed := verify(evals):
        # Nothing of it is read: changed bytes need not even be JSON.
        return decision([_invalid(f"the evidence was changed after it was written: {line}") for line in changed]), {}
    summary = json.loads((evals / SUMMARY).read_text(encoding="utf-8"))
    evidence = read_evidence(evals)
    broken = [*of_manifest(manifest, evidence), *of_plan(evidence)]
    broken += of_evidence(evidence.attempts, evidence.run, policy)
    if not rescore(evals, None, None, None)[1]:
        broken.append(
            f"{evals / SUMMARY}: its figures are not those that the raw outputs give with this version: "
            f"compute them again with tianjing eval report {evals} --rescored FOLDER, and gate that"
        )
    broken += _other_content(summary, asked)
    if contents:
        broken += _other_origin(contents)
        broken += of_dataset(contents["dataset"], evidence)
    more = read_beside(beside, evals, summary, policy)
    measures = [*summary.get("measures", ()), *(measure.model_dump(mode="json") for measure in more.measures)]
    decided = decide({**summary, "measures": measures}, policy, broken + more.problems)
    notes = [Finding("PROMOTE", note, "advisory") for note in more.notes]
    return decision([*decided.findings, *notes]), summary


def _invalid(reason: str) -> Finding:
    return Finding("INVALID", reason, "precondition", "evaluate again, or take the evidence from its backup")


def _check_adapter(contents: Mapping[str, Path]) -> None:
    """A release leaves no part unnamed: merged weights have an adapter, weights tuned in full have none."""
    merged = contents["merged"]
    in_full = is_artefact(merged) and read_manifest(merged).kind == _IN_FULL
    if in_full and "adapter" in contents:
        raise EvalError(f"{merged}: was tuned in full, without an adapter", "leave --adapter out")
    if not in_full and "adapter" not in contents:
        raise EvalError(f"{merged}: was not tuned in full, and no adapter is given", "give --adapter FOLDER")


def _temperature(summary: Json) -> float:
    """The sampling temperature that the evidence speaks for."""
    return float(summary["config"]["temperature"]) if summary and summary["config"]["stability_items"] else 0.0


def _other_content(summary: Json, asked: Mapping[str, Path]) -> list[str]:
    """What was evaluated that is not what is to be released."""
    arms = summary["arms"]
    evaluated = {
        "base": arms.get("base", {}).get("digest", "nothing"),
        "merged": arms.get("tuned", {}).get("digest", "nothing"),
    }
    problems = []
    for name, path in asked.items():
        digest = artefact_digest(path)
        if digest != evaluated[name]:
            problems.append(f"{path} is not what was evaluated as {name}: {digest[:12]} ≠ {evaluated[name][:12]}")
    if problems and arms.get("tuned", {}).get("adapter"):
        problems.append("an adapter over its base was evaluated, and merged weights round otherwise: evaluate these")
    return problems


def _other_origin(contents: Mapping[str, Path]) -> list[str]:
    """Whether the merged model is still what it was, and was made from the adapter and base that are named."""
    merged = contents["merged"]
    if not is_artefact(merged):  # a plain folder's digest has read every byte already
        return []
    problems = [f"the merged model was changed: {line}" for line in verify(merged)]
    made_from = {record.sha256 for record in read_manifest(merged).inputs}
    problems += [
        f"{merged} was not made from {contents[name]}"
        for name in ("adapter", "base")
        if name in contents and artefact_digest(contents[name]) not in made_from
    ]
    return problems
