"""Golden answers: what two cases were answered, as text, so that a reshape can prove that it changed no answer.

`cases` builds, `masks` and the `*_text` modules write each answer as lines, `compare` holds today's lines against the
files kept here, `tolerance` says how far a number may be off on another processor. `python -m tests.golden.make`
rewrites the files: only for a change of the answers that is meant, named in the commit.
"""
