"""A JSON Schema as the controls of a form, which `static/js/forms.js` turns back into a value of the schema."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from ._figures import words

Schema = Mapping[str, Any]
ALTERNATIVES = re.compile(r"\^\(([\w.-]+(?:\|[\w.-]+)*)\)\$")
"""A pattern that is a list of words."""
NUMBERS = frozenset({"integer", "number"})
OWN = "by default"
"""What an empty choice is called."""


@dataclass(frozen=True, slots=True)
class Control:
    """One field. `kind` is what `forms.js` makes of its text; `value` is the text of its default, or of what it is filled with."""

    name: str
    label: str
    widget: Literal["number", "text", "select", "checkbox"]
    kind: Literal["string", "integer", "number", "boolean", "json"]
    value: str
    hint: str
    options: tuple[tuple[str, str], ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False
    """An empty control is left out, so that the default holds."""
    nullable: bool = False
    """An empty control is a null."""

    @property
    def id(self) -> str:
        """Of the element, unique in a page whose forms have different names."""
        return self.name.replace(".", "-")

    @property
    def placeholder(self) -> str:
        """What stands in it while it is empty."""
        return OWN if self.optional else ""

    @property
    def checked(self) -> bool:
        """Of a checkbox."""
        return self.value == "true"


def controls(
    schema: Schema, *, under: str = "", values: Mapping[str, Any] | None = None, hints: Mapping[str, str] | None = None, only: Collection[str] | None = None
) -> tuple[Control, ...]:
    """The fields of an object's schema in their order.

    `under` is the path that their names begin with, `values` stands in place of defaults, `hints` are sentences beside those of the schema,
    `only` names the fields to take. Raises `KeyError` on a reference to nowhere.
    """
    required = schema.get("required", ())
    found = []
    for name, given in schema.get("properties", {}).items():
        if only is not None and name not in only:
            continue
        resolved, nullable = _resolved(given, schema)
        default = resolved.get("default")
        value = (values or {}).get(name, default)
        hint = "; ".join(part for part in (resolved.get("description", ""), _bounds(resolved), (hints or {}).get(name, "")) if part)
        given_default = "default" in resolved and name not in required
        label = words(name)[:1].upper() + words(name)[1:]
        found.append(_control(f"{under}.{name}" if under else name, label, resolved, value, hint, given=given_default, nullable=nullable))
    return tuple(found)


def _control(path: str, label: str, schema: Schema, value: Any, hint: str, *, given: bool, nullable: bool) -> Control:
    # Where a null is no default, empty must say null; elsewhere it may be left out.
    default = schema.get("default")
    null = nullable and (not given or default is not None)
    optional = given and not null and default != ""
    made = partial(Control, path, label, optional=optional, nullable=null)
    if (allowed := _allowed(schema, nullable)) is not None:
        kind = _kind_of(allowed)
        options = [(_text(one, kind), words(_text(one, "string"))) for one in allowed]
        if nullable:
            options.insert(0, ("", OWN if optional else "none"))
        return made("select", kind, _text(value, kind), hint, tuple(options))
    match schema.get("type"):
        case "boolean":
            return Control(path, label, "checkbox", "boolean", _text(bool(value), "boolean"), hint)
        case "integer" | "number" as kind:
            return made("number", kind, _text(value, kind), hint, attributes=_limits(schema))
        case "string":
            return made("text", "string", _text(value, "string"), hint, attributes=_lengths(schema))
    listed = schema.get("type") == "array"
    hint = "; ".join(part for part in (hint, "a list, such as [1, 2]" if listed else "as JSON") if part)
    return made("text", "json", _text(value, "json"), hint)


def _resolved(schema: Schema, root: Schema, depth: int = 8) -> tuple[Schema, bool]:
    """A field's schema without references, and whether a null is of it. What stands beside a reference goes before what is behind it."""
    nullable = False
    for _ in range(depth):
        own = {name: value for name, value in schema.items() if name not in {"$ref", "allOf", "anyOf", "oneOf"}}
        if "$ref" in schema:
            target = root["$defs"][schema["$ref"].rpartition("/")[2]]
            # Its description is that of a class, not of this field.
            schema = {**{name: value for name, value in target.items() if name != "description"}, **own}
        elif len(schema.get("allOf", ())) == 1:
            schema = {**schema["allOf"][0], **own}
        elif branches := schema.get("anyOf") or schema.get("oneOf"):
            kept = [branch for branch in branches if branch.get("type") != "null"]
            nullable = nullable or len(kept) < len(branches)
            # Several numbers are a number; what else may be several things is written as JSON.
            several = {"type": "number"} if {branch.get("type") for branch in kept} <= NUMBERS else {}
            schema = {**(kept[0] if len(kept) == 1 else several), **own}
        else:
            break
    return schema, nullable


def _allowed(schema: Schema, nullable: bool) -> Sequence[Any] | None:
    """The values that a field may have, where they are few."""
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return [one for one in schema["enum"] if one is not None]
    if schema.get("type") == "boolean" and nullable:
        return [True, False]
    if schema.get("type") == "string" and (found := ALTERNATIVES.fullmatch(schema.get("pattern", ""))):
        return found[1].split("|")
    return None


def _kind_of(values: Sequence[Any]) -> Literal["string", "integer", "number", "boolean", "json"]:
    kinds = {type(value) for value in values}
    if kinds == {str}:
        return "string"
    if kinds == {bool}:
        return "boolean"
    return "integer" if kinds == {int} else "number" if kinds <= {int, float} else "json"


def _text(value: Any, kind: str) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) and kind != "json" else json.dumps(value)


def _limits(schema: Schema) -> dict[str, str]:
    """Attributes of a number's control. What a bound excludes is left to the server where there is no next number."""
    step = 1 if schema["type"] == "integer" else 0
    found = {"step": "1" if step else "any", "inputmode": "numeric" if step else "decimal"}
    for name, inclusive, exclusive, direction in (("min", "minimum", "exclusiveMinimum", 1), ("max", "maximum", "exclusiveMaximum", -1)):
        if inclusive in schema:
            found[name] = json.dumps(schema[inclusive])
        elif exclusive in schema:
            found[name] = json.dumps(schema[exclusive] + direction * step)
    return found


def _lengths(schema: Schema) -> dict[str, str]:
    names = {"maxlength": "maxLength", "minlength": "minLength"}
    return {name: str(schema[key]) for name, key in names.items() if key in schema}


def _bounds(schema: Schema) -> str:
    """The bounds in words: "8 to 512", "0 or more, below 1"."""
    low, high, above, below = (schema.get(name) for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"))
    if low is not None and high is not None:
        return f"{_short(low)} to {_short(high)}"
    parts = []
    if low is not None:
        parts.append(f"{_short(low)} or more")
    if above is not None:
        parts.append(f"above {_short(above)}")
    if high is not None:
        parts.append(f"at most {_short(high)}")
    if below is not None:
        parts.append(f"below {_short(below)}")
    return ", ".join(parts)


def _short(bound: float) -> str:
    return f"{int(bound):,}" if float(bound).is_integer() and abs(bound) < 1e15 else f"{bound:g}"
