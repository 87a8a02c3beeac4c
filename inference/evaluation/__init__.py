"""Metrics and comparisons, never on the path of a case."""
