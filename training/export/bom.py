"""The bill of materials, CycloneDX 1.6 (cyclonedx.org/capabilities/mlbom): weights, base model, data, libraries."""

from __future__ import annotations

import uuid
from typing import Any

from tianjing.lineage import Manifest
from training.export.facts import Facts, Library
from training.origin import Source

# Of the serial numbers: the same weights have the same one.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:tianjing:bom")


def bom(facts: Facts) -> dict[str, Any]:
    """The document. Its time is that of the weights, so that the same weights give the same bytes.

    An artefact's digest is not the hash of one file, so it stands among the properties; `hashes` are of files.
    """
    origin, made = facts.origin, facts.quantised
    components = [_base(facts), _dataset(facts), *_ledger(facts), *_sources(facts), *_libraries(facts)]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(_NAMESPACE, origin.manifest.digest + (made.scheme if made else "")).urn,
        "version": 1,
        "metadata": {
            "timestamp": origin.manifest.created.isoformat(),
            "tools": {"components": [_tool(origin.manifest)]},
            "component": _weights(facts),
        },
        "components": components,
        "dependencies": [
            {"ref": "weights", "dependsOn": [component["bom-ref"] for component in components]},
            *({"ref": component["bom-ref"]} for component in components),
        ],
    }


def _tool(manifest: Manifest) -> dict[str, Any]:
    return {"type": "application", "name": "tianjing", "version": manifest.versions.get("tianjing", "")}


def _weights(facts: Facts) -> dict[str, Any]:
    manifest = facts.origin.manifest
    files = [
        {
            "type": "file",
            "bom-ref": f"file:{name}",
            "name": name,
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }
        for name, digest in facts.files.items()
    ]
    made = facts.quantised
    more = {"quantised": made.scheme, "calibration_rows": str(made.calibration_rows)} if made else {}
    return {
        "type": "machine-learning-model",
        "bom-ref": "weights",
        "name": "-".join([facts.base_name, manifest.kind, *([made.scheme] if made else [])]),
        "version": manifest.digest[:12],
        "properties": _properties(digest=manifest.digest, kind=manifest.kind, **more),
        "pedigree": {"ancestors": [_base(facts) | {"bom-ref": "ancestor"}]},
        "components": files,
        "modelCard": _model_card(facts),
    }


def _model_card(facts: Facts) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "approach": {"type": "supervised"},
        "task": "text-generation",
        "datasets": [{"ref": "dataset"}],
        "inputs": [{"format": "text"}],
        "outputs": [{"format": "text"}],
    }
    if facts.architecture:
        parameters["modelArchitecture"] = facts.architecture
    found: dict[str, Any] = {"modelParameters": parameters}
    metrics = []
    if facts.losses:
        last = f"{facts.losses[-1]:.6f}"
        metrics.append({"type": "training loss, last step", "value": last, "slice": "training rows"})
    if facts.quantised:
        check = facts.quantised.check
        where = f"{check['rows']} rows"
        metrics += [
            {"type": kind, "value": f"{check[name]:.6f}", "slice": where}
            for kind, name in (
                ("loss before quantisation", "loss"),
                ("loss after quantisation", "quantised_loss"),
                ("relative difference of logits", "logit_difference"),
            )
        ]
    if metrics:
        found["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    limits = "No evaluation is part of this document; the signed release holds it."
    found["considerations"] = {"technicalLimitations": [limits]}
    return found


def _base(facts: Facts) -> dict[str, Any]:
    base = facts.origin.base
    found = {"type": "machine-learning-model", "bom-ref": "base", "name": facts.base_name, "version": base.sha256[:12]}
    return found | {"properties": _properties(digest=base.sha256)} | _licences(facts.base_licence)


def _dataset(facts: Facts) -> dict[str, Any]:
    dataset = facts.origin.dataset
    properties = _properties(digest=dataset.sha256)
    properties += [{"name": f"tianjing:rows:{task}", "value": str(n)} for task, n in (facts.tasks or {}).items()]
    return _data("dataset", dataset, properties)


def _ledger(facts: Facts) -> list[dict[str, Any]]:
    """The sources of the dataset's licence ledger."""
    found = []
    for entry in facts.ledger or ():
        properties = _properties(use=entry["use"], licence_class=entry["licence_class"])
        properties += [{"name": f"tianjing:rows:{split}", "value": str(n)} for split, n in entry["rows"].items()]
        component = {"type": "data", "bom-ref": f"licensed:{entry['source']}", "name": entry["source"]}
        contents = {"type": "dataset", "name": entry["source"]}
        found.append(
            component | {"data": [contents], "properties": properties} | _licences(entry["spdx"] or entry["licence"])
        )
    return found


def _sources(facts: Facts) -> list[dict[str, Any]]:
    """What the dataset was made from; the same input of two stages is one component."""
    once = {source.sha256: source for source in facts.raw}
    return [_data(f"source:{digest}", source, _properties(digest=digest)) for digest, source in once.items()]


def _data(reference: str, source: Source, properties: list[dict[str, str]]) -> dict[str, Any]:
    kind = source.manifest.kind if source.manifest else "raw or not at hand"
    return {
        "type": "data",
        "bom-ref": reference,
        "name": source.name,
        "version": source.sha256[:12],
        "data": [{"type": "dataset", "name": source.name}],
        "properties": [*properties, *_properties(kind=kind)],
    }


def _libraries(facts: Facts) -> list[dict[str, Any]]:
    return [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{library.name}@{library.version}",
            "name": library.name,
            "version": library.version,
            # A local version (2.13.0+cpu) keeps its sign as %2B in a package URL.
            "purl": f"pkg:pypi/{library.name}@{library.version.replace('+', '%2B')}",
        }
        | _licences(library.licence)
        for library in (*facts.libraries, *_compressor(facts))
    ]


def _compressor(facts: Facts) -> list[Library]:
    """What only quantises; the rest of that environment's libraries stand among those that trained, as they were."""
    versions = facts.quantised.versions if facts.quantised else {}
    known = {library.name for library in facts.libraries}
    return [Library(name, version, None) for name, version in versions.items() if name not in known]


def _licences(stated: str | None) -> dict[str, Any]:
    return {"licenses": [{"license": {"name": stated}}]} if stated else {}


def _properties(**values: str) -> list[dict[str, str]]:
    return [{"name": f"tianjing:{name}", "value": value} for name, value in values.items()]
