"""The sandbox's own SQLite file: one connection per operation, so any number of threads may use it."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

BUSY_TIMEOUT_SECONDS = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS purchases (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    agreement_id TEXT NOT NULL UNIQUE,
    order_ref TEXT UNIQUE,
    account TEXT NOT NULL,
    product_code TEXT NOT NULL,
    style TEXT NOT NULL,
    license_arn TEXT,
    customer_identifier TEXT NOT NULL,
    created_at REAL NOT NULL,
    cancelled_at REAL,
    partition TEXT NOT NULL DEFAULT 'aws',
    contact TEXT,
    metering_fault TEXT,
    metering_fault_left INTEGER,
    ended_as TEXT,
    previous_agreement_id TEXT
);
CREATE INDEX IF NOT EXISTS purchases_account ON purchases (account);
CREATE INDEX IF NOT EXISTS purchases_product_code ON purchases (product_code);
CREATE TABLE IF NOT EXISTS tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token TEXT NOT NULL UNIQUE,
    agreement_id TEXT NOT NULL REFERENCES purchases (agreement_id),
    created_at REAL NOT NULL,
    fault TEXT,
    fault_left INTEGER
);
CREATE INDEX IF NOT EXISTS tokens_agreement ON tokens (agreement_id);
CREATE TABLE IF NOT EXISTS entitlements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    agreement_id TEXT NOT NULL REFERENCES purchases (agreement_id),
    dimension TEXT NOT NULL,
    value TEXT NOT NULL,
    expires_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS entitlements_agreement ON entitlements (agreement_id);
CREATE TABLE IF NOT EXISTS mails (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient TEXT NOT NULL COLLATE NOCASE,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    html TEXT NOT NULL,
    message_id TEXT NOT NULL,
    sent_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS mails_recipient ON mails (recipient, id);
CREATE TABLE IF NOT EXISTS metered (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    record_id TEXT NOT NULL UNIQUE,
    agreement_id TEXT NOT NULL REFERENCES purchases (agreement_id),
    customer TEXT NOT NULL,
    dimension TEXT NOT NULL,
    hour INTEGER NOT NULL,
    quantity TEXT NOT NULL,
    allocations TEXT NOT NULL,
    at REAL NOT NULL,
    received_at REAL NOT NULL,
    UNIQUE (customer, dimension, hour)
);
CREATE INDEX IF NOT EXISTS metered_agreement ON metered (agreement_id, hour);
CREATE TABLE IF NOT EXISTS sessions (
    access_key_id TEXT PRIMARY KEY,
    session_token TEXT NOT NULL,
    partition TEXT NOT NULL,
    expires_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL,
    partition TEXT NOT NULL,
    agreement_id TEXT REFERENCES purchases (agreement_id),
    product_code TEXT,
    road TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    at REAL NOT NULL,
    made_at REAL NOT NULL,
    next_at REAL,
    tries INTEGER NOT NULL DEFAULT 0,
    first_try_at REAL,
    last_try_at REAL,
    answer TEXT,
    fate TEXT
);
CREATE INDEX IF NOT EXISTS messages_next ON messages (road, next_at);
CREATE INDEX IF NOT EXISTS messages_agreement ON messages (agreement_id, id);
CREATE TABLE IF NOT EXISTS switches (
    agreement_id TEXT PRIMARY KEY,
    duplicates INTEGER NOT NULL,
    delay REAL NOT NULL,
    disorder INTEGER NOT NULL,
    silence INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS confirmations (
    token TEXT PRIMARY KEY,
    partition TEXT NOT NULL,
    topic TEXT NOT NULL,
    confirmed_at REAL
);
CREATE TABLE IF NOT EXISTS signing (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    key TEXT NOT NULL,
    certificate TEXT NOT NULL
);
"""

_ADDED = (
    ("purchases", "partition", "TEXT NOT NULL DEFAULT 'aws'"),
    ("purchases", "contact", "TEXT"),
    ("purchases", "metering_fault", "TEXT"),
    ("purchases", "metering_fault_left", "INTEGER"),
    ("purchases", "ended_as", "TEXT"),
    ("purchases", "previous_agreement_id", "TEXT"),
)
"""Columns that a file of an earlier version does not have. It keeps what it holds and gets them."""


class Store:
    """A database file and its schema.

    A connection is opened for each operation and closed after it: SQLite opens in a fraction of a
    millisecond, and a connection that belongs to nobody cannot be shared by two threads by mistake.
    """

    def __init__(self, path: str | Path) -> None:
        """Create the file, its folder, its tables and their columns where they are missing.

        ``path`` names a file; ``":memory:"`` would be a new empty database at every operation.
        """
        if str(path) == ":memory:":
            raise ValueError("The sandbox needs a database file: every operation opens it anew.")
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._become_wal()
        with self.writing() as connection:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            for table, column, kind in _ADDED:
                known = connection.execute(
                    "SELECT 1 FROM pragma_table_info(?) WHERE name = ?", [table, column]
                )
                if known.fetchone() is None:
                    connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for SELECTs that see one moment of the database."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection that holds the write lock from the start; commits at the end, rolls back on an error.

        The lock is taken at once because a transaction that reads first and then wants to write is
        refused by SQLite without waiting when another one wrote in between.
        """
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _become_wal(self) -> None:
        """Switch the file to write-ahead logging, once.

        The switch needs the file for itself and does not honour the busy timeout, so a web process and
        a mail server that start together have to try again for a moment.
        """
        give_up_at = time.monotonic() + BUSY_TIMEOUT_SECONDS
        while True:
            try:
                with closing(self._connect()) as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.02)
