"""How a verb says no to a person."""


class Refused(Exception):
    """A submit that could not be accepted. ``field`` names the form field it is about, None for the whole form.

    ``message`` is the sentence for the page; it says what to do.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
