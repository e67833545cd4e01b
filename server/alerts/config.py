"""[alerts] and [mail]: how alerts are told.

[alerts]
group_s = 5                 # what happens within so long goes into one message
interval_s = 60             # from one message to a receiver to the next
cooldown_s = 300            # default of rules: back so soon, the alert goes on, untold
rules = 1000                # at most
history_days = 0            # ended alerts are deleted after so long; 0: never

[mail]
host = "smtp.example.org"   # absent: no mail
port = 587                  # default 587, 465 for "tls", 25 for "none"
security = "starttls"       # or "tls", or "none" (then without a password)
user = "gateway"
password = "…"
sender = "gateway@example.org"
recipients = ["me@example.org"]     # who gets the alerts of rules that name no receiver
ca_file = "…"               # certificates of a server of one's own
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from server.config_section import Section, describe

MAIL_ADDRESS = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*$"
"""As browsers check `<input type=email>`: nothing in it can begin another header or command."""

_ADDRESS = re.compile(MAIL_ADDRESS)
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class AlertsConfig(msgspec.Struct, frozen=True):
    """Bounds and intervals."""

    group_s: float = 5.0
    interval_s: float = 60.0
    cooldown_s: float = 300.0
    rules: int = 1000
    history_days: int = 0


class MailConfig(msgspec.Struct, frozen=True):
    """The mail server; `host` None: there is none."""

    host: str | None = None
    port: int = 587
    security: str = "starttls"
    user: str | None = None
    password: str | None = None
    sender: str = ""
    recipients: tuple[str, ...] = ()
    ca_file: Path | None = None

    def __repr__(self) -> str:
        return f"MailConfig(host={self.host!r}, port={self.port}, security={self.security!r})"


def read_alerts(section: Section) -> AlertsConfig:
    """Read [alerts].

    Raises:
        ConfigError: a value is not right.
    """
    alerts = AlertsConfig(
        group_s=section.number("group_s", 5.0, minimum=0, maximum=3600),
        interval_s=section.number("interval_s", 60.0, minimum=0, maximum=86_400),
        cooldown_s=section.number("cooldown_s", 300.0, minimum=0, maximum=86_400),
        rules=section.integer("rules", 1000, minimum=1, maximum=100_000),
        history_days=section.integer("history_days", 0, minimum=0, maximum=36_500),
    )
    section.done()
    return alerts


def read_mail(section: Section) -> MailConfig:
    """Read [mail].

    Raises:
        ConfigError: a value is not right, or a password would go over the wire in the clear.
    """
    host = section.text("host", None)
    security = section.choice("security", ("starttls", "tls", "none"), "starttls")
    mail = MailConfig(
        host=host,
        port=section.integer("port", _PORTS[security], minimum=1, maximum=65_535),
        security=security,
        user=section.text("user", None),
        password=section.text("password", None),
        sender=section.text("sender", ""),
        recipients=_recipients(section),
        ca_file=_file(section, "ca_file"),
    )
    section.done()
    if host is None:
        if section.table:
            raise section.where.error("host", "the mail server's name", "none")
        return mail
    if not _ADDRESS.fullmatch(mail.sender):
        raise section.where.error("sender", "a mail address", describe(mail.sender))
    if (mail.user is None) != (mail.password is None):
        raise section.where.error("password", "user and password, or neither", "one of them")
    if mail.password is not None and security == "none":
        expected = 'no password without encryption ("starttls" or "tls")'
        raise section.where.error("security", expected, '"none"')
    return mail


def _recipients(section: Section) -> tuple[str, ...]:
    if isinstance(section.table.get("recipients"), str):
        section.has("recipients")
        texts = [text.strip() for text in section.table["recipients"].split(",")]
        recipients = tuple(filter(None, texts))
    else:
        recipients = section.texts("recipients", ())
    for number, text in enumerate(recipients):
        if not _ADDRESS.fullmatch(text):
            raise section.where.error(("recipients", number), "a mail address", describe(text))
    return recipients


def _file(section: Section, key: str) -> Path | None:
    text = section.text(key, None)
    if text is None:
        return None
    path = Path(text).expanduser()
    if not path.is_file():
        raise section.where.error(key, "a file", describe(text))
    return path
