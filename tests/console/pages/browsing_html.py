"""A page as a tree: enough of one to ask what stands in a table, where a link leads and which control has which name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr", "line", "circle", "rect", "path"})


@dataclass
class Node:
    """An element with its attributes and, in order, its texts and elements."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    parts: list[str | Node] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text inside, with single spaces."""
        return " ".join(" ".join(part if isinstance(part, str) else part.text for part in self.parts).split())

    def all(self, tag: str | None = None, **attributes: str) -> Iterator[Node]:
        """The elements inside with this tag and these attributes; `class_` holds if it is one of the classes."""
        for part in self.parts:
            if isinstance(part, Node):
                if (tag is None or part.tag == tag) and all(part._has(name, value) for name, value in attributes.items()):
                    yield part
                yield from part.all(tag, **attributes)

    def one(self, tag: str | None = None, **attributes: str) -> Node:
        """The only such element; AssertionError where there is none, or more."""
        found = list(self.all(tag, **attributes))
        assert len(found) == 1, f"{len(found)} of {tag} {attributes}"
        return found[0]

    def links(self) -> dict[str, str]:
        """Where links lead, by their text."""
        return {link.text: link.attributes["href"] for link in self.all("a")}

    def rows(self) -> list[list[str]]:
        """The texts of a table's body, cell by cell."""
        bodies = [row for body in self.all("tbody") for row in body.all("tr")]
        return [[cell.text for cell in row.parts if isinstance(cell, Node)] for row in bodies]

    def _has(self, name: str, value: str) -> bool:
        held = self.attributes.get(name.rstrip("_").replace("_", "-"))
        return held is not None and (value in held.split() if name == "class_" else held == value)


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Node("document")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].parts.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].parts.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


def parsed(text: str) -> Node:
    """A page's tree; AssertionError where an element is not closed in its order."""
    builder = _Builder()
    builder.feed(text)
    assert len(builder.open) == 1, f"<{builder.open[-1].tag}> is not closed"
    return builder.open[0]
