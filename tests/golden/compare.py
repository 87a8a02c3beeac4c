"""Holds today's documents of a case against its golden ones: text exactly, numbers as `tolerance` says."""

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from tests.golden.tolerance import COUNT, NUMBER, near

Documents = Mapping[str, Sequence[str]]
"""Name to lines."""

SHOWN = 4
"""Lines that are told of each document that differs."""


def differences(golden: Documents, fresh: Documents) -> str:
    """What differs beyond the tolerance, the first lines of each document; empty where nothing does."""
    nuclei = max((float(n) for n in _counts(golden)), default=0.0)
    moved = _counts(golden) != _counts(fresh)
    told: list[str] = []
    for name in sorted({*golden, *fresh}):
        if name not in golden or name not in fresh:
            told.append(f"{name} is {'new' if name in fresh else 'missing'}")
            continue
        told += _of_document(name, golden[name], fresh[name], nuclei, moved)
    return "\n".join(told)


def _of_document(name: str, golden: Sequence[str], fresh: Sequence[str], nuclei: float, moved: bool) -> list[str]:
    pairs = enumerate(zip_longest(golden, fresh), start=1)
    apart = [(i, g, f) for i, (g, f) in pairs if g is None or f is None or not _same(g, f, nuclei, moved)]
    if not apart:
        return []
    lengths = "" if len(golden) == len(fresh) else f" (it had {len(golden)} lines and has {len(fresh)})"
    told = [f"{name}: {len(apart)} {'line differs' if len(apart) == 1 else 'lines differ'}{lengths}; the first:"]
    for i, g, f in apart[:SHOWN]:
        told += [
            f"  line {i} was {'absent' if g is None else g!r}",
            f"  {' ' * len(f'line {i}')} is  {'absent' if f is None else f!r}",
        ]
    return told


def _same(golden: str, fresh: str, nuclei: float, moved: bool) -> bool:
    if golden == fresh:
        return True
    if NUMBER.sub(_kind_alone, golden) != NUMBER.sub(_kind_alone, fresh):
        return False
    pairs = zip(NUMBER.findall(golden), NUMBER.findall(fresh), strict=True)
    return all(near(kind, g, f, nuclei=nuclei, moved=moved) for (kind, g), (_, f) in pairs)


def _kind_alone(match: re.Match[str]) -> str:
    return f"[{match[1]}]"


def _counts(documents: Documents) -> list[str]:
    """Every count of nuclei of a case: by compartment, by grade, by group, of cells that hold one."""
    lines = (line for name in sorted(documents) for line in documents[name])
    return [n for line in lines for kind, n in NUMBER.findall(line) if kind == COUNT]
