"""Pixels to nuclei, grades and scores. Knows nothing of the hospital."""
