"""Every knob and its default."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta


class SettingsFault(Exception):
    """A setting is misspelt or has a value it cannot have."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may set: `PRODSYS_<NAME>` in the environment over a TOML file named by `PRODSYS_CONFIG` over these defaults."""

    home: Annotated[str, Meta(description="Folder of the database, the vault's key and the lock.")] = "./prodsys-data"
    database_url: Annotated[str, Meta(description="Empty: SQLite in `home`; or postgresql://…")] = ""
    public_url: Annotated[str, Meta(description="How partners reach this instance; https, except on loopback.")] = ""
    vault_key_file: Annotated[str, Meta(description="The vault's key kept outside `home`, as by a systemd credential.")] = ""
    allowed_networks: Annotated[str, Meta(description="Comma-separated networks an admin's address may lie in although private.")] = ""
    erp_folders: Annotated[str, Meta(description="Comma-separated folders in which connections of kind files may read and write.")] = ""
    trusted_proxies: Annotated[str, Meta(description="Comma-separated addresses whose X-Forwarded-* are believed.")] = ""
    ca_file: Annotated[str, Meta(description="More certificate authorities to trust for outgoing calls, PEM.")] = ""
    run_courier: Annotated[bool, Meta(description="Whether this process delivers what is promised.")] = True
    delivery_timeout_seconds: Annotated[float, Meta(gt=0, le=120, description="How long one call to a partner may take.")] = 30.0
    undo_seconds: Annotated[int, Meta(ge=0, le=3600, description="How long an answer can be taken back before the buyer sees it.")] = 10
    give_up_after_days: Annotated[int, Meta(ge=1, le=90, description="How long an undeliverable promise is tried.")] = 7
    answers_every_seconds: Annotated[int, Meta(ge=1, description="How often partners are asked for answers.")] = 60
    alerts_every_seconds: Annotated[int, Meta(ge=1, description="How often the logs are read for what people want to hear.")] = 10
    smtp_host: Annotated[str, Meta(description="The mail server; empty: no mail is sent.")] = ""
    smtp_port: Annotated[int, Meta(ge=1, le=65_535, description="587 with starttls, 465 with tls.")] = 587
    smtp_user: Annotated[str, Meta(description="Empty: no sign-in.")] = ""
    smtp_password: Annotated[str, Meta(description="Better in smtp_password_file.")] = ""
    smtp_password_file: Annotated[str, Meta(description="A file with the password, as a systemd credential, instead of it.")] = ""
    smtp_tls: Annotated[str, Meta(pattern="^(starttls|tls|none)$", description="none only for a mail server on this machine.")] = "starttls"
    mail_from: Annotated[str, Meta(description="Whom our mails come from, as ProdSys <prodsys@fjord.example>.")] = ""
    time_zone: Annotated[str, Meta(description="Zone of the times on pages, as Europe/Oslo; empty: this machine's own.")] = ""
    contacts_every_seconds: Annotated[int, Meta(ge=60, description="How often cards are compared with suppliers.")] = 86_400
    catalogue_every_seconds: Annotated[int, Meta(ge=60, description="How often suppliers' catalogues are read on.")] = 3_600
    session_idle_minutes: Annotated[int, Meta(ge=5, description="How long a browser may rest before its person signs in again.")] = 120
    session_hours: Annotated[int, Meta(ge=1, le=720, description="How long a browser stays signed in at most.")] = 12
    token_days: Annotated[int, Meta(ge=1, le=730, description="The longest life of a token; shorter ones are made as before.")] = 730
    requests_a_minute: Annotated[int, Meta(ge=1, description="Per token.")] = 600_000
    database_threads: Annotated[int, Meta(ge=1, le=64, description="PostgreSQL connections of this process.")] = 8
    log_bodies_days: Annotated[int, Meta(ge=0, description="How long the log keeps the documents that were exchanged.")] = 14
    log_days: Annotated[int, Meta(ge=1, description="How long the log keeps its entries.")] = 90
    log_level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$", description="What the process writes to stderr.")] = "info"
    access_log: Annotated[bool, Meta(description="A line on stderr for every request.")] = True
    security_contact: Annotated[str, Meta(description="Whom to tell of a weakness; stands in security.txt.")] = "mailto:security@localhost"

    @property
    def url(self) -> str:
        """The database this instance lives in."""
        return self.database_url or f"sqlite:///{Path(self.home).absolute() / 'prodsys.db'}"


def is_safe_url(url: str) -> bool:
    """Whether secrets may travel to this address: https, or http that stays on this machine (product.md, E1)."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"})


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; raises SettingsFault with the name of a misspelt one."""
    given = {name[8:].lower(): value for name, value in environment.items() if name.startswith("PRODSYS_")}
    file = given.pop("config", "")
    values: dict[str, Any] = {}
    if file:
        try:
            values = msgspec.toml.decode(Path(file).read_bytes())
        except (OSError, msgspec.DecodeError) as fault:
            raise SettingsFault(f"PRODSYS_CONFIG {file}: {fault}") from None
    try:
        return msgspec.convert(values | given, Settings, strict=False)
    except msgspec.ValidationError as fault:
        raise SettingsFault(f"A setting cannot be used: {fault}. Settings are PRODSYS_<NAME>; `prodsys config show` lists them.") from None
