"""The forms of the wizard. Labels are contract: people and programs find fields by them. Each is declared once."""

import unicodedata
from typing import Any

import phonenumbers
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import (
    Field,
    HiddenField,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import StopValidation

from wizard.accounts.forms import EmailMixin, PasswordMixin, SiteMixin, UsernameMixin
from wizard.forms import AtMost, Filled, Form, Tick, offers, tidy
from wizard.i18n import LANGUAGES, language_of
from wizard.verification.forms import CodeMixin

INDUSTRIES = {
    "internet": _l("Internet and software"),
    "finance": _l("Finance and insurance"),
    "manufacturing": _l("Manufacturing"),
    "retail": _l("Retail and e-commerce"),
    "transport": _l("Transport and logistics"),
    "healthcare": _l("Healthcare"),
    "education": _l("Education"),
    "public": _l("Public sector"),
    "media": _l("Media and games"),
    "energy": _l("Energy and utilities"),
    "other": _l("Something else"),
}


def region_choices() -> list[SelectChoice]:
    """Countries and regions that have telephones, by their name in the reader's language and in its order."""
    names = get_locale().territories
    places = [(code, names[code]) for code in phonenumbers.SUPPORTED_REGIONS - _NO_COUNTRIES if code in names]
    if language_of(str(get_locale())) == "zh":
        # GB 2312 put the common characters in the order of their pinyin, and the rarer ones after them.
        places.sort(key=lambda place: (place[0] != "CN", place[1].encode("gb18030")))
    else:
        places.sort(key=lambda place: unicodedata.normalize("NFKD", place[1]).encode("ascii", "ignore"))
    return [SelectChoice(code, name) for code, name in places]


_NO_COUNTRIES = {"AC", "TA"}
"""Islands with a telephone code and no entry of their own in ISO 3166-1."""


def phone_shape(_form: Form, field: Field) -> None:
    """An optional number, kept in its international form. In Chinese one without a country code is China's."""
    if not field.data:
        return
    try:
        number = phonenumbers.parse(field.data, "CN" if language_of(str(get_locale())) == "zh" else None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise StopValidation(_("Enter the phone number with its country code, like +86 10 1234 5678"))
    field.data = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def phone_field() -> StringField:
    return StringField(
        _l("Phone number (optional)"),
        filters=[tidy],
        validators=[AtMost(40), phone_shape],
        render_kw={"type": "tel", "autocomplete": "tel"},
    )


class BasicForm(SiteMixin, UsernameMixin, EmailMixin, PasswordMixin, Form):
    phone = phone_field()


class UsernameForm(UsernameMixin, Form):
    pass


class CompanyForm(Form):
    company_name = StringField(
        _l("Company name"),
        filters=[tidy],
        validators=[Filled(_l("Enter your company’s name")), AtMost(120)],
        render_kw={"autocomplete": "organization"},
    )
    industry = SelectField(_l("Industry (optional)"), validate_choice=False)
    region = SelectField(
        _l("Region (optional)"), validate_choice=False, render_kw={"autocomplete": "country"}
    )
    description = TextAreaField(
        _l("Company description (optional)"),
        filters=[tidy],
        validators=[AtMost(1000)],
        render_kw={"rows": 3},
    )
    contact_name = StringField(
        _l("Contact name (optional)"),
        filters=[tidy],
        validators=[AtMost(120)],
        render_kw={"autocomplete": "name"},
    )
    agree = Tick(_l("I agree to the Service agreement and the Privacy policy"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        nothing = SelectChoice("", _("Not said"))
        self.industry.choices = [nothing, *(SelectChoice(key, str(name)) for key, name in INDUSTRIES.items())]
        self.region.choices = [nothing, *region_choices()]

    def validate_industry(self, field: Field) -> None:
        _one_of(field)

    def validate_region(self, field: Field) -> None:
        _one_of(field)

    def validate_agree(self, field: Field) -> None:
        if not field.data:
            raise StopValidation(_("Agree to the Service agreement and the Privacy policy to register"))


class WorkspaceMixin:
    """What a new workspace is called, and the language that is fixed for its life."""

    workspace_name = StringField(
        _l("Workspace name"),
        filters=[tidy],
        validators=[Filled(_l("Enter a name for the workspace")), AtMost(80)],
        render_kw={"autocomplete": "off"},
    )
    language = RadioField(
        _l("Workspace language"),
        choices=[SelectChoice(*language) for language in LANGUAGES.items()],
        validate_choice=False,
    )

    def validate_language(self, field: Field) -> None:
        if field.data not in ("en", "zh"):
            raise StopValidation(_("Choose the language of this workspace’s templates"))


class ActivationForm(WorkspaceMixin, Form):
    order = ("method", "workspace_name", "language", "agree")
    method = RadioField(_l("Activation method"), validate_choice=False)
    agree = Tick(_l("I agree to the Pay-as-you-go agreement"))

    def validate_method(self, field: Field) -> None:
        if field.data not in offers(field):
            raise StopValidation(_("Choose what pays for this workspace"))

    def validate_agree(self, field: Field) -> None:
        if not field.data:
            raise StopValidation(_("Agree to the Pay-as-you-go agreement to activate"))


class OfferForm(Form):
    """The proven address has a Billing Center account: bind the purchase to that one?"""

    offer = RadioField(
        _l("What do you want to do?"),
        choices=[
            SelectChoice("bind", _l("Bind the purchase to this account")),
            SelectChoice("register", _l("Register a console account first")),
        ],
        validate_choice=False,
    )

    def validate_offer(self, field: Field) -> None:
        if field.data not in offers(field):
            raise StopValidation(_("Choose what happens with your purchase"))


HERE, SAME, OTHER = "here", "same", "other"
"""The Billing Center account signed in here; the one this cloud account pays through already; one that is named."""


class AccountForm(Form):
    """Which Billing Center account? Without an offer only its username is asked."""

    order = ("which", "username")
    which = RadioField(_l("Which Billing Center account?"), validate_choice=False)
    username = StringField(
        _l("Username"),
        filters=[tidy],
        validators=[AtMost(254)],
        render_kw={"autocomplete": "username", "spellcheck": "false", "autocapitalize": "none"},
    )

    def validate_which(self, field: Field) -> None:
        offered = offers(field)
        if field.data not in offered and (self.username.data or offered == {OTHER}):
            field.data = OTHER  # Who names an account has chosen.
        if field.data not in offered:
            raise StopValidation(_("Choose the Billing Center account"))

    def validate_username(self, field: Field) -> None:
        if self.which.data == OTHER and not field.data:
            raise StopValidation(_("Enter the username of your Billing Center account"))


class SiteForm(SiteMixin, Form):
    """Where workspaces made from here will live."""


class OwnUsernameForm(UsernameForm):
    """Another name for the console account of a workspace that is being created.

    Remembers for which site the page was made; ``site_seen`` is that one in a form that was sent.
    """

    shown_site = HiddenField()
    site_seen: str | None = None

    def show_site(self, site_id: str) -> None:
        self.site_seen = self.shown_site.data
        self.shown_site.data = site_id


class CreateForm(SiteMixin, WorkspaceMixin, EmailMixin, CodeMixin, Form):
    """A workspace for somebody who has a console account.

    *Send code* sends the same fields, without a code yet, and so does the chooser at the top of the page, which
    belongs to this form there: what was typed stays. ``pressed`` is "code", "site" or, for the deed, None.
    """

    order = (
        "new_site",
        "site",
        "workspace_name",
        "language",
        "username",
        "password",
        "confirm_password",
        "email",
        "code",
        "phone",
        "agree",
    )
    pressed: str | None = None
    site_now: str | None = None
    """The site chosen at the top, before this form was sent."""
    new_site = RadioField(_l("Site for new workspaces"), validate_choice=False)
    agree = Tick(_l("I agree to the Pay-as-you-go agreement"))

    def validate_code(self, field: Field) -> None:
        if not field.data:
            raise StopValidation(_("Press Send code, then enter the 6 digits from the email"))
        super().validate_code(field)

    def validate_agree(self, field: Field) -> None:
        if not field.data:
            raise StopValidation(_("Agree to the Pay-as-you-go agreement to create the workspace"))

    def validate(self, extra_validators: Any = None) -> bool:
        """For a code only the address must be there, and what else was filled in must be right; for a site only it."""
        valid = bool(super().validate(extra_validators))
        if self.pressed is None:
            return valid and self._is_for_the_site_shown()
        for field in self:
            typed = self["password"] if field.name == "confirm_password" else field
            if self.pressed == "site" and isinstance(field, PasswordField) and field.errors:
                self["password"].data = ""  # It is not kept.
            if (
                self.pressed == "site"
                or field.name in ("code", "agree")
                or (field.name not in ("email", "site") and not typed.data)
            ):
                field.errors = []
        if self.pressed == "site" and self.new_site.data not in offers(self.new_site):
            self.form_errors.append(_("Choose the site where your workspace will live"))
        return not self.errors

    def _is_for_the_site_shown(self) -> bool:
        """Not when another site was marked at the top and not used, nor when another tab has changed it since."""
        meant = self["site"].data if "site" in self else self.site_now
        if self.new_site.data in (None, meant) or self.new_site.data not in offers(self.new_site):
            return True
        self.new_site.data = meant
        name = next((choice.label for choice in self.new_site.choices or () if choice.value == meant), "")
        self.form_errors.append(
            _(
                "This workspace goes to %(site)s. If you want another site, choose it at the top of this page. "
                "Otherwise press the button again",
                site=name,
            )
        )
        return False


class CreateAccountForm(UsernameMixin, PasswordMixin, CreateForm):
    """A workspace, and the console account it needs."""

    phone = phone_field()
    agree = Tick(_l("I agree to the Service agreement, the Privacy policy and the Pay-as-you-go agreement"))

    @property
    def lost_password(self) -> bool:
        """One was typed and is not kept."""
        return any(self.password.raw_data or ()) and self.new_hash is None

    def ahead(self) -> bool:
        fine = super().ahead()
        if self.pressed != "site":
            return fine
        self.password.errors = []
        return True

    def validate_agree(self, field: Field) -> None:
        if not field.data:
            raise StopValidation(_("Agree to the three agreements to register and create the workspace"))


class MethodForm(Form):
    """What settles a workspace from now on."""

    method = RadioField(_l("Settlement method"), validate_choice=False)

    def validate_method(self, field: Field) -> None:
        if field.data not in offers(field):
            raise StopValidation(_("Choose what pays for this workspace"))


class ChooseForm(Form):
    """The workspaces that a purchase pays for."""

    workspaces = SelectMultipleField(_l("Workspaces"), choices=[], validate_choice=False)

    def validate_workspaces(self, field: Field) -> None:
        if not field.data:
            raise StopValidation(_("Choose at least one workspace"))


STOPPED = "stopped"
"""The answer of who goes on with a journey whose purchase has ended."""


class ChoiceForm(Form):
    """Does the buyer have a Billing Center account? Or, where a journey has stopped, do they go on with that?"""

    has_account = RadioField(
        _l("Do you have a Billing Center account?"),
        choices=[
            SelectChoice("no", _l("I have no Billing Center account")),
            SelectChoice("yes", _l("I have a Billing Center account")),
        ],
        validate_choice=False,
    )

    def validate_has_account(self, field: Field) -> None:
        if field.data not in offers(field):
            raise StopValidation(_("Choose whether you have a Billing Center account"))


class DissolveForm(Form):
    """The name of the workspace, typed: nobody dissolves one by a click too many."""

    name = StringField(
        _l("Workspace name"),
        filters=[tidy],
        render_kw={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"},
    )

    def __init__(self, wanted: str) -> None:
        super().__init__()
        self.wanted = wanted

    def validate_name(self, field: Field) -> None:
        if field.data != tidy(self.wanted):
            raise StopValidation(_("Type the name of the workspace exactly as it stands above"))


def _one_of(field: Field) -> None:
    """A choice the page offered; anything else counts as nothing said."""
    if field.data not in offers(field):
        field.data = ""
