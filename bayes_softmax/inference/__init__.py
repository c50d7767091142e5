"""How a log density is fitted.  Nothing here knows what is modelled: it sees only ``core.protocols.LogDensity``."""
