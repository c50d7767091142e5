"""Names of groupings: what draws, files and models in PyMC call their effects, so that no two things share a name."""

from collections.abc import Sequence

from bayes_softmax.core.checks import shown

# Names in every posterior and model, and what they begin with.
TAKEN = (
    *("intercept", "weights", "chain", "draw", "feature", "category", "category_other", "obs", "pattern"),
    *("X", "y", "y_observed", "y_weighted", "offset", "available", "group_column", "group_columns"),
)
BEGINNINGS = ("intercept_", "weights_")
# What is called after a grouping: its effects, their covariance, hyperparameters and dimensions.
ENDINGS = ("", "_covariance", "_sd", "_correlation", "_correlation_factor", "_z", "_level", "_term", "_term_other")
LONGEST = 120  # bytes: longer names are no names of files


def check_names(names: Sequence[str]) -> None:
    """Raise for names that cannot be those of variables in a file, or of two things at a time.

    Raises
    ------
    ValueError
        With what to do: rename the column.
    """
    for name in names:
        if name in TAKEN or name.startswith(BEGINNINGS):
            raise ValueError(f"groups: {name!r} is the name of something else in every posterior; rename the column")
        if "/" in name or "\0" in name or name.startswith("."):
            raise ValueError(
                f"groups: {shown(name)} cannot be a grouping, since '/', or '.' at the start, has a meaning in files; "
                "rename the column"
            )
        if len(name.encode()) > LONGEST:
            raise ValueError(
                f"groups: {shown(name)} is too long a name for a grouping; rename the columns, to at most {LONGEST} "
                "letters together"
            )
    used: dict[str, str] = {}
    for name in names:
        for ending in ENDINGS:
            other = used.setdefault(f"{name}{ending}", name)
            if other != name:
                raise ValueError(
                    f"groups: of the groupings {shown(other)} and {shown(name)} both have something called "
                    f"{f'{name}{ending}'!r} in the posterior; rename a column"
                )
