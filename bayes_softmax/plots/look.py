"""Where and how a picture is drawn: the keywords that all pictures share."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from bayes_softmax.core.checks import as_float, counted, is_number, listed, shown
from bayes_softmax.core.keywords import explains
from bayes_softmax.data.design import Label
from bayes_softmax.plots.picture import Canvas, Panel, height_of, panel_width
from bayes_softmax.plots.style import ClassStyle, class_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REFERENCE = "See :class:`~bayes_softmax.plots.look.Look`."


@final
@dataclass(frozen=True, eq=False)
class Look:
    """Where and how a picture is drawn: the keywords that all pictures share, checked.

    Attributes
    ----------
    ax
        Axes to draw into: one, or as many as there are panels.
    figure
        An empty figure or subfigure to draw into.
    figsize
        Width and height in inches of a new figure; default by the number of panels and rows.
    classes
        Classes to show, in this order; default all.
    colors
        Colours of classes: a mapping, or a sequence with one for each class shown.
    title
        Heading of the figure, or of the axes given; ``""`` for none.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    ValueError, TypeError
        An argument cannot be used; it is named.
    """

    ax: Any = None
    figure: Any = None
    figsize: Any = None
    classes: Any = None
    colors: Any = None
    title: str | None = None

    def __post_init__(self) -> None:
        """Check all but the classes, which need those of a fit."""
        _require_matplotlib()
        if self.ax is not None and self.figure is not None:
            raise ValueError("ax and figure were both given; give one of them")
        if self.title is not None and not isinstance(self.title, str):
            raise TypeError(f"title={shown(self.title)} must be text, or None for the default")
        if self.figsize is not None:
            _check_figsize(self.figsize, "ax" if self.ax is not None else "figure" if self.figure is not None else "")
        _ = self.given_axes
        _check_figure(self.figure)

    def class_styles(self, labels: Sequence[Label]) -> list[ClassStyle]:
        """Classes to draw, of all classes of a fit, in order and with their colours."""
        return class_styles(labels, self.classes, self.colors)

    @property
    def given_axes(self) -> "list[Axes] | None":
        """The axes given to draw into."""
        from matplotlib.axes import Axes

        if self.ax is None:
            return None
        if isinstance(self.ax, Axes):
            return [self.ax]
        values = list(self.ax.values()) if isinstance(self.ax, Mapping) else self.ax
        flat = list(np.ravel(np.array(values, dtype=object))) if isinstance(values, Iterable) else []
        if not flat or not all(isinstance(axes, Axes) for axes in flat) or len(set(map(id, flat))) < len(flat):
            raise TypeError(f"ax={shown(self.ax)} must be axes of matplotlib, or a sequence of different ones")
        return flat

    def canvas(self, rows: Sequence[Sequence[Panel]], *, left: float = 0.6, width: float | None = None) -> "Canvas":
        """Panels to draw on: new, inside the figure given, or the axes given.

        Parameters
        ----------
        rows
            The panels, row by row; a row has the height of its highest panel.
        left, width
            Inches: names beside the panels of the left, and a panel; default by the number of columns.
        """
        named = _distinct([panel.name for row in rows for panel in row])
        if not named:
            raise ValueError("there is nothing to show: the model has no variables, only an intercept")
        given = self.given_axes
        if given is not None:
            if len(given) != len(named):
                raise ValueError(
                    f"ax: this picture has {counted(len(named), 'panel')} ({listed(named)}), and {len(given)} axes "
                    "were given; give one for each, or figure= for all"
                )
            if self.title is not None and len(named) > 1:
                raise ValueError("title: your own figure has the heading where several axes are given: figure.suptitle")
            kept = frozenset(id(text) for axes in given for text in axes.texts)
            panels = dict(zip(named, given, strict=True))
            return Canvas(given[0].get_figure(), panels, self.title, in_given_axes=True, kept=kept)
        return _new_canvas(self, rows, named, left, width)


def drawing[Drawing: Callable[..., Any]](function: Drawing) -> Drawing:
    """The same picture, its wrong calls explained, and the keywords of :class:`Look` written out where it refers to it.

    Its documentation names them in one entry, such as ``title, ax``, whose text is :data:`REFERENCE`.
    """
    described = inspect.cleandoc(Look.__doc__ or "").partition("----------\n")[2]
    texts = dict(re.findall(r"^(\w+)\n(    .+)$", described, flags=re.MULTILINE))

    def written_out(entry: re.Match[str]) -> str:
        return "\n".join(f"{name}\n{texts[name]}" for name in entry[1].split(", "))

    referring = re.compile(rf"^([\w, ]+)\n    {re.escape(REFERENCE)}$", flags=re.MULTILINE)
    function.__doc__ = referring.sub(written_out, inspect.cleandoc(function.__doc__ or ""))
    return explains(function)


def _new_canvas(
    look: Look, rows: Sequence[Sequence[Panel]], named: list[str], left: float, width: float | None
) -> "Canvas":
    """A grid of panels in a new figure, or in the one given."""
    from matplotlib import pyplot as plt

    columns = max(len(row) for row in rows)
    heights = [height_of([row]) for row in rows]
    figure = look.figure
    if figure is None:
        width = width or panel_width(columns, left)
        size = look.figsize or (left + columns * width, sum(heights) + 0.1)
        figure = plt.figure(figsize=size, layout="constrained")
    elif figure.get_layout_engine() is None:
        figure.get_figure(root=True).set_layout_engine("constrained")
    grid = figure.add_gridspec(len(rows), columns, height_ratios=heights)
    places = [grid[i, j] for i, row in enumerate(rows) for j in range(len(row))]
    axes = {name: figure.add_subplot(place) for name, place in zip(named, places, strict=True)}
    return Canvas(figure, axes, look.title, grows=look.figure is None and look.figsize is None)


def _distinct(names: Sequence[str]) -> list[str]:
    """Names of panels, numbered where they are equal as text (classes ``1`` and ``"1"``)."""
    found: list[str] = []
    for name in names:
        again, free = 2, name
        while free in found:
            again, free = again + 1, f"{name} ({again})"
        found.append(free)
    return found


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'bayes-softmax[plots]'") from error


def _check_figsize(figsize: Any, drawn_into: str) -> None:
    if drawn_into:
        raise ValueError(f"figsize belongs to a new figure, and {drawn_into} was given: set the size of that figure")
    sides = list(figsize) if isinstance(figsize, Iterable) and not isinstance(figsize, str | bytes) else []
    if len(sides) != 2 or not all(is_number(side) and 0 < as_float(side) < np.inf for side in sides):
        raise ValueError(f"figsize={shown(figsize)} must be two positive numbers, width and height in inches")


def _check_figure(figure: Any) -> None:
    from matplotlib.figure import Figure, SubFigure

    if figure is None:
        return
    if not isinstance(figure, Figure | SubFigure):
        raise TypeError(f"figure={shown(figure)} must be a figure or subfigure of matplotlib")
    if figure.axes:
        raise ValueError(
            f"figure has {counted(len(figure.axes), 'panel')} already; give an empty one, a subfigure of it, "
            "or ax= to draw into axes of it"
        )
