"""What every picture returns, and the panels, heading and legend that are drawn on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, final

from bayes_softmax.core.checks import counted, listed
from bayes_softmax.plots import style
from bayes_softmax.plots.style import AS_IT_IS, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

PANEL_WIDTH, LABEL_HEIGHT = 2.9, 0.85  # inches: a panel; its title, numbers and label
COLUMNS, MAX_COLUMNS, TALL = 3, 5, 9.0  # more columns only where the figure would be taller than this
LETTER, LINE, HEADING_LETTER = 0.085, 0.2, 0.075  # inches of a letter and a line in a legend, of a letter above
ALONE = 4.4  # inches of a panel that is alone
WIDEST = 11.0  # inches of a figure
ALIKE = 0.45  # least ratio of the heights of panels side by side
MAX_TICKS_MADE = 12  # a locator of five ticks returns a few beyond the ends


@final
@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """A drawn picture.

    pyplot keeps its figure: ``plt.show()`` in a script shows it, and a notebook shows it once, at the end of the cell.

    Attributes
    ----------
    figure
        The figure, or the subfigure that was drawn into.
    axes
        The panels by name: the variable, feature, class or group that a panel shows.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"], feature_names=["dose"]).map()
    >>> picture = bs.plots.forest(fit, title="Doses")
    >>> picture
    Picture of 1 panel: 'dose'
    >>> picture.axes["dose"].axvline(0.1) is not None
    True
    >>> picture.savefig("/dev/null", format="png")
    >>> picture.close()
    """

    figure: "Figure | SubFigure"
    axes: Mapping[str, "Axes"]

    def savefig(self, path: Any, **options: Any) -> None:
        """Save the whole figure; ``options`` as in matplotlib's ``Figure.savefig``."""
        self.root.savefig(path, **options)

    def close(self) -> None:
        """Let pyplot forget the figure, to free its memory in a long loop; it can still be saved."""
        from matplotlib import pyplot as plt

        plt.close(self.root)

    @property
    def legends(self) -> list[Any]:
        """Legends of the figure; those in given axes are ``ax.get_legend()``."""
        return list(self.figure.legends)

    @property
    def root(self) -> "Figure":
        """The figure, also where a subfigure was drawn into."""
        figure: Figure = self.figure.get_figure(root=True)
        return figure

    def __repr__(self) -> str:
        return f"Picture of {counted(len(self.axes), 'panel')}: {listed(self.axes)}"

    def _ipython_display_(self) -> None:
        """Show nothing while pyplot holds the figure, which the notebook shows at the end of the cell; else show it."""
        if not _is_open(self.root):
            from IPython.display import display

            display(self.root)  # type: ignore[no-untyped-call]


def _is_open(figure: Any) -> bool:
    """Whether pyplot keeps the figure."""
    from matplotlib._pylab_helpers import Gcf

    return any(manager.canvas.figure is figure for manager in Gcf.get_all_fig_managers())


class Panel(NamedTuple):
    """A panel to be made: its name, and the height in inches of what is drawn in it, and of titles and labels."""

    name: str
    height: float
    labels: float = LABEL_HEIGHT


@final
@dataclass(frozen=True, eq=False)
class Canvas:
    """Panels being drawn on.

    Attributes
    ----------
    figure, axes
        As of the :class:`Picture` that :meth:`finished` returns.
    title
        The heading that was asked for, if any.
    grows
        Whether the figure grows with its heading and legend.
    in_given_axes
        Whether these are axes of a figure with other contents.
    kept
        Texts (by ``id``) that were in the given axes and are left alone.
    """

    figure: Any
    axes: dict[str, Any]
    title: str | None = None
    grows: bool = False
    in_given_axes: bool = False
    kept: frozenset[int] = frozenset()

    @property
    def panels(self) -> list[Any]:
        """The panels in order."""
        return list(self.axes.values())

    def legend(self, entries: Mapping[str, Any]) -> None:
        """A legend of marks by name: below all panels, in as many columns as fit, or in the last of given axes.

        matplotlib omits marks whose name begins with an underscore, so the names are written afterwards.
        """
        if not entries:
            return
        names = [wrapped(name, 4 * style.NAME_WIDTH) for name in entries]
        numbers = [str(i) for i in range(len(names))]
        options: dict[str, Any] = {"frameon": False, "fontsize": "small"}
        if self.in_given_axes:
            legend = self.panels[-1].legend(list(entries.values()), numbers, **options)
        else:
            widest = LETTER * max(len(line) for name in names for line in name.split("\n")) + 0.6
            columns = max(1, min(len(names), int(self._width // widest)))
            self._grow(LINE * -(-len(names) // columns) + 0.15)
            place = {"loc": "outside lower center", "ncols": columns}
            legend = self.figure.legend(list(entries.values()), numbers, **place, **options)
        for text, name in zip(legend.get_texts(), names, strict=True):
            text.set(text=name, **AS_IT_IS)

    def heading(self, default: str = "") -> None:
        """Write the heading: the title given, or else the default; given axes have it as the title of their panel."""
        text = default if self.title is None else self.title
        if self.in_given_axes:
            if self.title is not None:
                style.title(self.panels[0], text)
        elif text:
            text = wrapped(text, max(style.FEWEST_LETTERS, int(self._width / HEADING_LETTER)))
            self._grow(LINE * (text.count("\n") + 1) + 0.15)
            self.figure.suptitle(text, fontsize="medium", **AS_IT_IS)

    @property
    def _width(self) -> float:
        """Width of the figure in inches."""
        return float(self.figure.get_window_extent().width / self.figure.get_figure(root=True).dpi)

    def _grow(self, inches: float) -> None:
        if self.grows:
            self.figure.set_figheight(self.figure.get_figheight() + inches)

    def finished(self) -> Picture:
        """The picture, in which no text is markup, nor for TeX, whatever matplotlib's settings say."""
        from matplotlib import rcParams
        from matplotlib.text import Text

        for panel in self.panels:
            if rcParams["text.usetex"]:
                for axis in (panel.xaxis, panel.yaxis):
                    axis.get_major_ticks(max(MAX_TICKS_MADE, len(axis.get_major_ticks())))  # later ones would be TeX's
            for text in panel.findobj(Text):
                if id(text) not in self.kept:
                    text.set(**AS_IT_IS)
        for legend in () if self.in_given_axes else self.figure.legends:
            for text in legend.findobj(Text):
                text.set(**AS_IT_IS)
        return Picture(self.figure, self.axes)


def panel_width(columns: int, left: float = 0.6) -> float:
    """Inches of a panel, where so many are side by side, and names take ``left`` inches."""
    return ALONE if columns == 1 else min(PANEL_WIDTH, (WIDEST - left) / columns)


def columns_of(n: int) -> int:
    """How many of ``n`` panels of one kind to put side by side."""
    return min(n, COLUMNS) if n <= COLUMNS**2 else 4 if n <= 16 else 5 if n <= 25 else 6


def in_rows(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Panels in rows: three side by side, alike in height, unless that makes the figure too high."""
    found: list[list[list[Panel]]] = []
    for columns in range(COLUMNS, MAX_COLUMNS + 1):
        for alike in (ALIKE, 0.0):
            found.append(_filled(panels, columns, alike))
            if height_of(found[-1]) <= TALL:
                return found[-1]
    return min(found, key=height_of)


def height_of(rows: Sequence[Sequence[Panel]]) -> float:
    """Inches of rows of panels."""
    return sum(max(panel.height + panel.labels for panel in row) for row in rows)


def _filled(panels: Sequence[Panel], columns: int, alike: float) -> list[list[Panel]]:
    """Rows of so many panels, whose heights differ at most by the factor ``alike``."""
    rows: list[list[Panel]] = []
    for panel in panels:
        first = rows[-1][0].height if rows else 0.0
        if rows and len(rows[-1]) < columns and min(first, panel.height) >= alike * max(first, panel.height):
            rows[-1].append(panel)
        else:
            rows.append([panel])
    return rows
