"""Letters by which people choose their password: an invitation, or a way back in."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from prodsys import errors
from prodsys.kit.db import Database, Tx
from prodsys.kit.journal import log
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.settings import is_safe_url
from prodsys.users import inviting, model, store
from prodsys.users.model import Code

_MOST_AT_ONCE = 100


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A mail to one person. It holds a secret, so it is sent at once and kept nowhere."""

    to: str
    title: str
    words: str


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """How a link reached its person: by mail, or not at all; then whoever made it hands over `link`, and `trouble` says why."""

    link: str
    is_mailed: bool
    trouble: str = ""


Send = Callable[[Letter], Awaitable[str]]
"""Hand a letter to the mail server; what went wrong, empty when it was taken."""

_WORDS = {
    ("invitation", "en"): (
        "Your account at {company}",
        (
            "Hello {name},\n\nyou have been given an account at {company}. Choose your password here:\n\n{link}\n\n"
            "The link is good for 24 hours and for one use.\n"
        ),
    ),
    ("invitation", "nb"): (
        "Din konto hos {company}",
        (
            "Hei {name},\n\ndu har fått en konto hos {company}. Velg passord her:\n\n{link}\n\n"
            "Lenken gjelder i 24 timer og kan brukes én gang.\n"
        ),
    ),
    ("invitation", "de"): (
        "Ihr Konto bei {company}",
        (
            "Guten Tag {name},\n\nfür Sie wurde ein Konto bei {company} angelegt. Wählen Sie hier Ihr Passwort:\n\n{link}\n\n"
            "Der Link gilt 24 Stunden und kann einmal verwendet werden.\n"
        ),
    ),
    ("invitation", "pl"): (
        "Twoje konto w {company}",
        (
            "Dzień dobry {name},\n\nutworzono dla Ciebie konto w {company}. Ustaw hasło tutaj:\n\n{link}\n\n"
            "Link jest ważny 24 godziny i można go użyć jeden raz.\n"
        ),
    ),
    ("reset", "en"): (
        "A new password at {company}",
        (
            "Hello {name},\n\nsomebody, probably you, asked for a new password at {company}. Choose it here:\n\n{link}\n\n"
            "The link is good for one hour and for one use. If it was not you, do nothing: your password stays as it is.\n"
        ),
    ),
    ("reset", "nb"): (
        "Nytt passord hos {company}",
        (
            "Hei {name},\n\nnoen, trolig du, har bedt om nytt passord hos {company}. Velg det her:\n\n{link}\n\n"
            "Lenken gjelder i én time og kan brukes én gang. "
            "Var det ikke deg, trenger du ikke å gjøre noe: passordet ditt forblir som det er.\n"
        ),
    ),
    ("reset", "de"): (
        "Ein neues Passwort bei {company}",
        (
            "Guten Tag {name},\n\njemand, vermutlich Sie, hat ein neues Passwort bei {company} angefordert. "
            "Wählen Sie es hier:\n\n{link}\n\n"
            "Der Link gilt eine Stunde und kann einmal verwendet werden. Waren Sie es nicht, brauchen Sie nichts zu tun: "
            "Ihr Passwort bleibt, wie es ist.\n"
        ),
    ),
    ("reset", "pl"): (
        "Nowe hasło w {company}",
        (
            "Dzień dobry {name},\n\nktoś, prawdopodobnie Ty, poprosił o nowe hasło w {company}. Ustaw je tutaj:\n\n{link}\n\n"
            "Link jest ważny godzinę i można go użyć jeden raz. Jeśli to nie Ty, nic nie rób: hasło pozostaje bez zmian.\n"
        ),
    ),
}


class Letters:
    """Sends the links. One for each app; `send` is None while no mail server is named."""

    def __init__(self, db: Database, public_url: str, send: Send | None, company: Callable[[Tx], str]) -> None:
        self._db = db
        self._public_url = public_url
        self._send = send
        self._company = company
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def can_mail(self) -> bool:
        """Whether links go by mail: a mail server and a safe public address are set."""
        return self._send is not None and is_safe_url(self._public_url)

    async def hand_over(self, code: Code) -> Sent:
        """Mail a link to the person it is for. When that cannot be, the link is told to whoever asks here, once."""
        link = model.link_of(self._public_url, code.kind, code.code)
        if code.user is None or self._send is None or not self.can_mail:
            return Sent(link=link, is_mailed=False, trouble="" if self._public_url else "PRODSYS_PUBLIC_URL is not set.")
        company = await self._db.read(self._company)
        trouble = await self._send(written(code, link, company))
        if trouble:
            await self._db.write(tell, _lost(code, trouble))
        return Sent(link="" if not trouble else link, is_mailed=not trouble, trouble=trouble)

    def ask_reset(self, email: str, address: str) -> None:
        """Send a person a link to choose a new password, if there is such a person. It is done afterwards, so that nobody can tell.

        Raises Invalid for what is no e-mail address, TooManyRequests while a hundred are under way.
        """
        key = model.email_key(email)
        if len(self._under_way) >= _MOST_AT_ONCE:
            raise errors.TooManyRequests(headers={"Retry-After": "5"})
        task = asyncio.get_running_loop().create_task(self._reset(key, address))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def settle(self) -> None:
        """Wait until everything that was asked for is done."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def close(self) -> None:
        """Finish what can be finished in three seconds, and let the rest go."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=3)
            for task in late:
                task.cancel()

    async def _reset(self, email: str, address: str) -> None:
        try:
            if not self.can_mail:
                await self._db.write(_note_unmailed, email, address)
                return
            code = await self._db.write(inviting.ask_reset, email, address)
            if code is not None:
                await self.hand_over(code)
        except errors.Refusal as refusal:
            log.warning("reset_not_sent", reason=refusal.code)


def written(code: Code, link: str, company: str) -> Letter:
    """The letter with a link, in its person's language, or else in English."""
    user = code.user
    assert user is not None  # noqa: S101 - nobody writes to nobody
    title, words = _WORDS[code.kind, user.language or "en"]
    told = {"company": company or "ProdSys Exchange", "name": user.name, "link": link}
    return Letter(to=user.email, title=title.format(**told), words=words.format(**told))


def _note_unmailed(tx: Tx, email: str, address: str) -> None:
    person = store.people.by_email(tx, email)
    if person is None:
        return
    message = (
        f"Somebody at {address or 'an unknown address'} asked for a new password of {email}, and no mail can be sent from here: "
        f"`prodsys user reset {email} --link` makes a link to hand over."
    )
    tell(tx, Entry(code="user.reset_unmailed", message=message, level="warning", subject=person.id))


def _lost(code: Code, trouble: str) -> Entry:
    assert code.user is not None  # noqa: S101 - it was written to
    message = f"A mail to {code.user.email} with a link to choose a password was not delivered: {trouble}"
    return Entry(code="user.letter_lost", message=message, level="error", direction="out", subject=code.user.id)
