"""What all plots share: the style, the figure as SVG text, and the class of a plot.

Backgrounds are transparent and text is a mid grey, so that one picture reads on light and on dark pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GRID, FORECAST, REALISED, WORSE = "#7d8590", "#8b949e", "#3b82f6", "#a1a8b3", "#e0704f"
SMALL = (4.3, 3.7)
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.alpha": 0.22,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.3,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.hashsalt": "finml",
}


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture: `caption` says in a sentence what to look for."""

    id: str
    title: str
    caption: str
    svg: str


def rounded(svg: str) -> str:
    """Coordinates with two decimals: a hundredth of a point cannot be seen, and half of the file is digits."""
    return re.sub(r'(?<=[ "])(?:d|x|y)="[^"]*"', lambda found: re.sub(r"\d+\.\d{3,}", lambda digits: f"{float(digits[0]):.2f}", found[0]), svg)


@contextmanager
def figure(width: float = 10.4, height: float = 3.2) -> Iterator[tuple[Axes, StringIO]]:
    """One panel."""
    with figures(1, width, height) as (axes, text):
        yield axes[0], text


@contextmanager
def figures(rows: int, width: float, height: float) -> Iterator[tuple[list[Axes], StringIO]]:
    """Panels above one another with one time axis."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    text = StringIO()
    with mpl.rc_context(STYLE):
        drawn: Figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(drawn)
        yield list(drawn.subplots(rows, sharex=True, squeeze=False)[:, 0]), text
        # Laid out here, once: saving would draw everything a first time for that alone.
        if engine := drawn.get_layout_engine():
            engine.execute(drawn)
            drawn.set_layout_engine("none")
        # Without a date the same numbers give the same bytes.
        drawn.savefig(text, format="svg", metadata={"Date": None})


def plain(name: str) -> str:
    """A name without what a font cannot draw."""
    return "".join(c for c in name if c.isprintable())
