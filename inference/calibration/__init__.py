"""Fitting criteria to nuclei that a pathologist graded: search, validation, what to warn of. `inference.calibrate`
is the whole of it.
"""
