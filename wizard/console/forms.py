"""The console's forms."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import Field, PasswordField, RadioField, StringField
from wtforms.validators import StopValidation

from wizard.forms import AtMost, Filled, Form, offers, tidy


class SignInForm(Form):
    """One site's door."""

    site = RadioField(_l("Site"), validate_choice=False)
    username = StringField(
        _l("Username"),
        filters=[tidy],
        validators=[Filled(_l("Enter your username or email address")), AtMost(254)],
        render_kw={"autocomplete": "username", "spellcheck": "false", "autocapitalize": "none"},
    )
    password = PasswordField(
        _l("Password"),
        validators=[Filled(_l("Enter your password")), AtMost(1024)],
        render_kw={"autocomplete": "current-password"},
    )

    def validate_site(self, field: Field) -> None:
        if field.data not in offers(field):
            raise StopValidation(_("Choose the site of your console account"))
