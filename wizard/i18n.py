"""Languages: which one a request speaks, and its catalogue.

The catalogues are read from the ``.po`` files themselves at the first use in a language, so there is
no compile step to forget and nothing that can be older than what it was made from.
"""

import io
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, Response, has_request_context, request
from flask_babel import Babel, Domain, get_locale
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

LANGUAGES = {"en": "English", "zh": "简体中文"}
"""Code → own name. The first is the fallback; English is always offered (AWS asks for it)."""

COOKIE = "lang"
_ROOT = Path(__file__).resolve().parent.parent / "translations"


class PoDomain(Domain):
    """A Flask-Babel domain that reads ``translations/<locale>/LC_MESSAGES/<domain>.po`` without compiling."""

    def gettext(self, string: str, **variables: Any) -> str:
        return closed_up(super().gettext(string, **variables))

    def ngettext(self, singular: str, plural: str, num: int, **variables: Any) -> str:
        return closed_up(super().ngettext(singular, plural, num, **variables))

    def get_translations(self) -> NullTranslations:
        language = language_of(str(get_locale() or "en"))
        if language not in self.cache:
            self.cache[language] = load(language, self.domain[0])
        return self.cache[language]


_HAN = "[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
_GAP = re.compile(f"({_HAN}(?:</?[a-z][^<>]*>)*) (?=(?:</?[a-z][^<>]*>)*{_HAN})")


def closed_up(text: str) -> str:
    """No blank between two Chinese characters. A message leaves one around what is set into it, for there it may
    be a name in Latin letters; where it is Chinese too, the blank goes."""
    closed = _GAP.sub(r"\1", str(text))  # A blank less makes no markup of what was none.
    return Markup(closed) if isinstance(text, Markup) else closed  # noqa: S704


def load(language: str, domain: str) -> NullTranslations:
    """The catalogue of one domain in one language; an empty one where the file does not exist."""
    path = _ROOT / language / "LC_MESSAGES" / f"{domain}.po"
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as po:
        catalogue = read_po(po, locale=language, domain=domain)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled, domain=domain)


class PoBabel(Babel):
    """Flask-Babel whose default domain is a :class:`PoDomain`."""

    def __init__(self, domain: str = "messages") -> None:
        self._po_domain = PoDomain(domain=domain)
        super().__init__()

    @property
    def domain_instance(self) -> PoDomain:
        return self._po_domain


def _closing_up(translate: Any) -> Any:
    @pass_context
    def closing_up(context: Context, /, *args: Any, **variables: Any) -> str:
        return closed_up(translate(context, *args, **variables))

    return closing_up


def language_of(tag: str) -> str:
    """``zh-CN``, ``zh_Hans`` → ``zh``; anything unknown → ``en``."""
    code = tag.replace("_", "-").split("-")[0].lower()
    return code if code in LANGUAGES else "en"


def chosen_language() -> str:
    """The language of this request: ``?lang=``, then the cookie, then what the browser asks for."""
    if not has_request_context():
        return "en"
    for asked in (request.args.get("lang", ""), request.cookies.get(COOKIE, "")):
        if asked in LANGUAGES:
            return asked
    return language_of(request.accept_languages.best_match(["en", "zh", "zh-CN", "zh-Hans", "zh-TW"]) or "en")


def init_languages(app: Flask, babel: PoBabel) -> None:
    """Bind the catalogues to an app and remember a language asked for by ``?lang=`` in a cookie."""
    babel.init_app(app, locale_selector=chosen_language)
    # Templates set values into a message themselves.
    for name in ("gettext", "ngettext"):
        app.jinja_env.globals[name] = _closing_up(app.jinja_env.globals[name])

    @app.after_request
    def remember(response: Response) -> Response:
        asked = request.args.get("lang", "")
        if asked in LANGUAGES and asked != request.cookies.get(COOKIE):
            response.set_cookie(
                COOKIE, asked, max_age=365 * 86400, samesite="Lax", httponly=True, secure=request.is_secure
            )
        return response


def other_language(**more: str) -> tuple[str, str]:
    """``(url, name)`` of this same page in the other language; ``more`` is added to what its address asks for."""
    current = language_of(str(get_locale()))
    other = "zh" if current == "en" else "en"
    args = {k: v for k, v in request.args.items(multi=True) if k != "lang"} | more | {"lang": other}
    path = "/" + quote(request.script_root + request.path).lstrip("/")
    return f"{path}?{urlencode(args)}", LANGUAGES[other]
