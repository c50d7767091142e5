"""Common style of the pictures: colours of classes, names as text, axes of numbers.

A picture takes ``ax``, ``figure``, ``figsize``, ``classes``, ``colors`` and ``title``, hands them to
:class:`~bayes_softmax.plots.look.Look`, and returns a :class:`~bayes_softmax.plots.picture.Picture`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.fitted import FIT_FIRST, Fit, Fitted
from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.data.design import Label
from bayes_softmax.data.plain_labels import plain_label

# The first six are the bright scheme of Paul Tol, "Colour Schemes" (SRON/EPS/TN/09-002, 2021), safe for colour-blind;
# the others were chosen, partly among his other schemes, to be as far as possible from these and each other in
# CIELAB as it is and as simulated for protanopia and deuteranopia.  A test holds the smallest distance above 16.
COLOURS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377",
           "#332288", "#663333", "#6DDBC2", "#4979F3", "#182400", "#0000CC")  # fmt: skip
MARKERS = "osD^vP"
GUIDE, QUIET = "0.75", "0.35"  # greys of lines at zero and of remarks
MANY_CLASSES = len(COLOURS)  # beyond it colours come again, lighter: names must stand beside the marks
NAME_WIDTH = 22  # letters of a name in one line
MAX_TICKS = 5
NARROW, LABEL_LETTER, FEWEST_LETTERS = 1.5, 0.07, 14  # inches of a panel, of a letter; letters of the shortest line
TICK_INCH = {"x": 0.48, "y": 0.3}  # room that a number needs along its axis

# Names are text: matplotlib must not read a dollar sign or an underscore as markup, nor TeX a percent sign.
AS_IT_IS: dict[str, Any] = {"parse_math": False, "usetex": False}


class ClassStyle(NamedTuple):
    """A class as it is drawn: ``position`` among all classes, its label, its name as text, and its colour."""

    position: int
    label: Label
    name: str
    colour: Any


def class_colours(n: int) -> list[str]:
    """A colour for each of ``n`` classes, by position: the same class has the same colour in every picture.

    Beyond twelve the colours come again, each round mixed with more white.
    """
    found = []
    for i in range(n):
        colour, turn = COLOURS[i % len(COLOURS)], i // len(COLOURS)
        white = 1 - 0.7**turn
        parts = (int(colour[j : j + 2], 16) for j in (1, 3, 5))
        found.append("#" + "".join(f"{round(part + (255 - part) * white):02X}" for part in parts))
    return found


def class_styles(labels: Sequence[Label], classes: Any = None, colors: Any = None) -> list[ClassStyle]:
    """Classes to draw, in the order of ``classes``, with their colours.

    Parameters
    ----------
    labels
        All classes of the fit, in their order.
    classes
        Which to draw, in which order; default all.
    colors
        Colours that matplotlib knows: a mapping from classes to colours, or one colour for each class drawn.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, the value and what is allowed.
    """
    chosen = list(range(len(labels))) if classes is None else _chosen(labels, classes)
    colours: list[Any] = class_colours(len(labels))
    if isinstance(colors, Mapping):
        for label, colour in colors.items():
            colours[_position(labels, label, "colors")] = _colour(colour)
    elif colors is not None:
        if isinstance(colors, str | bytes) or not isinstance(colors, Iterable):
            raise TypeError(f"colors={shown(colors)} must be a mapping from class to colour, or a sequence of colours")
        given = list(colors)
        if len(given) < len(chosen):
            raise ValueError(f"colors has {len(given)} of the {len(chosen)} colours needed, one for each class drawn")
        for k, colour in zip(chosen, given, strict=False):
            colours[k] = _colour(colour)
    return [ClassStyle(k, labels[k], str(labels[k]), colours[k]) for k in chosen]


def _chosen(labels: Sequence[Label], classes: Any) -> list[int]:
    """Positions of the classes named."""
    if isinstance(classes, str | int | np.generic):
        classes = [classes]
    if not isinstance(classes, Iterable) or isinstance(classes, Mapping | bytes | set | frozenset):
        raise TypeError(f"classes={shown(classes)} must be a sequence of classes ({listed(labels)})")
    chosen = [_position(labels, label, "classes") for label in classes]
    if not chosen:
        raise ValueError(f"classes is empty; name at least one of {listed(labels)}")
    for k in chosen:
        if chosen.count(k) > 1:
            raise ValueError(f"classes: {shown(labels[k])} appears twice")
    return chosen


def _position(labels: Sequence[Label], label: Any, argument: str) -> int:
    plain = plain_label(label)
    for k, known in enumerate(labels):
        if type(known) is type(plain) and known == plain:  # False == 0 in Python; as labels they differ
            return k
    alike = [known for known in labels if str(known) == str(plain)]
    hint = f" (the class is of type {type(alike[0]).__name__})" if alike else did_you_mean(plain, labels)
    raise ValueError(f"{argument}: {shown(label)} is not a class{hint} (classes: {listed(labels)})")


def _colour(colour: Any) -> Any:
    """A colour, checked."""
    from matplotlib.colors import is_color_like

    if not is_color_like(colour):
        raise ValueError(f"colors: {shown(colour)} is not a colour of matplotlib, such as 'tab:blue' or '#4477AA'")
    return colour


def check_fit(fit: Any, picture: str, argument: str = "fit") -> Fitted:
    """What answers see of a fit; raises for a model, or anything else, where a fit is to be shown."""
    if not isinstance(fit, Fit):
        kind = type(fit).__name__
        raise TypeError(f"{argument}: plots.{picture} shows a fit, and this is of type {kind}{FIT_FIRST}")
    return fit._fitted


# ---------------------------------------------------------------------- names


def wrapped(name: str, width: int = NAME_WIDTH) -> str:
    r"""A long name in lines of about ``width`` letters, broken at spaces and underscores where there are any.

    >>> wrapped("a_rather_long_name_of_a_class")
    'a_rather_long_name_of\n_a_class'
    """
    return "\n".join(part for line in name.split("\n") for part in _broken(line, width))


def _broken(line: str, width: int) -> list[str]:
    """A line cut after at most ``width`` letters: at the last space, before the last other sign, or anywhere.

    A cut that leaves a line nearly empty is the last resort.
    """
    found = []
    while len(line) > width:
        cuts = [i for i in range(width, width // 2, -1) if not line[i].isalnum()]
        spaces = [i for i in range(width, 0, -1) if line[i] == " "]
        at = ([i for i in spaces if i > width // 3] or cuts or spaces or [width])[0]
        found.append(line[:at])
        line = line[at:].removeprefix(" ")
    return [*found, line]


def name_rows(panel: Any, positions: Any, names: Sequence[str]) -> None:
    """Write names at the ticks of the vertical axis, long ones in several lines."""
    panel.set_yticks(positions, [wrapped(name) for name in names], **AS_IT_IS)


def title(panel: Any, text: str) -> None:
    """Set the title of a panel, in lines of its width."""
    size, letters = title_size(length(panel, "x"))
    panel.set_title(wrapped(text, letters), fontsize=size, **AS_IT_IS)


def title_size(inches: float) -> tuple[str, int]:
    """Size of the title of a panel of this width, and letters in a line of it."""
    size, letter = ("small", 0.063) if inches < NARROW else ("medium", 0.075)
    return size, max(FEWEST_LETTERS, int(inches / letter))


def axis_label(panel: Any, axis: str, text: str) -> None:
    """Write what an axis, ``"x"`` or ``"y"``, shows, in lines of its length."""
    write = panel.set_xlabel if axis == "x" else panel.set_ylabel
    write(wrapped(text, _letters(panel, axis, LABEL_LETTER)), fontsize="small", **AS_IT_IS)


def length(panel: Any, axis: str) -> float:
    """Length in inches of an axis, ``"x"`` or ``"y"``, before the layout makes room for names."""
    box = panel.get_window_extent()
    return float((box.width if axis == "x" else box.height) / panel.figure.get_figure(root=True).dpi)


def _letters(panel: Any, axis: str, inch: float) -> int:
    """Letters of so many inches that fit along an axis, and a few."""
    return max(FEWEST_LETTERS, int(length(panel, axis) / inch))


def tidy(panel: Any) -> None:
    """Small tick labels, no frame at the top and right."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize="small")


# ---------------------------------------------------------------------- numbers


def number_axis(panel: Any, axis: str, *, most: int = MAX_TICKS) -> None:
    """At most five compact numbers on an axis, ``"x"`` or ``"y"``; fewer where there is no room for them."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    chosen = panel.xaxis if axis == "x" else panel.yaxis
    intervals = int(np.clip(length(panel, axis) / TICK_INCH[axis], 2, most - 1))
    chosen.set_major_locator(MaxNLocator(intervals, steps=[1, 2, 2.5, 5, 10]))
    chosen.set_major_formatter(FuncFormatter(lambda value, _: compact(value, chosen.get_majorticklocs())))


UNITS = ((1e12, 1e12, "T"), (1e9, 1e9, "B"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))  # from which value on, unit, its letter


def compact(value: float, ticks: Any) -> str:
    """A number as short as the ticks beside it allow.

    >>> compact(50000, [0, 50000, 100000]), compact(1.5e6, [1e6, 1.5e6]), compact(0.25, [0, 0.25]), compact(0, [0, 1])
    ('50k', '1.5M', '0.25', '0')
    >>> compact(2e-5, [0, 2e-5, 4e-5]), compact(2010, [2000, 2010])
    ('2e-5', '2010')
    """
    ticks = np.unique(np.asarray(ticks, dtype=np.float64))
    largest = float(np.abs(ticks).max(initial=0.0))
    if value == 0 or not np.isfinite(largest) or largest == 0:
        return f"{value:g}"
    step = np.diff(ticks).min(initial=largest)
    unit, letter = next(((unit, letter) for start, unit, letter in UNITS if largest >= start), (1.0, ""))
    if largest < 1e-3 or largest >= 1e15:
        power = int(np.floor(np.log10(step) + 1e-9))
        unit, letter = 10.0**power, f"e{power}"
    step, scaled = step / unit, ticks / unit
    decimals = next((d for d in range(8) if np.abs(scaled - np.round(scaled, d)).max() < 1e-3 * step), 8)
    return f"{value / unit:.{decimals}f}{letter}".replace("-", "\N{MINUS SIGN}", 1 if value < 0 else 0)
