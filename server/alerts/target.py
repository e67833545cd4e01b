"""Who is told of alerts: a name, and where messages for it go."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from server.alerts.config import MAIL_ADDRESS
from server.alerts.rule import TargetName
from server.answers import BadParameter
from server.outbound.http import BadUrl, parse_url

BUILT_IN = "mail"
"""The receiver that [mail] recipients makes."""

_Address = Annotated[str, Meta(max_length=254, pattern=MAIL_ADDRESS)]
_Url = Annotated[str, Meta(min_length=8, max_length=2000, pattern=r"^https?://")]


class Target(msgspec.Struct, frozen=True):
    """A receiver.

    Attributes:
        kind: "mail" or "webhook".
        places: mail addresses, or one URL.
        secret: key of a webhook's signature; never shown again after it was made.
    """

    name: str
    kind: str
    places: tuple[str, ...]
    secret: str = ""
    made_ns: int = 0
    made_by: str = "configuration"

    def __repr__(self) -> str:
        return f"Target(name={self.name!r}, kind={self.kind!r})"


class TargetBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A receiver as users order it: addresses, or the URL of a webhook."""

    name: TargetName
    mail: Annotated[list[_Address], Meta(min_length=1, max_length=20)] | None = None
    webhook: _Url | None = None


def checked_target(body: TargetBody, has_mail: bool) -> tuple[str, tuple[str, ...]]:
    """Give kind and places.

    Raises:
        BadParameter: neither or both, a URL that is none, or mail without a mail server.
    """
    if (body.mail is None) == (body.webhook is None):
        found = "none" if body.mail is None else "both"
        raise BadParameter("webhook", "one of mail and webhook", found)
    if body.mail is not None:
        if not has_mail:
            raise BadParameter("mail", "a mail server in [mail] host", "none")
        return "mail", tuple(body.mail)
    assert body.webhook is not None
    try:
        parse_url(body.webhook)
    except BadUrl as error:
        raise BadParameter("webhook", "a URL", str(error)) from None
    return "webhook", (body.webhook,)
