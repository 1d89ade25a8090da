"""Long lists: read by page, and searched. What an address asks for, and the ways on from the page it gets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from flask import request, url_for
from flask_sqlalchemy.pagination import Pagination, SelectPagination

from wizard.extensions import db
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


class _InOneStatement(SelectPagination):
    """A page whose rows come together with how many there are of all pages."""

    _count: int | None = None
    marked = 0
    """Of all pages, how many rows the condition is true of that :func:`paginate` was given."""

    def _query_items(self) -> list[Any]:
        mark = self._query_args["mark"]
        marked = sa.func.sum(sa.case((mark, 1), else_=0)).over() if mark is not None else sa.literal(0)
        wanted = self._query_args["select"].add_columns(marked, sa.func.count().over())
        rows = db.session.execute(wanted.limit(self.per_page).offset(self._query_offset)).all()
        if rows:
            self.marked, self._count = rows[0][-2:]
        return [row[0] for row in rows]

    def _query_count(self) -> int:
        return super()._query_count() if self._count is None and self.page > 1 else self._count or 0


def paginate(
    wanted: sa.Select[Any], page: int, per_page: int, mark: sa.ColumnElement[bool] | None = None
) -> Pagination:
    """A page of what a statement selects. One statement; two for a page beyond the end.

    How many of all rows ``mark`` is true of is its ``marked``.
    """
    return _InOneStatement(
        select=wanted,
        mark=mark,
        session=db.session,
        page=page,
        per_page=per_page,
        max_per_page=None,
        error_out=False,
    )


@dataclass(frozen=True)
class Listed:
    """One page of a list and what stands around it: macros/lists.html draws it."""

    pagination: Pagination
    search: str = ""
    chosen: Mapping[str, str] = field(default_factory=dict)
    """What else it was narrowed to, by the name in its address."""

    @property
    def is_narrowed(self) -> bool:
        return bool(self.search) or any(self.chosen.values())

    @property
    def is_long(self) -> bool:
        """Whether there is more than one page of it, or was before it was searched."""
        return self.is_narrowed or self.pagination.pages > 1

    @property
    def is_empty(self) -> bool:
        return not self.pagination.items

    @property
    def whole_url(self) -> str:
        """The address of all of this list, by which it is narrowed too."""
        return self._url()

    def url(self, page: int = 1) -> str:
        """The address of a page of this list, narrowed as it is."""
        narrowed = {name: value or None for name, value in {"q": self.search, **self.chosen}.items()}
        return self._url(**narrowed, page=page if page > 1 else None)

    @staticmethod
    def _url(**values: Any) -> str:
        return url_for(request.endpoint or "", **(request.view_args or {}), **values)

    @property
    def previous_url(self) -> str | None:
        return self.url(self.pagination.page - 1) if self.pagination.has_prev else None

    @property
    def next_url(self) -> str | None:
        return self.url(self.pagination.page + 1) if self.pagination.has_next else None
