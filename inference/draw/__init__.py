"""Draws immunohistochemistry slides whose truth is known: where each nucleus is, of which compartment, of which grade.

For the demo, and for tests where no real tiles are to be had. Nothing here knows how the product grades, scores or
finds nuclei (an import contract holds that): a drawing checks the path only as long as the two share no assumption.

    optics      stains, light and camera       texture    random fields
    mixture     grades for an asked H-score    tissue     where tissue, glands and lumens are
    cells       where nuclei are, their shape  slide      the drawing: truth, and pixels of any region
    difficult   kinds of slides that are hard to read
"""

from inference.draw.difficult import draw_difficult
from inference.draw.slide import Drawing, Truth, draw_slide

__all__ = ["Drawing", "Truth", "draw_difficult", "draw_slide"]
