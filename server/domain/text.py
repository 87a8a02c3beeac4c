"""Text from outside: what may name something here, and what is kept of a name or remark. Pure."""

import unicodedata

LONGEST = 200
"""Characters of an identifier or a remark: what an index of the database holds many times over."""

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of signs that no eye sees: two identifiers that differ by one look the same, and a terminal obeys some."""

OBEYED = UNSEEN - {"Cf"}
"""Those that a line or a terminal obeys. Of the format signs (Cf) only marks of direction; others spell words."""

DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def trouble(value: str) -> str:
    """Why this can't be an identifier, as what follows its name in a sentence; empty where it can."""
    if len(value) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if any(unicodedata.category(sign) in UNSEEN for sign in value):
        return "holds a control character, or another that can't be seen"
    return ""


def plain(value: str) -> str:
    """A name or remark on one line: spaces for control characters, line ends and marks of direction."""
    return "".join(" " if unicodedata.category(sign) in OBEYED or sign in DIRECTIONS else sign for sign in value)
