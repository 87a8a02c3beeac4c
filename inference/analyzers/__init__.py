"""One analyzer a kind of assay: what is measured of a cell, how cells are grouped, and how they are scored."""
