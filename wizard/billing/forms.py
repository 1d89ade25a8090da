"""The domain's forms, which the console and the Billing Center share."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import Field, StringField
from wtforms.validators import StopValidation

from wizard.billing.models import Workspace
from wizard.forms import Form, tidy


class DissolveForm(Form):
    """The name of the workspace, typed: nobody dissolves one by a click too many."""

    name = StringField(
        _l("Workspace name"),
        filters=[tidy],
        render_kw={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"},
    )

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.wanted = workspace.name

    def validate_name(self, field: Field) -> None:
        if field.data != tidy(self.wanted):
            raise StopValidation(_("Type the name of the workspace exactly as it stands above"))
