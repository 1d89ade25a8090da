"""Things tests need many of, each with values of its own unless a test says otherwise."""

import itertools
from dataclasses import dataclass, field

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """Somebody who may register: a username and an address nobody else has, and a password that is good enough."""

    number: int = field(default_factory=lambda: next(_numbers))
    password: str = "seven quiet harbour lamps"
    company: str = "Ada's Harbour Lamps"

    @property
    def username(self) -> str:
        return f"ada-{self.number}"

    @property
    def email(self) -> str:
        return f"ada-{self.number}@harbour.test"

    @property
    def answers(self) -> dict[str, object]:
        """The first page of registering, by field name."""
        return {
            "username": self.username,
            "email": self.email,
            "password": self.password,
            "confirm_password": self.password,
        }
