"""A client that remembers: for what is to be true of every page of a walk at once."""

from typing import Any

from tests.support.client import Client
from tests.support.page import Page


class Reader(Client):
    """One browser that keeps every answer it was given, oldest first, in ``read``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.read: list[Page] = []

    @property
    def pages(self) -> list[Page]:
        """The pages among them: what a person saw."""
        return [page for page in self.read if page.is_html and not page.is_redirect]

    def _once(self, *args: Any, **options: Any) -> Page:
        page = super()._once(*args, **options)
        self.read.append(page)
        return page
