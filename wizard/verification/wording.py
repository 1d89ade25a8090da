"""What a page says about a code, whatever the code is for."""

from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext

from wizard.verification import codes
from wizard.verification.models import Challenge
from wizard.wording import time_to_come


def of_page(challenge: Challenge | None) -> dict[str, Any]:
    """What the code page shows of a challenge; without one only a new mail helps."""
    return {
        "sent_at": challenge.sent_at if challenge else None,
        "minutes": int(codes.LIFE.total_seconds() // 60),
        "tries_left": codes.TRIES - challenge.attempts if challenge else 0,
        "dead": challenge is None or codes.is_dead(challenge),
        "expired": challenge is not None and codes.is_expired(challenge),
        "resend_wait": codes.wait_of(challenge) if challenge and not codes.is_dead(challenge) else 0,
    }


def refused(reason: codes.CodeRefused) -> str:
    """What somebody is told whose code was not accepted."""
    if isinstance(reason, codes.CodeExpired):
        return _("This code is older than 10 minutes. Send a new one and enter that")
    if isinstance(reason, codes.WrongCode):
        left = reason.tries_left
        if left == 1:
            return _("That is not the code in the newest email; you have 1 try left")
        return _("That is not the code in the newest email; you have %(count)s tries left", count=left)
    return _("Five codes were wrong, so this one no longer works. Send a new code")


def sent_to_account(username: str, time: str) -> str:
    """The same sentence for a username that is known and one that is not, and true of both."""
    return _(
        "If “%(username)s” is a Billing Center account, we sent an email to its address at %(time)s.",
        username=username,
        time=time,
    )


def wait_for(seconds: int) -> str:
    return ngettext(
        "You can send a new code in %(seconds)s second",
        "You can send a new code in %(seconds)s seconds",
        seconds,
        seconds=seconds,
    )


def too_many_mails(until: datetime) -> str:
    when = time_to_come(until)
    return _("This address has had all the codes we send in a while. Try again at %(time)s", time=when)


def too_many_asked(until: datetime) -> str:
    """For somebody who named an account and must not learn its address."""
    when = time_to_come(until)
    return _("This username has had all the codes we send in a while. Try again at %(time)s", time=when)
