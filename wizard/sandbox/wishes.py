"""What programs ask for at the doors: JSON read strictly, and refused in sentences."""

from typing import Any

from flask import Response, jsonify, request

from wizard.sandbox.errors import PurchaseCancelled, Refused, UnknownPurchase
from wizard.sandbox.messages import UnknownMessage
from wizard.sandbox.web import json_object, sandbox


def refused(error: Refused) -> tuple[Response, int]:
    """A refusal as a door answers it."""
    if isinstance(error, UnknownPurchase | UnknownMessage):
        status = 404
    else:
        status = 409 if isinstance(error, PurchaseCancelled) else 400
    return jsonify(error=str(error)), status


def wish_of() -> dict[str, Any]:
    """The body of this request. Raises :class:`Refused`."""
    try:
        return json_object(request.get_data())
    except ValueError as error:
        raise Refused(str(error)) from None


def only(wish: dict[str, Any], known: tuple[str, ...], message: str) -> None:
    """Raises :class:`Refused` where something else is asked for."""
    if unknown := [name for name in wish if name not in known]:
        raise Refused(f"{', '.join(unknown)}: not used here. {message}")


def text(wish: dict[str, Any], name: str) -> str | None:
    """A member that is a string, None where it is not given. Raises :class:`Refused`."""
    value = wish.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(f"{name} is a string.")
    return value


def flag(wish: dict[str, Any], name: str) -> bool:
    """A member that is true or false, false where it is not given. Raises :class:`Refused`."""
    value = wish.get(name, False)
    if not isinstance(value, bool):
        raise Refused(f"{name} is true or false.")
    return value


def partition_of(wish: dict[str, Any]) -> str:
    """The partition asked for, else the first one. Raises :class:`Refused` for one that nothing is sold in."""
    known = sandbox().settings.product_codes
    partition = text(wish, "partition") or ("aws" if "aws" in known else next(iter(known)))
    if partition not in known:
        raise Refused(f"partition is one of: {', '.join(known)}.")
    return partition
