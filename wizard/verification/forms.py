"""The form that takes a code."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import Field, StringField
from wtforms.validators import StopValidation

from wizard.forms import AtMost, Form
from wizard.verification import codes


class CodeMixin:
    code = StringField(
        _l("Verification code"),
        validators=[AtMost(40)],
        render_kw={"inputmode": "numeric", "autocomplete": "one-time-code", "spellcheck": "false"},
    )

    def validate_code(self, field: Field) -> None:
        if len(codes.normalise(field.data or "")) != codes.DIGITS:
            raise StopValidation(_("Enter the 6 digits from the email"))


class CodeForm(CodeMixin, Form):
    """A page that asks for nothing else."""
