"""What an object says of itself, whatever the width in which it is said."""


def said(thing: object) -> str:
    """The printed form on one line."""
    return " ".join(repr(thing).split())
