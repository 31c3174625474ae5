"""YAML from people, read without trust: plain data only, each key once, and every problem with its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ftchaos.errors import Invalid

LARGEST_BYTES = 1 << 20
DEEPEST = 40
LONGEST_CHARACTERS = 40
_BEGINS = (
    yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken, yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken
)  # fmt: skip
_ENDS = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlFile:
    """A YAML mapping and where each of its values stands.

    Attributes:
        path: the file.
        data: the mapping.
        lines: line (from 1) of each value by its location, for example ``("method", 0, "name")``.
    """

    path: Path
    data: dict[str, Any]
    lines: dict[Location, int] = field(repr=False)

    def line(self, location: Location) -> int:
        """The line of a value, or of the nearest thing around it."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)

    def problem(self, location: Location, fact: str, hint: str) -> Invalid:
        """The error for a value of this file."""
        # A key may hold whatever YAML can spell, escape sequences of a terminal too.
        key = ".".join(str(part) if str(part).isprintable() else repr(part) for part in location)
        return Invalid(f"{self.path}, line {self.line(location)}, {key}: {fact}", hint)

    def invalid(self, error: ValidationError) -> Invalid:
        """The first problem that pydantic found, as an error with its line."""
        first = error.errors(include_url=False)[0]
        location = tuple(part for part in first["loc"] if isinstance(part, str | int))
        if first["type"] == "extra_forbidden":
            return self.problem(location, f"unknown key {location[-1]!r}", "remove it, or correct its spelling")
        if first["type"] == "missing":
            return self.problem(location, f"the key {location[-1]!r} is missing", "add it")
        given = repr(first.get("input"))
        shown = given if len(given) <= 80 else given[:77] + "..."
        message = first["msg"].removeprefix("Value error, ")
        return self.problem(location, message[:1].lower() + message[1:], f"it is {shown}")


def read_yaml(path: Path) -> YamlFile:
    """Read one YAML mapping.

    Raises:
        Invalid: it cannot be read, is too large, is no plain YAML mapping, uses an alias or a tag, or has a key twice.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise Invalid(f"{path} is larger than {LARGEST_BYTES >> 20} MiB", "a definition is a page or two")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Invalid(
            f"{path} cannot be read: {error.strerror}", "name a file that exists and is yours to read"
        ) from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{path} is not UTF-8 text", "save it as UTF-8") from error
    lines: dict[Location, int] = {}
    try:
        node = _compose(text)
        if not isinstance(node, yaml.MappingNode):
            raise Invalid(f"{path} is not a YAML mapping", "it begins with a key such as 'title:'")
        for location, inner in _walk(node, ()):
            lines[location] = inner.start_mark.line + 1
            _ensure_readable(inner)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise Invalid(f"{path}{where}: {error.problem or 'not YAML'}", "correct the YAML there") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Invalid(f"{path} is not YAML: {str(error).splitlines()[0]}", "correct it") from error
    except ValueError as error:
        raise Invalid(f"{path} has a value that YAML cannot read: {error}", "quote it") from error
    return YamlFile(path, data, lines)


def _compose(text: str) -> yaml.Node | None:
    depth = 0  # looked at here already, as the composer would go down by recursion
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        depth += isinstance(token, _BEGINS) - isinstance(token, _ENDS)
        if depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=token.start_mark)
        if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not accepted", problem_mark=token.start_mark)
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _walk(node: yaml.Node, location: Location) -> Iterator[tuple[Location, yaml.Node]]:
    if len(location) > DEEPEST:
        raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=node.start_mark)
    yield location, node
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a plain word", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
            yield from _walk(value, (*location, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _walk(value, (*location, index))


def _ensure_readable(node: yaml.Node) -> None:
    """Refuse what YAML takes for a date or a number and cannot make one of, or none that Python can work with."""
    if not isinstance(node, yaml.ScalarNode) or node.tag not in (
        "tag:yaml.org,2002:int",
        "tag:yaml.org,2002:timestamp",
    ):
        return
    problem = ""
    if len(node.value) > LONGEST_CHARACTERS:
        problem = f"a number or a date of more than {LONGEST_CHARACTERS} characters is not accepted"
    else:
        try:
            yaml.constructor.SafeConstructor().construct_object(node)
        except ValueError as error:
            problem = f"{node.value!r} is a value that YAML cannot read: {error}"
    if problem:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
