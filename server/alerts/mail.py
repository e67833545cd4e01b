"""Alerts by mail: SMTP with STARTTLS or TLS from the first byte, by aiosmtplib."""

from __future__ import annotations

import contextlib
import datetime
import ssl
from collections.abc import Sequence

from server.alerts.config import MailConfig
from server.alerts.messages import Message
from server.outbound.addresses import Door
from server.outbound.errors import OutboundError

TIMEOUT_S = 20.0


class MailRefused(OutboundError):  # noqa: N818 (named for what happened)
    """The server takes this message never."""


class Mailer:
    """Sends mail by one server.

    Args:
        config: has a host.
        door: the way out.
    """

    def __init__(self, config: MailConfig, door: Door) -> None:
        self._config = config
        self._door = door

    async def send(self, message: Message, recipients: Sequence[str]) -> None:
        """Send a message.

        Raises:
            MailRefused: for good: every recipient, or the sender, is refused.
            OutboundError: not now.
        """
        # The libraries of mail take 4 MB, which a gateway without alerts need not pay.
        from email.message import EmailMessage
        from email.utils import format_datetime

        import aiosmtplib

        config = self._config
        assert config.host is not None
        mail = EmailMessage()
        mail["From"] = config.sender
        mail["To"] = ", ".join(recipients)
        # A name may have a separator of lines in it that JSON does not know as one.
        mail["Subject"] = " ".join(message.subject.split())
        sent = datetime.datetime.fromtimestamp(message.sent_ns / 1e9, datetime.UTC)
        mail["Date"] = format_datetime(sent)
        # The same on each try: mail programs then show one.
        mail["Message-ID"] = f"<{message.id}@telerig.invalid>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        tls = self._context()
        # From here on the socket belongs to the client's transport.
        dialled = await self._door.dial(config.host, config.port)
        client = aiosmtplib.SMTP(
            hostname=config.host,
            sock=dialled,
            use_tls=config.security == "tls",
            start_tls=config.security == "starttls",
            username=config.user,
            password=config.password,
            tls_context=tls,
            timeout=TIMEOUT_S,
        )
        try:
            await client.connect()
            await client.send_message(mail)
            # It is taken; how the server says goodbye changes nothing of that.
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
        except aiosmtplib.SMTPRecipientsRefused as error:
            _raise(error, error.recipients[0].code if error.recipients else 0)
        except aiosmtplib.SMTPResponseException as error:
            _raise(error, error.code)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise OutboundError(_told(config, error)) from None
        finally:
            # Without a goodbye where the gateway ends meanwhile: nobody may answer it.
            client.close()

    def _context(self) -> ssl.SSLContext | None:
        if self._config.security == "none":
            return None
        try:
            return ssl.create_default_context(cafile=self._config.ca_file)
        except OSError as error:
            raise OutboundError(
                f"expected certificates in [mail] ca_file, got: {error.strerror or error}"
            ) from None


def _raise(error: Exception, code: int) -> None:
    """Raise what a server's refusal means: 5xx is for good, but not that of a login."""
    import aiosmtplib

    text = f"the mail server refuses: {' '.join(str(error).split())[:300]}"
    if 500 <= code < 600 and not isinstance(
        error, aiosmtplib.SMTPAuthenticationError | aiosmtplib.SMTPConnectResponseError
    ):
        raise MailRefused(text) from None
    raise OutboundError(text) from None


def _told(config: MailConfig, error: Exception) -> str:
    said = " ".join(str(error).split())[:300] or type(error).__name__
    return f"expected the mail server {config.host} port {config.port} to take it, got: {said}"
