"""A real mail server on this machine, that keeps what it is given and refuses what it is told to."""

import asyncio
import contextlib
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from prodsys.settings import Settings
from tests.ports import a_free_port

USER, PASSWORD = "prodsys", "a mail password"


class Mailbox:
    """What arrived, oldest first, and how the server answers."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.says_to: dict[str, str] = {}
        self.says_at_end = "250 OK"
        self.says_to_sender = "250 OK"
        self.port = 0

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        if self.says_to_sender.startswith("250"):
            envelope.mail_from = address
        return self.says_to_sender

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        answer = self.says_to.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.says_at_end.startswith("250"):
            mail = BytesParser(EmailMessage, policy=default).parsebytes(envelope.content)
            self.mails.append(mail)
            self.recipients.append(list(envelope.rcpt_tos))
        return self.says_at_end

    def settings(self, **more: Any) -> Settings:
        """Settings that lead to this server."""
        return Settings(**self.knobs() | {"public_url": "https://fjord.example"} | more)

    def knobs(self) -> dict[str, Any]:
        """The same as they are set."""
        return {"smtp_host": "127.0.0.1", "smtp_port": self.port, "smtp_tls": "none", "mail_from": "ProdSys <prodsys@fjord.example>"}

    def to(self, address: str) -> list[EmailMessage]:
        """What somebody got."""
        return [mail for mail, names in zip(self.mails, self.recipients, strict=True) if address in names]


def words(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


class _Server(Controller):
    """Hangs up on who is still on the line when it stops; what aiosmtpd leaves open is found, and blamed on another test, much later."""

    def __init__(self, *given: Any, **more: Any) -> None:
        self._talks: list[SMTP] = []
        super().__init__(*given, **more)

    def factory(self) -> SMTP:
        talk: SMTP = super().factory()
        self._talks.append(talk)
        return talk

    def stop(self, no_assert: bool = False) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result(10)
        super().stop(no_assert)

    async def _hang_up(self) -> None:
        # A few times round the loop: who has just called is let in before he can be let go.
        for _ in range(10):
            for talk in self._talks:
                if isinstance(talk.transport, asyncio.Transport):
                    talk.transport.abort()
            await asyncio.sleep(0)


@contextlib.contextmanager
def mail_server(*, asks_for_password: bool = False, **more: Any) -> Iterator[Mailbox]:
    """A mail server that runs until the block ends."""
    box = Mailbox()
    box.port = a_free_port()

    def authenticator(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        fits = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=fits, handled=False)

    if asks_for_password:
        more |= {"authenticator": authenticator, "auth_required": True, "auth_require_tls": False}
    server = _Server(box, hostname="127.0.0.1", port=box.port, **more)
    server.start()
    try:
        yield box
    finally:
        server.stop()
