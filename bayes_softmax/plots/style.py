"""Common style of the pictures: colours, panels, legends."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_softmax.answers.fitted import FIT_FIRST, Fit, Fitted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Tol's bright: safe for colour-blind.
COLOURS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377")
MARKERS = "osD^vP"
PANEL_WIDTH, ROW_HEIGHT = 3.3, 0.34
LEGEND_INCH = 0.085  # width of a letter in a legend


def class_colours(n: int) -> list[Any]:
    """A colour for each class: up to six from ``COLOURS``, else from the colour map turbo."""
    if n <= len(COLOURS):
        return list(COLOURS[:n])
    import matplotlib as mpl

    return list(mpl.colormaps["turbo"](np.linspace(0.05, 0.95, n)))


def panel_grid(n: int, *, height: float, columns: int = 3, sharey: bool = False) -> tuple["Figure", list[Any]]:
    """A figure of ``n`` panels, ``height`` inches each, at most ``columns`` in a row."""
    import matplotlib.pyplot as plt

    if n == 0:
        raise ValueError("there is nothing to show: the model has no such variable")
    columns = min(n, columns)
    rows = -(-n // columns)
    size = (PANEL_WIDTH * columns + 1.2, height * rows + 0.4)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", sharey=sharey)
    panels = list(axes.flat)
    for panel in panels[n:]:
        panel.set_visible(False)
    return figure, panels[:n]


def check_fit(fit: Any, picture: str, argument: str = "fit") -> Fitted:
    """What answers see of a fit; raises for a model, or anything else, where a fit is to be shown."""
    if not isinstance(fit, Fit):
        kind = type(fit).__name__
        raise TypeError(f"{argument}: plots.{picture} shows a fit, and this is of type {kind}{FIT_FIRST}")
    return fit._fitted


# Names of classes and features are text: matplotlib must not read a dollar sign or an underscore as markup.
AS_IT_IS: dict[str, Any] = {"parse_math": False, "usetex": False}


def name_rows(panel: Any, positions: Any, names: Sequence[str]) -> None:
    """Write names at the ticks of the vertical axis."""
    panel.set_yticks(positions, list(names), **AS_IT_IS)


def title(panel: Any, text: str) -> None:
    """Set the title of a panel."""
    panel.set_title(text, fontsize="medium", **AS_IT_IS)


def tidy(panel: Any) -> None:
    """Small tick labels, no frame at the top and right."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize="small")


def legend_below(figure: "Figure", entries: Mapping[str, Any]) -> None:
    """A legend of marks by name below all panels, in as many columns as fit.

    matplotlib omits marks whose name begins with an underscore, so the names are written afterwards.
    """
    lines = [line for name in entries for line in name.split("\n")]
    widest = LEGEND_INCH * max(map(len, lines)) + 0.6
    columns = max(1, min(len(entries), int(figure.get_figwidth() // widest)))
    numbers = [str(i) for i in range(len(entries))]
    legend = figure.legend(list(entries.values()), numbers, loc="outside lower center", ncols=columns, frameon=False)
    for text, name in zip(legend.get_texts(), entries, strict=True):
        text.set(text=name, **AS_IT_IS)


def finished(figure: "Figure") -> "Figure":
    """The figure, closed in pyplot: a notebook shows the returned figure, and pyplot must not show it again."""
    import matplotlib.pyplot as plt

    plt.close(figure)
    return figure
