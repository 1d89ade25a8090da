"""The forms on the way: how to get to each, what its fields take, and what a browser would never send to one.

place.reach(walk, another)                                      # for place in PLACES
sent = filled(place, walk.page) | {"username": [b"half", b"twice"]}
answer = post(walk.client, walk.page.form(place.button).action, sent)
assert not lost(place, answer, sent, ["username"])
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes

from tests.support.binding import Binding
from tests.support.client import Client
from tests.support.factories import Person
from tests.support.page import Page
from tests.support.walk import Walk

Another = Callable[..., Walk]
Sent = dict[str, list[bytes]]

HTML = "<script>alert(1)</script>\"'><b>&amp;"
SQL = "'; DROP TABLE journeys; -- \\"
GOOD = b"a good answer"

KINDS: dict[str, list[bytes]] = {
    "empty": [b""],
    "missing": [],
    "huge": [b"x" * 10_000],
    "control": [b"a\x00b\x01c\x1b[31md\x7fe\xc2\x85"],
    "NUL": [b"\x00"],
    "half a character": [b"a\xed\xa0\x80b"],
    "no UTF-8": [b"a\xff\xfeb\xc3"],
    "no character": ["a\ufffd\ufffeb\U0001ffffc".encode()],
    "right to left": ["abc\u202edef\u200b".encode()],
    "emoji": ["🚢🧑‍🚀 ahoy, über uns".encode()],
    "HTML": [HTML.encode()],
    "SQL": [SQL.encode()],
    "twice": [HTML.encode(), GOOD],
}
TEXT = frozenset({"emoji", "HTML", "SQL", "twice", "half a character", "no UTF-8"})
"""What free text may be: bytes that are no text arrive as their percent signs. What cannot be seen is taken out,
and the customer asked to look at what is left."""
NOTHING = frozenset({"empty", "missing"})
ANYTHING = frozenset(KINDS)
SECRET = ("password", "confirm_password")


@dataclass(frozen=True)
class Place:
    """A form on the way. ``takes`` is which kinds each of its fields accepts; ``rounds`` which are filled badly
    together; ``stop`` an answer that another field refuses, so that the form comes back and can be tried again."""

    name: str
    reach: Callable[[Walk, Another], object]
    button: str
    takes: dict[str, frozenset[str]]
    rounds: tuple[tuple[str, ...], ...]
    good: dict[str, object] = field(default_factory=dict)
    stop: tuple[tuple[str, object], ...] = ()


def at_username(walk: Walk, another: Another) -> None:
    first = another()
    first.to_company()
    walk.land().say_new().give_basics(username=first.person.username)
    walk.enter_code()


def at_methods(walk: Walk, _another: Another) -> None:
    walk.register().give_basics().enter_code()
    walk.give_company()


def at_register_and_create(walk: Walk, another: Another) -> None:
    owner = another()
    owner.to_end()
    bind = Binding.of(owner, client=walk.client).to_workspaces()
    walk.page = bind.open_create(registers=True)


def at_sign_in(walk: Walk, _another: Another) -> None:
    walk.page = walk.client.get("/sign-in")


def at_billing_sign_in(walk: Walk, _another: Another) -> None:
    walk.page = walk.client.get("/billing/sign-in")


PLACES = (
    Place("choice", lambda walk, _: walk.land(), "Next", {"has_account": frozenset()}, (("has_account",),)),
    Place(
        "basic",
        lambda walk, _: walk.land().say_new(),
        "Next",
        {
            "site": frozenset(),
            "username": frozenset(),
            "email": frozenset(),
            "password": ANYTHING - NOTHING - {"huge", "NUL", "no character"},
            "confirm_password": frozenset({"missing"}),
            "phone": NOTHING,
        },
        (("username", "email", "phone"), ("password",), ("confirm_password",), ("site",)),
        good={"site": "us1", **Person().answers, "phone": "+1 541-754-3010"},
        stop=(("site", None), ("phone", "no number")),
    ),
    Place("code", lambda walk, _: walk.to_code(), "Confirm", {"code": frozenset()}, (("code",),)),
    Place("username", at_username, "Next", {"username": frozenset()}, (("username",),)),
    Place(
        "company",
        lambda walk, _: walk.to_company(),
        "Register",
        {
            "company_name": TEXT,
            "industry": ANYTHING,
            "region": ANYTHING,
            "description": TEXT | NOTHING,
            "contact_name": TEXT | NOTHING,
            "agree": ANYTHING - NOTHING,
        },
        (("company_name", "region", "contact_name"), ("industry", "description"), ("agree",)),
        good={
            "company_name": "Lamps",
            "industry": "media",
            "region": "NZ",
            "contact_name": "Ada",
            "agree": "y",
        },
        stop=(("agree", None), ("company_name", "")),
    ),
    Place(
        "activation",
        at_methods,
        "Activate",
        {
            "method": frozenset(),
            "workspace_name": TEXT,
            "language": frozenset(),
            "agree": ANYTHING - NOTHING,
        },
        (("method", "language"), ("workspace_name",), ("agree",)),
        good={"method": "billing_center", "workspace_name": "Harbour", "language": "zh", "agree": "y"},
        stop=(("agree", None), ("workspace_name", "")),
    ),
    Place(
        "register and create",
        at_register_and_create,
        "Register and create workspace",
        {
            "workspace_name": TEXT,
            "language": frozenset(),
            "username": frozenset(),
            "password": ANYTHING - NOTHING - {"huge", "NUL", "no character"},
            "confirm_password": frozenset({"missing"}),
            "email": frozenset(),
            "code": frozenset(),
            "phone": NOTHING,
            "agree": ANYTHING - NOTHING,
        },
        (
            ("workspace_name", "username", "phone"),
            ("email", "code"),
            ("password",),
            ("confirm_password",),
            ("language", "agree"),
        ),
        good={
            **Person().answers,
            "workspace_name": "Beacon",
            "language": "en",
            "code": "123456",
            "phone": "+1 541-754-3010",
            "agree": "y",
        },
        stop=(("language", None), ("workspace_name", "")),
    ),
    Place(
        "sign in",
        at_sign_in,
        "Sign in",
        {
            "site": frozenset(),
            "username": TEXT,
            "password": ANYTHING - NOTHING - {"huge"},
        },
        (("site", "password"), ("username",)),
        good={"site": "us1", "username": "nobody", "password": "nothing"},
    ),
    Place(
        "billing sign in",
        at_billing_sign_in,
        "Sign in",
        {"username": TEXT, "password": ANYTHING - NOTHING - {"huge"}},
        (("password",), ("username",)),
        good={"username": "nobody", "password": "nothing"},
    ),
)


def filled(place: Place, page: Page, *besides: str) -> Sent:
    """The form with good answers, but for what stops it; never in a field of ``besides``."""
    stop = next(([pair] for pair in place.stop if pair[0] not in besides), [])
    answers = page.form(place.button).filled({**place.good, **dict(stop)})
    return {name: [value.encode() for value in values] for name, values in answers.items()}


def post(client: Client, action: str, sent: Sent, without: tuple[str, ...] = ()) -> Page:
    """Send bytes as they are, which no browser would."""
    body = "&".join(f"{name}={quote_from_bytes(value)}" for name, values in sent.items() for value in values)
    kind = "application/x-www-form-urlencoded"
    return client.post(action, body.encode(), content_type=kind, without=without)


def lost(place: Place, page: Page, sent: Sent, besides: Iterable[str]) -> list[str]:
    """The answers that a page does not show as they were sent. Secrets it must not show at all."""
    form = page.form(place.button).fields
    found = []
    for name in set(place.takes) - set(besides):
        wanted = [value.decode() for value in sent.get(name, [])]
        if name in SECRET:
            wanted = [""]
        shown = [value.removeprefix("\r\n") for value in form.get(name, [])]
        if shown != wanted and (shown, wanted) not in (([""], []), ([], [""])):
            found.append(f"{name} was {wanted} and is {shown}")
    return found
