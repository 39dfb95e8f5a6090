"""What happens to a text before anybody reads it: the same for training data, files and requests."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 100_000
"""Characters of a text that are kept: an annual report's discussion of results has some 60,000."""

_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")


def normalised(text: str) -> str:
    """The text in Unicode's form C, control characters as blanks, runs of white space as one blank, cut after `LONGEST` characters.

    Halves of surrogate pairs, which are no text and which no encoder takes, become U+FFFD. Nothing else is changed: case,
    punctuation and symbols belong to the tokenizer of whoever reads.
    """
    whole = _CONTROLS.sub(" ", _SURROGATES.sub("\ufffd", text))
    return " ".join(unicodedata.normalize("NFC", whole).split())[:LONGEST].rstrip()
