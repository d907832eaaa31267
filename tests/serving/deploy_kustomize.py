"""The part of kustomize that deploy/kubernetes uses, so that its manifests are tested without a cluster's tools.

An own reading, because kustomize is no Python package; `test_deploy_kubernetes` holds it against `kubectl kustomize`
where there is one. A field that it does not know is an error, not something to pass over.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
FIELDS = {
    "apiVersion",
    "kind",
    "namespace",
    "resources",
    "generatorOptions",
    "configMapGenerator",
    "patches",
}


def build(folder: Path) -> list[Manifest]:
    """The manifests that `kubectl apply -k folder` would apply."""
    settings = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert settings.keys() <= FIELDS, f"{folder}: unknown {settings.keys() - FIELDS}"
    found: list[Manifest] = []
    for name in settings.get("resources", ()):
        path = folder / name
        found += build(path) if path.is_dir() else read(path)
    for generator in settings.get("configMapGenerator", ()):
        assert settings["generatorOptions"] == {"disableNameSuffixHash": True}
        _generate(folder, generator, found)
    for patch in settings.get("patches", ()):
        _patch(patch, found)
    if namespace := settings.get("namespace"):
        for manifest in found:
            if manifest["kind"] != "Namespace":
                manifest["metadata"]["namespace"] = namespace
    return found


def read(path: Path) -> list[Manifest]:
    """The documents of a file; each copied, because YAML's anchors make parts of one document the same object."""
    documents = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    return [_unshared(document) for document in documents if document is not None]


def _unshared(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def _generate(folder: Path, generator: Manifest, found: list[Manifest]) -> None:
    assert generator.keys() <= {"name", "files", "behavior"}
    data = {name: (folder / name).read_text(encoding="utf-8") for name in generator["files"]}
    same = [one for one in found if one["kind"] == "ConfigMap" and one["metadata"]["name"] == generator["name"]]
    assert len(same) == (generator.get("behavior") == "replace"), f"{folder}: {generator['name']}"
    for old in same:
        found.remove(old)
    found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data})


def _patch(patch: Manifest, found: list[Manifest]) -> None:
    target = patch["target"]
    chosen = [one for one in found if (one["kind"], one["metadata"]["name"]) == (target["kind"], target["name"])]
    assert len(chosen) == 1, f"{len(chosen)} manifests are {target}"
    for operation in yaml.safe_load(patch["patch"]):
        _apply(chosen[0], operation)


def _apply(manifest: Manifest, operation: Manifest) -> None:
    """One operation of JSON Patch (RFC 6902): add, replace or remove."""
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    place: Any = manifest
    for part in way:
        place = place[int(part)] if isinstance(place, list) else place[part]
    key: Any = last
    if isinstance(place, list):
        key = len(place) if last == "-" else int(last)
    action = operation["op"]
    if action == "remove":
        del place[key]
        return
    if action == "replace":
        assert isinstance(place, list) or key in place, f"nothing to replace at {operation['path']}"
    value = copy.deepcopy(operation["value"])
    if action == "add" and isinstance(place, list):
        place.insert(key, value)
    else:
        place[key] = value
