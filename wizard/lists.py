"""Long lists: read by page, and searched. What an address asks for, and the ways on from the page it gets."""

import re
from dataclasses import dataclass
from typing import Any

from flask import request, url_for
from flask_sqlalchemy.pagination import Pagination

from wizard.forms import seen, tidy

MOST_TYPED = 100
_BEYOND = 10**9


def page_number() -> int:
    """The page of a list this address asks for with ``page``, from 1 on.

    What is no page's number is taken for one beyond every end: it is answered in words, like any other that
    is not there.
    """
    asked = request.args.get("page") or "1"
    return int(asked) if re.fullmatch("[1-9][0-9]{0,8}", asked) else _BEYOND


def searched_for() -> str:
    """What this address looks for with ``q``, without what nobody means to type; "" for nothing."""
    return (tidy(seen(request.args.get("q", ""))) or "")[:MOST_TYPED].strip()


@dataclass(frozen=True)
class Listed:
    """One page of a list and what stands around it: macros/lists.html draws it."""

    pagination: Pagination
    search: str = ""

    @property
    def is_long(self) -> bool:
        """Whether there is more than one page of it, or was before it was searched."""
        return bool(self.search) or self.pagination.pages > 1

    @property
    def is_empty(self) -> bool:
        return not self.pagination.items

    def url(self, page: int = 1, search: str = "") -> str:
        """The address of a page of this list."""
        values: dict[str, Any] = {"q": search or None, "page": page if page > 1 else None}
        return url_for(request.endpoint or "", **(request.view_args or {}), **values)

    @property
    def previous_url(self) -> str | None:
        return self.url(self.pagination.page - 1, self.search) if self.pagination.has_prev else None

    @property
    def next_url(self) -> str | None:
        return self.url(self.pagination.page + 1, self.search) if self.pagination.has_next else None
