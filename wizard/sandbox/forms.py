"""The forms of the sandbox's pages. Without CSRF secrets: a purchase here moves nothing, and a browser that
comes from another site is refused by its own header (``web.py``)."""

import re
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, Form, RadioField, SelectField, StringField, ValidationError
from wtforms.fields.choices import SelectChoice

from wizard.sandbox import names
from wizard.sandbox.messages import LONGEST_DELAY, MOST_COPIES, Switches
from wizard.sandbox.text import printable

OTHER_PRODUCT = "another-product-0a1b2c3d4e"
"""A product code that is not among anybody's configured ones: a token for another listing of the seller."""

_ACCOUNT = {"autocomplete": "off", "inputmode": "numeric", "spellcheck": "false"}
_EXAMPLE = "7828\u00a05828\u00a05006"
_NOTHING = "none"
_OTHER = "other_product"
_FAILS = "payment"


class _Form(FlaskForm):
    class Meta:
        csrf = False

    def validate_account(self, field: Field) -> None:
        number = names.account_number(field.data or "")
        if number is None:
            raise ValidationError(
                _l("Enter the 12 digits of an AWS account, such as %(example)s", example=_EXAMPLE)
            )
        field.data = number


class AccountForm(_Form):
    """Whose purchases to show."""

    account = StringField(_l("Buyer’s AWS account"), filters=[printable], render_kw=_ACCOUNT)


class MailForm(_Form):
    """Whose mails to show."""

    to = StringField(_l("Sent to"), filters=[printable], render_kw=_ACCOUNT | {"inputmode": "email"})


class _WholeNumber(StringField):
    """A number from 0 to ``most``; ``data`` is an ``int``, or what was typed where it is none."""

    data: Any

    def __init__(self, label: Any, most: int, **kwargs: Any) -> None:
        keys = {"inputmode": "numeric", "autocomplete": "off"}
        super().__init__(label, filters=[printable], render_kw=keys, **kwargs)
        self.most = most

    def process_data(self, value: Any) -> None:
        super().process_data(str(int(value or 0)))

    def pre_validate(self, form: Form) -> None:
        typed = (self.data or "").strip() or "0"
        if not re.fullmatch("[0-9]{1,9}", typed) or int(typed) > self.most:
            raise ValidationError(_("Enter a whole number from 0 to %(most)s", most=self.most))
        self.data = int(typed)


class SwitchesForm(FlaskForm):
    """How AWS's messages travel."""

    class Meta:
        csrf = False

    duplicates = _WholeNumber(_l("Extra copies of each"), MOST_COPIES)
    delay = _WholeNumber(_l("Delay"), LONGEST_DELAY)
    disorder = BooleanField(_l("In the wrong order: the last one first"))
    silence = BooleanField(_l("Not at all: they are kept back here"))

    @property
    def is_on(self) -> bool:
        """Whether anything is other than it usually is."""
        return any(field.data not in (False, None, "", "0") for field in self)

    def wish(self) -> Switches:
        """What was asked for, once it is validated."""
        return Switches(self.duplicates.data, self.delay.data, self.disorder.data, self.silence.data)


def _choice(value: str, label: Any) -> SelectChoice:
    return SelectChoice(value=value, label=label)


class BuyForm(_Form):
    """Who buys, what kind of purchase, and what goes wrong with its first token."""

    account = StringField(_l("Buyer’s AWS account"), filters=[printable], render_kw=_ACCOUNT)
    product_code = SelectField(_l("Product code"))
    style = SelectField(
        _l("Kind of purchase"),
        choices=[
            _choice("licence", _l("Licence and agreement")),
            _choice("legacy", _l("Customer identifier")),
            _choice("legacy_minimal", _l("Customer identifier without account")),
        ],
    )
    fault = RadioField(
        _l("What goes wrong"),
        default=_NOTHING,
        choices=[
            _choice(_NOTHING, _l("Nothing")),
            _choice("expired", _l("The token has expired")),
            _choice("throttled", _l("AWS answers “slow down”")),
            _choice("invalid", _l("AWS does not know the token")),
            _choice(_OTHER, _l("The token is for another product")),
            _choice("internal", _l("AWS answers “internal error”")),
            _choice("access_denied", _l("AWS does not let the seller ask")),
            _choice("disabled", _l("The API is switched off")),
            _choice(_FAILS, _l("The payment fails")),
        ],
    )

    def __init__(self, product_codes: tuple[str, ...], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.product_code.choices = [_choice(code, code) for code in product_codes]
        if len(product_codes) == 1:
            del self.product_code

    def validate_fault(self, field: Field) -> None:
        if field.data == _FAILS and self.style.data == "licence":
            raise ValidationError(
                _l(
                    "AWS tells of a failed payment by customer identifier only: choose another kind of purchase"
                )
            )

    def wish(self, product_codes: tuple[str, ...]) -> dict[str, Any]:
        """Keyword arguments of :meth:`wizard.sandbox.purchases.Marketplace.buy`."""
        fault = self.fault.data
        chosen = self.product_code.data if "product_code" in self else product_codes[0]
        return {
            "account": self.account.data,
            "product_code": OTHER_PRODUCT if fault == _OTHER else chosen,
            "style": self.style.data,
            "fault": None if fault in (_NOTHING, _OTHER, _FAILS) else fault,
            "fails": fault == _FAILS,
        }
