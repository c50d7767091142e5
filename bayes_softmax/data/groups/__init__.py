"""Groupings of rows: people, places, panels, each level of which has effects of its own."""
