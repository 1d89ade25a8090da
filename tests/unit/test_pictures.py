"""The pictures of the documents: there is one for each place that shows one, no other, and they are small."""

from tests.support.databases import ROOT
from tests.support.pictures import FOLDER, PICTURES, used_in

DOCUMENTS = (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
MOST_BYTES = 600_000


def test_every_picture_is_shown_somewhere_and_every_picture_shown_can_be_taken_anew() -> None:
    shown = set().union(*(used_in(document.read_text(encoding="utf-8")) for document in DOCUMENTS))
    assert shown == {picture.file for picture in PICTURES} == {file.name for file in FOLDER.iterdir()}


def test_the_pictures_are_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < MOST_BYTES
