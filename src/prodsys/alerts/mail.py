"""E-mail as it leaves: what it looks like, and what the mail server's answers mean.

A mail is promised once and may be carried twice when the server's last word was lost; its Message-ID is made of the promise, so that both
are the same mail to whoever receives it.
"""

import datetime as dt
import ssl
from collections.abc import Sequence
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from html import escape
from ipaddress import ip_address
from pathlib import Path

import aiosmtplib
import msgspec

from prodsys.alerts.model import Mail, News, Subject
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.outbox import Claimed, Dead
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.ids import new_id
from prodsys.kit.outbound import Later, Misconfigured, plain
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.settings import Settings

_read_mail = msgspec.json.Decoder(Mail).decode
_LOOK_AT = "Look at PRODSYS_SMTP_HOST, PRODSYS_SMTP_PORT and PRODSYS_SMTP_TLS."
_NOT_SET_UP = "No mail server is named here; set PRODSYS_SMTP_HOST and PRODSYS_MAIL_FROM."


class MailKind:
    """Mails as the courier carries them: to the mail server, and into the log only when one was not taken."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def deliver(self, promises: Sequence[Claimed], /) -> list[Outcome]:
        """Hand mails to the mail server over one connection."""
        mails = [(one.id, _read_mail(one.document)) for one in promises]
        return await send(self._settings, mails)

    def settle(self, tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]], /) -> None:
        """Log the mails nobody will get."""
        entries = [entry for claimed, outcome in ended if (entry := _failure(claimed, outcome)) is not None]
        if entries:
            tell(tx, *entries)


def _failure(claimed: Claimed, outcome: Outcome | Dead) -> Entry | None:
    match outcome:
        case Refused():
            code, why = "mail.refused", outcome.title
        case Dead():
            code, why = "mail.dead", "The mail server could not be reached before the deadline."
        case _:
            return None
    return Entry(
        code=code,
        message=f"A mail to {_read_mail(claimed.document).to} was not delivered: {why}",
        level="error",
        direction="out",
        subject=claimed.subject,
        trace_id=claimed.traceparent[3:35],
        actor="courier",
    )


def is_set_up(settings: Settings) -> bool:
    """Whether mail can be sent at all."""
    return trouble(settings) is None


def trouble(settings: Settings) -> Misconfigured | None:
    """What stands against sending mail with these settings; a connection without TLS never leaves this machine (product.md, E1)."""
    if not settings.smtp_host:
        return Misconfigured(reason="mail_not_set_up", detail=_NOT_SET_UP)
    if settings.smtp_tls == "none" and not _is_loopback(settings.smtp_host):
        return Misconfigured(reason="mail_not_safe", detail="PRODSYS_SMTP_TLS=none is for a mail server on this machine only.")
    if _sender(settings) is None:
        return Misconfigured(reason="mail_from_missing", detail="Set PRODSYS_MAIL_FROM to the address our mails come from.")
    return None


async def send_test(settings: Settings, company: str, to: str) -> Outcome:
    """Send one mail that says only that mail works."""
    news = News(id="test", subject=Subject.TROUBLE, at=now(), sentence=f"This is a test: mail from {company} reaches you.")
    mail = Mail(to=to, person="", title=plain(f"{company}: test mail", 160), news=[news])
    return (await send(settings, [(new_id("dl"), mail)]))[0]


async def send_at_once(settings: Settings, to: str, title: str, words: str) -> str:
    """Send one mail of plain words that is kept nowhere, because it holds a secret; what went wrong, empty when it was taken."""
    promise = new_id("dl")
    message = blank(to, title, promise, settings)
    if message is not None:
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(words)
    match (await post(settings, [(promise, to, message)]))[0]:
        case Placed():
            return ""
        case Refused() as refused:
            return refused.title
        case other:
            return other.detail


async def send(settings: Settings, mails: Sequence[tuple[str, Mail]]) -> list[Outcome]:
    """Send mails, each named by its promise; how each ended."""
    return await post(settings, [(promise, mail.to, written(mail, promise, settings)) for promise, mail in mails])


async def post(settings: Settings, mails: Sequence[tuple[str, str, EmailMessage | None]]) -> list[Outcome]:
    """Hand letters (promise, address, message) to the mail server over one connection; how each ended. None is one nobody could write."""
    if (wrong := trouble(settings)) is not None:
        return [wrong] * len(mails)
    outcomes: list[Outcome] = []
    try:
        async with _server(settings) as server:
            for promise, to, message in mails:
                outcomes.append(await _send_one(server, settings, promise, to, message))
                if isinstance(outcomes[-1], Later | Misconfigured) and not server.is_connected:
                    break
    except (aiosmtplib.SMTPException, OSError) as fault:
        if not outcomes:
            outcomes.append(_of_connection(fault, settings))
    # What was not tried shares the fate of the one before.
    return outcomes + [outcomes[-1]] * (len(mails) - len(outcomes))


def _server(settings: Settings) -> aiosmtplib.SMTP:
    tls = settings.smtp_tls
    password = settings.smtp_password
    if settings.smtp_password_file:
        password = Path(settings.smtp_password_file).read_text(encoding="utf-8").strip()
    context = None
    if tls != "none":
        context = ssl.create_default_context()
        if settings.ca_file:
            context.load_verify_locations(settings.ca_file)
    return aiosmtplib.SMTP(
        hostname=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_user or None,
        password=password or None,
        use_tls=tls == "tls",
        start_tls=tls == "starttls",
        tls_context=context,
        timeout=settings.delivery_timeout_seconds,
    )


async def _send_one(server: aiosmtplib.SMTP, settings: Settings, id: str, to: str, message: EmailMessage | None) -> Outcome:
    if message is None:
        return Refused(code="mail_address_invalid", title=f"{plain(to, 200)} is not an e-mail address.")
    try:
        await server.send_message(message, recipients=[to])
    except aiosmtplib.SMTPNotSupported:
        return Refused(code="mail_address_invalid", title="The mail server takes no addresses with letters outside ASCII.")
    except aiosmtplib.SMTPRecipientsRefused as refused:
        return _of_answer(refused.recipients[0])
    except aiosmtplib.SMTPSenderRefused as refused:
        return _of_sender(refused, settings)
    except aiosmtplib.SMTPResponseException as refused:
        return _of_answer(refused)
    except (aiosmtplib.SMTPException, OSError) as fault:
        return Later(reason="mail_unreachable", detail=f"The mail server broke off: {plain(str(fault), 200)}.", sent=True)
    return Placed(id=id, new=True)


def _of_answer(refused: aiosmtplib.SMTPResponseException) -> Outcome:
    said = f"{refused.code} {plain(refused.message, 300)}"
    if refused.code < 500:
        return Later(reason="mail_put_off", detail=f"The mail server asks us to try later: {said}")
    return Refused(code="mail_refused", title=f"The mail server said {said}", status=refused.code)


def _of_sender(refused: aiosmtplib.SMTPSenderRefused, settings: Settings) -> Outcome:
    said = f"{refused.code} {plain(refused.message, 300)}"
    if refused.code < 500:
        return Later(reason="mail_put_off", detail=f"The mail server asks us to try later: {said}")
    if refused.code == 530:
        return Misconfigured(reason="mail_sign_in", detail=f"The mail server wants us to sign in ({said}); set PRODSYS_SMTP_USER.")
    detail = f"The mail server does not take mail from {settings.mail_from} ({said}); correct PRODSYS_MAIL_FROM."
    return Misconfigured(reason="mail_sender_refused", detail=detail)


def _of_connection(fault: Exception, settings: Settings) -> Outcome:
    where = f"{settings.smtp_host}:{settings.smtp_port}"
    match fault:
        case aiosmtplib.SMTPAuthenticationError() if fault.code >= 500:
            said = f"{fault.code} {plain(fault.message, 200)}"
            detail = f"The mail server {where} does not let us sign in ({said}); correct PRODSYS_SMTP_USER and its password."
            return Misconfigured(reason="mail_sign_in", detail=detail)
        case FileNotFoundError() | PermissionError():
            return Misconfigured(reason="mail_password_file", detail="PRODSYS_SMTP_PASSWORD_FILE or PRODSYS_CA_FILE cannot be read.")
        case aiosmtplib.SMTPTimeoutError() | aiosmtplib.SMTPServerDisconnected() | aiosmtplib.SMTPConnectError() | OSError():
            return Later(reason="mail_unreachable", detail=f"The mail server {where} cannot be reached: {plain(str(fault), 200)}.")
        case aiosmtplib.SMTPResponseException() if fault.code < 500:
            return Later(reason="mail_put_off", detail=f"The mail server {where} asks us to try later: {fault.code}.")
        case _:
            return Misconfigured(reason="mail_server_odd", detail=f"The mail server {where} says: {plain(str(fault), 200)} {_LOOK_AT}")


def written(mail: Mail, id: str, settings: Settings) -> EmailMessage | None:
    """A mail as it leaves, in plain words and in simple HTML; None when it is addressed to, or comes from, what is no address."""
    message = blank(mail.to, mail.title, id, settings)
    if message is None:
        return None
    # So that nobody's out-of-office note answers us (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    base = settings.public_url.rstrip("/")
    message.set_content(_in_words(mail, base))
    message.add_alternative(_in_html(mail, base), subtype="html")
    return message


def blank(to: str, title: str, id: str, settings: Settings) -> EmailMessage | None:
    """A mail of ours without its words; None when it is addressed to, or comes from, what is no address."""
    sender, addressee = _sender(settings), address("", to)
    if sender is None or addressee is None:
        return None
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = sender
    message["To"] = addressee
    message["Subject"] = plain(title, 200)
    message["Date"] = format_datetime(now())
    message["Message-ID"] = f"<{id}@{sender.domain}>"
    return message


def _in_words(mail: Mail, base: str) -> str:
    parts = []
    for one in mail.news:
        lines = [f"{_told(one.at)}  {plain(one.sentence, 1_500)}"]
        if one.remedy:
            lines.append(f"What to do: {plain(one.remedy, 500)}")
        if base and one.path:
            lines.append(f"{base}{one.path}")
        parts.append("\n".join(lines))
    if mail.more:
        parts.append(f"And {mail.more} more; the integration logs list them all.")
    parts.append(_footer(base))
    return "\n\n".join(parts) + "\n"


def _in_html(mail: Mail, base: str) -> str:
    rows = []
    for one in mail.news:
        row = f"<p>{_told(one.at)}<br>{escape(plain(one.sentence, 1_500))}"
        if one.remedy:
            row += f"<br><b>What to do:</b> {escape(plain(one.remedy, 500))}"
        if base and one.path:
            row += f'<br><a href="{escape(base + one.path)}">Open it</a>'
        rows.append(f"{row}</p>")
    if mail.more:
        rows.append(f"<p>And {mail.more} more; the integration logs list them all.</p>")
    return f"<!doctype html><html><body>{''.join(rows)}<p><small>{escape(_footer(base))}</small></p></body></html>\n"


def _told(at: dt.datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _footer(base: str) -> str:
    where = f" at {base}" if base else ""
    return f"You get this because you subscribed to it{where}; under your own settings you choose what you hear of, and how often."


def _sender(settings: Settings) -> Address | None:
    if not settings.mail_from.isprintable():
        return None
    return address(*parseaddr(settings.mail_from))


def address(name: str, text: str) -> Address | None:
    """An address that can stand in a header and in an envelope; None for anything else, several of them included."""
    if not text.isprintable() or not all(text.rpartition("@")):
        return None
    try:
        return Address(display_name=name, addr_spec=text)
    except (ValueError, IndexError, MessageError):  # what its parser says to what is no address
        return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
