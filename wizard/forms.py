"""The form every POST goes through, and the checks several rooms share.

A form is where a request shows that it is meant: its CSRF token is checked together with its fields, so a
page that was open too long comes back with everything that was typed, instead of an error page.
"""

import re
import unicodedata
from typing import Any

from flask import request
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, PasswordField, StringField
from wtforms.validators import StopValidation

from wizard.transactions import genuine

_NONCHARACTERS = "".join(chr(plane * 0x10000 + last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069"
    f"\ufeff\ufffd\ufdd0-\ufdef{_NONCHARACTERS}]"
)
"""Control characters, bidirectional overrides, noncharacters and other marks nobody sees or means to type.

They would spoil a page, a mail's subject or a log line, and NUL is no text to PostgreSQL.
"""


class Form(FlaskForm):
    """A form with a CSRF token; every view that takes a POST uses one, a lone button included."""

    order: tuple[str, ...] = ()
    """The fields as they stand on the page, where that is not the order they were written down in."""

    slow = False
    """Whether there is more to do before it counts, for which no transaction may wait: see ``ahead``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Field] = vars(self)["_fields"]
        first = [name for name in self.order if name in fields]
        self._fields = {name: fields[name] for name in dict.fromkeys([*first, *fields])}

    def ahead(self) -> bool:
        """What asks the network or takes a while, called when the fields are right and no transaction is open.

        False when that found something wrong; the field then has its error.
        """
        return True

    class Meta(FlaskForm.Meta):
        def wrap_formdata(self, form: FlaskForm, formdata: Any) -> Any:
            """What was typed, and no files: nobody is asked for one, and a file is no text."""
            return request.form if form.is_submitted() else None

    def validate(self, extra_validators: Any = None) -> bool:
        spoilt = self._take_out_unseen()
        valid = bool(super().validate(extra_validators)) and not spoilt
        for field in spoilt:
            field.errors = [_("We took out characters that cannot be shown. Check what is left")]
        token = self._fields.get("csrf_token")
        genuine(token is not None and not token.errors)
        if token and token.errors:
            token.errors = ()
            self.form_errors.append(_("This page was open too long. Check your answers and send them again"))
        return valid

    def _take_out_unseen(self) -> list[Field]:
        """Clean every text that was typed; the fields in which something was taken out.

        A password is neither shown nor stored as typed, so it keeps all it is made of.
        """
        texts = [f for f in self if isinstance(f, StringField) and not isinstance(f, PasswordField)]
        spoilt = [field for field in texts if _UNSEEN.search(field.data or "")]
        for field in spoilt:
            field.data = seen(field.data)
        return spoilt


class Tick(BooleanField):
    """A box to tick. Its value on the page is ours, whatever was sent as one."""

    def _value(self) -> str:
        return "y"


class Button(Form):
    """A form of one button."""


def seen(text: str) -> str:
    """A text without the marks that nobody sees."""
    return _UNSEEN.sub("", text)


def tidy(text: str | None) -> str | None:
    """Trim, and give one spelling to characters that have several (Unicode NFC)."""
    return unicodedata.normalize("NFC", text).strip() if isinstance(text, str) else text


def offers(field: Field) -> set[str]:
    """The values a field of choices offered on this page."""
    return {choice.value for choice in field.choices or ()}


class Filled:
    """The field holds something."""

    def __init__(self, message: Any) -> None:
        self.message = message

    def __call__(self, form: Any, field: Field) -> None:
        if not field.data:
            raise StopValidation(str(self.message))


class AtMost:
    """No more than so many characters."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __call__(self, form: Any, field: Field) -> None:
        if len(field.data or "") > self.most:
            name = str(field.label.text)
            raise StopValidation(
                _("%(field)s: use at most %(count)s characters", field=name, count=self.most)
            )
