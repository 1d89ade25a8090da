"""Text from strangers, made fit for a page."""

import re

# What HTML may not hold: controls other than tab and line breaks, half characters and noncharacters
# (HTML standard, "Preprocessing the input stream").
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")


def printable(text: str | None) -> str:
    """The text without characters that no page can hold."""
    return _UNFIT.sub("", text or "")
