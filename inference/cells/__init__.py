"""Cells as columns: what is kept of each, the histograms that any criteria score from, and the file."""
