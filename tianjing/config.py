"""Strict YAML configuration: an unknown key or a wrong value is an error that names the line and the field."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tianjing.errors import TianjingError


class StrictModel(BaseModel):
    """Base of every configuration and record: unknown fields are refused, instances are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


Model = TypeVar("Model", bound=BaseModel)


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class UniqueKeyLoader(_Loader):
    """A key that is written twice is an error, not the last one silently."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        nodes = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        keys = [self.construct_object(key, deep=True) for key in nodes]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{key}' is written twice", nodes[position].start_mark
                )
        return dict(super().construct_mapping(node, deep))


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        TianjingError: the file is missing, is not YAML (with the line), or is not a mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TianjingError(f"{path}: no such configuration file", "check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TianjingError(f"{path}: cannot be read: {error}", "give a UTF-8 text file that you may read") from None
    try:
        value = yaml.load(text, UniqueKeyLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise TianjingError(
            f"{where}: not valid YAML: {problem}", "mend the line; a value that holds ': ' or ' #' stands in quotes"
        ) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TianjingError(
            f"{path}: the top level must be a mapping of keys to values", "write each setting as `key: value`"
        )
    return value


def parse(model: type[Model], value: Any, where: str, source: Path | None = None, section: str = "") -> Model:
    """Validate `value` against `model`; `where` (a file, or what else it came from) opens each message.

    Args:
        source: the YAML file that holds `value`; messages then name the line too.
        section: dotted path of `value` in the file where it is a part of it; messages name it after the line.

    Raises:
        TianjingError: names every wrong field; for an unknown key, the allowed ones and the nearest.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        root = yaml.compose(source.read_text(encoding="utf-8"), yaml.SafeLoader) if source else None
        within = tuple(section.split(".")) if section else ()
        part = f" {section}:" if section else ""
        lines = [
            f"{where}{_line(root, (*within, *problem['loc']))}:{part} {_explain(model, problem)}"
            for problem in error.errors()
        ]
        raise TianjingError("\n".join(lines)) from None


def load(model: type[Model], path: Path | None) -> Model:
    """Read and validate a YAML file; no file gives the defaults.

    Raises:
        TianjingError: as `load_yaml` and `parse` do.
    """
    return parse(model, load_yaml(path), str(path), path) if path else parse(model, {}, "defaults")


def _explain(model: type[BaseModel], problem: Any) -> str:
    location = [str(part) for part in problem["loc"]]
    field = ".".join(location)
    if problem["type"] == "extra_forbidden":
        allowed = sorted(_fields_at(model, location[:-1]))
        near = difflib.get_close_matches(location[-1], allowed, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return f"unknown key '{field}'{hint} Allowed here: {', '.join(allowed)}"
    if problem["type"] == "missing":
        return f"missing key '{field}'"
    message = problem["msg"].removeprefix("Value error, ")
    if isinstance(problem["input"], dict):
        return f"'{field}': {message}" if field else message
    return f"'{field}': {message} (got {problem['input']!r:.80})"


def _line(node: yaml.Node | None, location: tuple[str | int, ...]) -> str:
    """`:12`, the line of the deepest part of `location` that stands in the file; what pydantic adds is skipped."""
    line = ""
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found:
                line, node = f":{found[0].start_mark.line + 1}", found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = f":{node.start_mark.line + 1}"
    return line


def _fields_at(model: type[BaseModel], location: list[str]) -> set[str]:
    """Names of the fields of the nested model that `location` leads to."""
    current: list[type[BaseModel]] = [model]
    for part in location:
        fields = [one.model_fields[part] for one in current if part in one.model_fields]
        if fields:
            current = [one for field in fields for one in _models_in(field.annotation)] or current
        else:
            # An index of a list, or a key of a mapping: stay with its item type. The tag of a union: its member.
            tagged = [one for one in current if any(part in get_args(f.annotation) for f in one.model_fields.values())]
            current = tagged or current
    return {name for one in current for name in one.model_fields}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [one for argument in get_args(annotation) for one in _models_in(argument)]
