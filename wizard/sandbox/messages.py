"""AWS's messages on their way to the seller: written with what they tell of, delivered after it, at least once.

A row is one delivery. What goes to a queue is read from there by the seller (``receive``, ``remove``); what goes to a
topic is posted by the courier (``claim``, ``answered``). Both may be late, doubled, out of order or never come, as at
AWS; :class:`Switches` make it so on purpose.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from wizard.sandbox.errors import Refused
from wizard.sandbox.events import QUEUE, TOPIC, Draft
from wizard.sandbox.store import Store

EVERYBODY = ""
"""Whose switches hold for purchases that have none of their own."""

LOOK_EVERY = 0.2
"""Seconds between looks at the store while waiting: another process rings no bell of ours, and time none at all."""

RETRIES = 3
RETRY_SECONDS = 20
"""SNS's delivery policy for HTTP: three more tries, 20 s apart (*Amazon SNS developer guide*, "Delivery retries")."""

_LEASE_SECONDS = 60
MOST_COPIES = 100
LONGEST_DELAY = 14 * 86400


@dataclass(frozen=True)
class Switches:
    """How messages travel. ``duplicates``: copies beside each; ``delay``: seconds until they set out; ``disorder``:
    those of one event the wrong way round; ``silence``: not at all."""

    duplicates: int = 0
    delay: float = 0
    disorder: bool = False
    silence: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.duplicates <= MOST_COPIES:
            raise Refused(f"messages.duplicates is a whole number from 0 to {MOST_COPIES}.")
        if not 0 <= self.delay <= LONGEST_DELAY:
            raise Refused(f"messages.delay is a number of seconds from 0 to {LONGEST_DELAY}.")

    @classmethod
    def of(cls, given: Any) -> "Switches":
        """From a program's JSON. Raises :class:`Refused`."""
        kinds: dict[str, tuple[type, ...]] = {
            "duplicates": (int,),
            "delay": (int, float),
            "disorder": (bool,),
            "silence": (bool,),
        }
        if not isinstance(given, dict) or not all(
            name in kinds and type(value) in kinds[name] for name, value in given.items()
        ):
            raise Refused(
                'messages is an object such as {"duplicates": 1, "delay": 5, "disorder": true, "silence": false}.'
            )
        return cls(**given)

    def shape(self) -> dict[str, Any]:
        """As a program reads them."""
        return asdict(self)

    def plan(self, drafts: Sequence[Draft]) -> list[tuple[Draft, float | None]]:
        """What is delivered and when it sets out, in the order of delivery; None: it never does."""
        if self.silence:
            return [(draft, None) for draft in drafts]
        copies = [(draft, draft.due + self.delay) for draft in drafts for _ in range(1 + self.duplicates)]
        if not self.disorder:
            return list(copies)
        latest = max(due for _, due in copies)
        return [(draft, latest) for draft, _ in reversed(copies)]


@dataclass(frozen=True)
class Message:
    """One delivery. ``at``: its own time · ``next_at``: when it can be read or posted (again), None once it is over ·
    ``tries``: how often it was read or posted · ``answer``: what the seller said to the last try · ``fate``: None
    while it is under way, else one of :data:`FATES`. Moments are Unix seconds."""

    id: int
    message_id: str
    partition: str
    agreement_id: str | None
    product_code: str | None
    road: str
    kind: str
    body: str
    at: float
    made_at: float
    next_at: float | None
    tries: int
    first_try_at: float | None
    last_try_at: float | None
    answer: str | None
    fate: str | None


FATES = ("delivered", "refused", "given_up", "kept_back", "overtaken")
"""delivered: taken from the queue, or answered 2xx. refused: answered in a way SNS does not try again. given_up: tried
as often as SNS does. kept_back: silenced. overtaken: a re-subscription came first, so AWS never sends it."""


class Messages:
    """The verbs over the rows of a :class:`Store`. Safe in many threads; every verb is one transaction."""

    def __init__(
        self, store: Store, now: Callable[[], float], subscribed: Mapping[str, Collection[str]]
    ) -> None:
        """``subscribed``: for each partition, the product codes to whose topics the seller's endpoint listens."""
        self._store = store
        self._now = now
        self._subscribed = subscribed
        self._bell = threading.Condition()
        self.rung = 0

    # Writing ---------------------------------------------------------------------------------------------------

    def put(
        self,
        db: sqlite3.Connection,
        partition: str,
        drafts: Sequence[Draft],
        agreement_id: str | None = None,
        product_code: str | None = None,
    ) -> None:
        """Send messages with the change they tell of: ``db`` is its transaction. :meth:`ring` after it.

        What goes to a topic that nobody has subscribed to is gone, as at AWS.
        """
        heard = [
            one for one in drafts if one.road == QUEUE or product_code in self._subscribed.get(partition, ())
        ]
        switches = self._switches(db, agreement_id)
        db.executemany(
            "INSERT INTO messages (message_id, partition, agreement_id, product_code, road, kind, body, at, made_at,"
            " next_at, fate) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (one.message_id, partition, agreement_id, product_code, one.road, one.kind, one.body, one.at,
                 self._now(), due, "kept_back" if due is None else None)
                for one, due in switches.plan(heard)
            ],
        )  # fmt: skip

    def send(self, partition: str, drafts: Sequence[Draft], product_code: str | None = None) -> None:
        """Send messages that tell of no purchase."""
        with self._store.writing() as db:
            self.put(db, partition, drafts, product_code=product_code)
        self.ring()

    def again(self, number: int) -> Message:
        """Send one once more, at once: the same message, with its own id and time. Raises :class:`Refused`."""
        with self._store.writing() as db:
            made = db.execute(
                "INSERT INTO messages (message_id, partition, agreement_id, product_code, road, kind, body, at,"
                " made_at, next_at) SELECT message_id, partition, agreement_id, product_code, road, kind, body, at,"
                " :now, :now FROM messages WHERE id = :id",
                {"now": self._now(), "id": number},
            )
            if not made.rowcount:
                raise UnknownMessage("No message has this number.")
            found = _to_message(
                db.execute("SELECT * FROM messages WHERE id = ?", [made.lastrowid]).fetchone()
            )
        self.ring()
        return found

    def overtake(self, db: sqlite3.Connection, agreement_ids: Sequence[str], kind: str) -> None:
        """What is still to be sent of this kind for these purchases will never be."""
        db.executemany(
            "UPDATE messages SET next_at = NULL, fate = 'overtaken'"
            " WHERE agreement_id = ? AND kind = ? AND tries = 0 AND next_at > ?",
            [(one, kind, self._now()) for one in agreement_ids],
        )

    def switch(self, switches: Switches | None, agreement_id: str = EVERYBODY) -> None:
        """From now on messages travel like this; None: a purchase goes by everybody's switches again."""
        with self._store.writing() as db:
            self.switch_in(db, switches, agreement_id)

    def switch_in(self, db: sqlite3.Connection, switches: Switches | None, agreement_id: str) -> None:
        """The same in a transaction that is open."""
        db.execute("DELETE FROM switches WHERE agreement_id = ?", [agreement_id])
        if switches is not None:
            db.execute(
                "INSERT INTO switches (agreement_id, duplicates, delay, disorder, silence) VALUES (?, ?, ?, ?, ?)",
                [agreement_id, *asdict(switches).values()],
            )

    # Reading ---------------------------------------------------------------------------------------------------

    def switches(self, agreement_id: str | None = None) -> Switches:
        """What holds for a purchase, or for everybody."""
        with self._store.reading() as db:
            return self._switches(db, agreement_id)

    def has_own_switches(self, agreement_id: str) -> bool:
        """Whether a purchase goes by switches of its own."""
        with self._store.reading() as db:
            found = db.execute("SELECT 1 FROM switches WHERE agreement_id = ?", [agreement_id])
            return found.fetchone() is not None

    def newest(self, agreement_id: str | None = None, limit: int = 200) -> list[Message]:
        """Deliveries of one purchase or of all, newest first."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT * FROM messages WHERE ?1 IS NULL OR agreement_id = ?1 ORDER BY id DESC LIMIT ?2",
                [agreement_id, limit],
            )
            return [_to_message(row) for row in rows]

    def last_time(self, db: sqlite3.Connection, agreement_ids: Sequence[str]) -> float:
        """The latest own time of any message of these purchases; 0 where there is none."""
        latest = 0.0
        for one in agreement_ids:
            found = db.execute("SELECT MAX(at) AS at FROM messages WHERE agreement_id = ?", [one]).fetchone()
            latest = max(latest, found["at"] or 0.0)
        return latest

    # The queue -------------------------------------------------------------------------------------------------

    def receive(
        self, partition: str, most: int, hidden: float, wait: float, gone: Callable[[], bool] = lambda: False
    ) -> list[Message]:
        """Read up to ``most`` messages from a queue, waiting up to ``wait`` seconds for the first; nobody else gets
        them for ``hidden`` seconds. ``gone()``: whoever waited went away, so nothing must be read for them."""
        until = time.monotonic() + wait
        while not gone():
            rung = self.rung
            found = self._take(partition, most, hidden)
            left = until - time.monotonic()
            if found or left <= 0:
                return found
            self.wait(rung, min(left, LOOK_EVERY))
        return []

    def remove(self, partition: str, number: int, tries: int) -> None:
        """Delete a message from a queue. Nothing happens where it was read again since: that reader has it now."""
        self._settle(partition, number, tries, None, "delivered", "deleted")

    def hide(self, partition: str, number: int, tries: int, hidden: float) -> bool:
        """Let nobody read a message for so many seconds from now. Returns whether it is still this reader's."""
        return self._settle(partition, number, tries, self._now() + hidden, None, None)

    def _settle(
        self,
        partition: str,
        number: int,
        tries: int,
        next_at: float | None,
        fate: str | None,
        answer: str | None,
    ) -> bool:
        with self._store.writing() as db:
            done = db.execute(
                "UPDATE messages SET next_at = ?, fate = ?, answer = ? WHERE id = ? AND tries = ?"
                " AND road = ? AND partition = ? AND fate IS NULL",
                [next_at, fate, answer, number, tries, QUEUE, partition],
            )
        self.ring()
        return bool(done.rowcount)

    def depth(self, partition: str) -> tuple[int, int, int]:
        """How many messages of a queue can be read now, are with a reader, and are still to come."""
        with self._store.reading() as db:
            row = db.execute(
                "SELECT COALESCE(SUM(next_at <= :now), 0) AS here,"
                " COALESCE(SUM(next_at > :now AND tries > 0), 0) AS held,"
                " COALESCE(SUM(next_at > :now AND tries = 0), 0) AS coming"
                " FROM messages WHERE road = :road AND partition = :partition AND next_at IS NOT NULL",
                {"now": self._now(), "road": QUEUE, "partition": partition},
            ).fetchone()
            return row["here"], row["held"], row["coming"]

    def _take(self, partition: str, most: int, hidden: float) -> list[Message]:
        now = self._now()
        asked = [QUEUE, partition, now]
        with self._store.reading() as db:
            if db.execute(_DUE, [*asked, 1]).fetchone() is None:
                return []
        with self._store.writing() as db:
            return [
                self._try(db, row["id"], now + hidden) for row in db.execute(_DUE, [*asked, most]).fetchall()
            ]

    # The topics ------------------------------------------------------------------------------------------------

    def claim(self, agreement_id: str | None = None) -> Message | None:
        """The next message to post, for one poster only. One that is never ``answered`` comes up again."""
        now = self._now()
        with self._store.reading() as db:
            if db.execute(_POST, [TOPIC, now, agreement_id]).fetchone() is None:
                return None
        with self._store.writing() as db:
            row = db.execute(_POST, [TOPIC, now, agreement_id]).fetchone()
            return None if row is None else self._try(db, row["id"], now + _LEASE_SECONDS)

    def answered(self, message: Message, status: int | None) -> None:
        """What the endpoint said; None for nothing at all. SNS tries again after 5xx, 429 and silence only."""
        again = status is None or status >= 500 or status == 429
        fate: str | None = "delivered" if status in range(200, 300) else "refused"
        if again:
            fate = "given_up" if message.tries > RETRIES else None
        with self._store.writing() as db:
            db.execute(
                "UPDATE messages SET next_at = ?, fate = ?, answer = ? WHERE id = ? AND tries = ?",
                [
                    None if fate else self._now() + RETRY_SECONDS,
                    fate,
                    "" if status is None else str(status),
                    message.id,
                    message.tries,
                ],
            )

    # Waiting ---------------------------------------------------------------------------------------------------

    def ring(self) -> None:
        """Something was sent: whoever waits looks at once."""
        with self._bell:
            self.rung += 1
            self._bell.notify_all()

    def wait(self, rung: int, seconds: float) -> None:
        """Until the bell rings for another time than ``rung``, but no longer than this."""
        with self._bell:
            self._bell.wait_for(lambda: self.rung != rung, seconds)

    def _try(self, db: sqlite3.Connection, number: int, next_at: float) -> Message:
        db.execute(
            "UPDATE messages SET tries = tries + 1, next_at = :next, last_try_at = :now,"
            " first_try_at = COALESCE(first_try_at, :now) WHERE id = :id",
            {"next": next_at, "now": self._now(), "id": number},
        )
        return _to_message(db.execute("SELECT * FROM messages WHERE id = ?", [number]).fetchone())

    def _switches(self, db: sqlite3.Connection, agreement_id: str | None) -> Switches:
        row = db.execute(
            "SELECT * FROM switches WHERE agreement_id IN (?, ?) ORDER BY agreement_id DESC LIMIT 1",
            [agreement_id or EVERYBODY, EVERYBODY],
        ).fetchone()
        if row is None:
            return Switches()
        return Switches(row["duplicates"], row["delay"], bool(row["disorder"]), bool(row["silence"]))


class UnknownMessage(Refused):
    """No message has this number."""


_DUE = (
    "SELECT id FROM messages WHERE road = ? AND partition = ? AND next_at <= ? ORDER BY next_at, id LIMIT ?"
)
_POST = (
    "SELECT id FROM messages WHERE road = ?1 AND next_at <= ?2 AND (?3 IS NULL OR agreement_id = ?3)"
    " ORDER BY next_at, id LIMIT 1"
)


def _to_message(row: sqlite3.Row) -> Message:
    return Message(**{field.name: row[field.name] for field in fields(Message)})
