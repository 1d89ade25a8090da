"""Sessions: rows whose opaque id is in a cookie, one cookie for each identity.

A journey's id is replaced when its address is proven. The new one is derived from the old with our key,
so that of two submits of one double click both answers carry the same new cookie, whichever the browser
keeps; for half a minute the old id still leads to its successor, and then it is dead.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import Flask, Response, current_app, g, request

from wizard import clock
from wizard.accounts.models import Session
from wizard.extensions import change, db

LIFE = {
    "journey": timedelta(days=30),
    "console": timedelta(days=30),
    "billing": timedelta(days=30),
    "reset": timedelta(hours=1),
    "billing_reset": timedelta(hours=1),
}
"""From the start, whatever happens meanwhile: nothing extends a session."""
GRACE = timedelta(seconds=30)

MOST_JOURNEYS = 10
"""How many journeys a browser has sessions of: each is a cookie of some seventy bytes, sent with every request, and
servers refuse a request with more than 8 KB of them (nginx: large_client_header_buffers; gunicorn:
limit_request_field_size)."""


@dataclass(frozen=True)
class _Cookie:
    name: str
    value: str
    max_age: int


def cookie_name(kind: str, label: str = "") -> str:
    """``__Host-`` where the site is served over https, since browsers refuse the prefix elsewhere."""
    prefix = "__Host-" if current_app.config["SESSION_COOKIE_SECURE"] else ""
    return prefix + "-".join(part for part in (kind, label) if part)


def start(kind: str, subject: int, label: str = "") -> None:
    """Give this browser a new session; the one it had for the same cookie ends.

    With a ``label``, of those of a kind it has only the newest :data:`MOST_JOURNEYS` go on.
    """
    stop(kind, label)
    if label:
        _make_room(kind, MOST_JOURNEYS - 1)
    _open(kind, subject, label)


def _make_room(kind: str, most: int) -> None:
    """End this browser's oldest sessions of a kind, so that it has this many. No statement while it has no more."""
    tokens = {
        name: [_hash(token), _hash(_successor(token))]
        for name, token in _brought(kind).items()
        if not _is_taken_away(name)
    }
    if len(tokens) <= most:
        return
    now = clock.now()
    mine = (Session.kind == kind, Session.token_hash.in_([each for both in tokens.values() for each in both]))
    newest = (
        sa.select(Session.id).where(*mine, Session.expires_at > now).order_by(Session.id.desc()).limit(most)
    )
    rows = db.session.execute(
        sa.update(Session)
        .where(*mine)
        .values(expires_at=sa.case((Session.id.in_(newest), Session.expires_at), else_=now))
        .returning(Session.token_hash, Session.expires_at),
        execution_options={"synchronize_session": False},
    )
    going_on = {row.token_hash for row in rows if row.expires_at > now}
    for name, both in tokens.items():
        if going_on.isdisjoint(both):
            set_cookie(name, "", 0)


def renew(kind: str, subject: int, *ended: sa.ColumnElement[bool]) -> None:
    """End these sessions, on whatever device, and this browser's own; begin a new one of an account here."""
    mine = _hash(request.cookies.get(cookie_name(kind), ""))
    stop_all(*ended, Session.token_hash == mine)
    _open(kind, subject)


def _open(kind: str, subject: int, label: str = "") -> None:
    token = secrets.token_urlsafe(32)
    now = clock.now()
    expires_at = now + LIFE[kind]
    db.session.add(
        Session(kind=kind, subject=subject, token_hash=_hash(token), created_at=now, expires_at=expires_at)
    )
    _promise(kind, label, token, expires_at)


def stop(kind: str, label: str = "") -> None:
    """End this browser's session on the server and take its cookie away."""
    token = request.cookies.get(cookie_name(kind, label))
    if token:
        change(sa.delete(Session).where(Session.token_hash.in_([_hash(token), _hash(_successor(token))])))
        set_cookie(cookie_name(kind, label), "", 0)


def stop_every(kind: str) -> None:
    """End all sessions of a kind that this browser has."""
    brought = _brought(kind)
    if brought:
        ids = [_hash(id_) for token in brought.values() for id_ in (token, _successor(token))]
        change(sa.delete(Session).where(Session.kind == kind, Session.token_hash.in_(ids)))
    for name in brought:
        set_cookie(name, "", 0)


def _brought(kind: str) -> dict[str, str]:
    """The cookies of a kind that have labels, by their names."""
    prefix = cookie_name(kind) + "-"
    return {name: token for name, token in request.cookies.items() if name.startswith(prefix)}


def _is_taken_away(name: str) -> bool:
    promised = g.get("cookies", {}).get(name)
    return promised is not None and not promised.max_age


def of(kind: str, subjects: "list[int] | sa.Select[int]") -> sa.ColumnElement[bool]:
    """The condition that picks every session of these subjects, on whatever device."""
    return sa.and_(Session.kind == kind, Session.subject.in_(subjects))


def stop_all(*ended: sa.ColumnElement[bool]) -> None:
    """End these sessions on the server: an account's password changed, or its owner asked."""
    change(sa.delete(Session).where(sa.or_(*ended)))


def count(kind: str, subject: int) -> int:
    """In how many browsers an account is signed in, this one included."""
    wanted = (of(kind, [subject]), Session.expires_at > clock.now())
    return db.session.scalar(sa.select(sa.func.count()).select_from(Session).where(*wanted)) or 0


def rotate(kind: str, label: str = "") -> None:
    """Replace the id of this browser's session, because what it may do has grown. It ends when it would have.

    Every other session of the same thing ends: who began it with this browser's cookie has proven nothing.
    """
    token = request.cookies.get(cookie_name(kind, label), "")
    mine, successor = Session.token_hash == _hash(token), _hash(_successor(token))
    now = clock.now()
    rows = db.session.execute(
        sa.update(Session)
        .where(
            Session.kind == kind,
            Session.subject == sa.select(Session.subject).where(mine, Session.kind == kind).scalar_subquery(),
        )
        .values(
            token_hash=sa.case((mine, successor), else_=Session.token_hash),
            rotated_at=sa.case((mine, now), else_=Session.rotated_at),
            expires_at=sa.case((mine, Session.expires_at), else_=now),
        )
        .returning(Session.token_hash, Session.expires_at),
        execution_options={"synchronize_session": False},
    ).all()
    for row in rows:
        if row.token_hash == successor:
            _promise(kind, label, _successor(token), row.expires_at)


def where_mine(kind: str, label: str = "", late: bool = True) -> sa.ColumnElement[bool] | None:
    """The condition that picks this browser's session of a kind, or None if it brought no cookie.

    With ``late`` an id that was replaced within :data:`GRACE` still leads to its successor.
    """
    token = request.cookies.get(cookie_name(kind, label))
    if not token:
        return None
    now = clock.now()
    ids = [Session.token_hash == _hash(token)]
    if late:
        ids.append(sa.and_(Session.token_hash == _hash(_successor(token)), Session.rotated_at > now - GRACE))
    return sa.and_(Session.kind == kind, Session.expires_at > now, sa.or_(*ids))


def follow(row: Session, label: str = "") -> None:
    """Give a browser that still brought the id before a rotation its successor."""
    token = request.cookies.get(cookie_name(row.kind, label), "")
    if row.token_hash != _hash(token):
        _promise(row.kind, label, _successor(token), row.expires_at)


def init_sessions(app: Flask) -> None:
    @app.after_request
    def set_cookies(response: Response) -> Response:
        if not g.get("failed"):
            for cookie in g.get("cookies", {}).values():
                response.set_cookie(
                    cookie.name,
                    cookie.value,
                    max_age=cookie.max_age,
                    httponly=True,
                    samesite="Lax",
                    secure=app.config["SESSION_COOKIE_SECURE"],
                )
        return response


def _promise(kind: str, label: str, token: str, expires_at: datetime) -> None:
    """The cookie of a session lasts as long as its row."""
    left = expires_at - clock.now()
    set_cookie(cookie_name(kind, label), token, max(0, int(left.total_seconds())))


def set_cookie(name: str, value: str, max_age: int) -> None:
    """Put a cookie of ours on the answer to this request: HttpOnly, SameSite=Lax. ``max_age`` in seconds, 0 ends it."""
    g.setdefault("cookies", {})[name] = _Cookie(name, value, max_age)


def forget_cookies() -> None:
    """The rows behind the cookies promised so far were rolled back: promise none of them."""
    g.pop("cookies", None)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _successor(token: str) -> str:
    key = current_app.config["SECRET_KEY"].encode()
    return hmac.digest(key, b"session-successor:" + token.encode(), "sha256").hex()


def sweep() -> None:
    """Remove sessions that are over."""
    change(sa.delete(Session).where(Session.expires_at < clock.now()))
