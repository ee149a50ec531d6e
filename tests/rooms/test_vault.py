"""Secrets that must be used again, and who never sees them."""

import copy
import json
import pickle
import stat
from pathlib import Path

import msgspec
import pytest
from cryptography.fernet import Fernet

from prodsys.kit import vault
from prodsys.kit.vault import MASK, BadKeyFile, Secret, Vault, VaultLocked, WeakPassphrase, WrongPassphrase

PASSPHRASE = "blåbær på hylla"


def a_vault() -> Vault:
    return Vault.from_text(Fernet.generate_key().decode())


def test_what_is_sealed_opens_again_and_cannot_be_read_meanwhile() -> None:
    ours = a_vault()

    sealed = ours.seal("pst_hemmelig Ærlig 🔑")

    assert "hemmelig" not in sealed
    assert ours.unseal(sealed) == "pst_hemmelig Ærlig 🔑"


def test_the_same_secret_never_looks_the_same_twice() -> None:
    ours = a_vault()

    assert ours.seal("x") != ours.seal("x")


@pytest.mark.parametrize(
    "damage",
    [lambda text: text[:-4] + "AAA=", lambda text: "", lambda text: "rubbish", lambda text: "ø" * 40],
    ids=["altered", "empty", "rubbish", "not ascii"],
)
def test_what_was_altered_stays_locked_with_a_sentence(damage) -> None:
    ours = a_vault()

    with pytest.raises(VaultLocked, match="put its key file back") as refusal:
        ours.unseal(damage(ours.seal("hemmelig")))

    assert "hemmelig" not in str(refusal.value)


def test_another_vaults_secret_stays_locked() -> None:
    sealed = a_vault().seal("x")

    with pytest.raises(VaultLocked):
        a_vault().unseal(sealed)


def test_the_first_start_makes_a_key_only_its_owner_can_read(tmp_path: Path) -> None:
    file = tmp_path / "vault.key"

    sealed = Vault.create(file).seal("x")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Vault.open(file).unseal(sealed) == "x"
    assert list(tmp_path.iterdir()) == [file]


def test_two_first_starts_agree_on_one_key(tmp_path: Path) -> None:
    file = tmp_path / "vault.key"

    first, second = Vault.create(file), Vault.create(file)

    assert second.unseal(first.seal("x")) == "x"


def test_an_existing_key_file_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "vault.key"
    Vault.create(file)
    before = file.read_bytes()

    with pytest.raises(FileExistsError):
        a_vault().save(file)

    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_missing_key_file_is_not_made_by_opening_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Vault.open(tmp_path / "vault.key")


@pytest.mark.parametrize("text", ["", "\n\n", "# only a remark\n", "not-a-key", "s3cret-but-short=", f"{'A' * 43}=\nnot-a-key\n", "ø" * 44])
def test_a_damaged_key_file_is_named_without_showing_it(text: str) -> None:
    with pytest.raises(BadKeyFile, match="restore it from a backup") as refusal:
        Vault.from_text(text)

    assert "s3cret" not in str(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_keys_may_come_as_text_with_remarks() -> None:
    key = Fernet.generate_key().decode()
    sealed = Vault.from_text(key).seal("x")

    assert Vault.from_text(f"# made 2026-11-21\r\n\r\n  {key}  \r\n").unseal(sealed) == "x"


def test_a_new_key_seals_while_the_old_one_still_opens(tmp_path: Path) -> None:
    file = tmp_path / "vault.key"
    old_seal = Vault.create(file).seal("x")

    ours = Vault.rotate(file)

    assert ours.unseal(old_seal) == "x"
    assert not ours.is_current(old_seal)
    assert ours.is_current(ours.seal("y"))
    assert Vault.open(file).unseal(ours.seal("z")) == "z"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_old_keys_are_retired_once_everything_is_sealed_anew(tmp_path: Path) -> None:
    file = tmp_path / "vault.key"
    old_seal = Vault.create(file).seal("x")
    new_seal = Vault.rotate(file).reseal(old_seal)

    newest = Vault.retire(file)

    assert newest.unseal(new_seal) == "x"
    assert len(file.read_text().splitlines()) == 1
    with pytest.raises(VaultLocked):
        newest.unseal(old_seal)
    with pytest.raises(VaultLocked):
        newest.reseal(old_seal)


def test_keys_travel_in_a_backup_under_a_passphrase(tmp_path: Path) -> None:
    ours = Vault.create(tmp_path / "vault.key")
    old_seal = ours.seal("x")

    wrapped = Vault.rotate(tmp_path / "vault.key").wrap_key(PASSPHRASE)
    # The same words as a Mac's keyboard composes them.
    theirs = Vault.unwrap(wrapped + b"\n", PASSPHRASE.replace("å", "a\u030a"))
    theirs.save(tmp_path / "restored.key")

    assert Vault.open(tmp_path / "restored.key").unseal(old_seal) == "x"
    assert not any(line.encode() in wrapped for line in (tmp_path / "vault.key").read_text().splitlines())


def test_the_wrong_passphrase_opens_nothing() -> None:
    wrapped = a_vault().wrap_key(PASSPHRASE)

    with pytest.raises(WrongPassphrase, match="does not open the keys"):
        Vault.unwrap(wrapped, PASSPHRASE + " ")


def test_a_short_passphrase_protects_nothing() -> None:
    with pytest.raises(WeakPassphrase, match="at least 12"):
        a_vault().wrap_key("kort")


@pytest.mark.parametrize("wrapped", [b"", b"prodsys-key-1:", b"prodsys-key-2:AAAAAAAAAAAAAAAAAAAAAA==:x", b"prodsys-key-1:short:x"])
def test_what_was_not_wrapped_here_is_not_opened(wrapped: bytes) -> None:
    with pytest.raises(BadKeyFile, match="not keys wrapped by this program"):
        Vault.unwrap(wrapped, PASSPHRASE)


def test_a_vault_does_not_show_its_keys() -> None:
    key = Fernet.generate_key().decode()

    assert key not in repr(Vault.from_text(key))


class Config(msgspec.Struct, frozen=True, kw_only=True):
    base_url: str
    api_key: Secret


def test_a_secret_shows_a_mask_wherever_it_is_written() -> None:
    config = Config(base_url="https://erp.example", api_key=Secret("hemmelig"))

    shown = [repr(config), str(config.api_key), f"{config.api_key}", "%s" % config.api_key, f"{config.api_key!r:>20}"]  # noqa: UP031

    assert not any("hemmelig" in text for text in shown)
    assert config.api_key.reveal() == "hemmelig"


def test_a_secret_is_not_encoded_by_accident() -> None:
    config = Config(base_url="https://erp.example", api_key=Secret("hemmelig"))

    with pytest.raises(TypeError):
        msgspec.json.encode(config)
    with pytest.raises(TypeError):
        json.dumps({"a": config.api_key})
    with pytest.raises(TypeError):
        pickle.dumps(config.api_key)


def test_a_form_with_secrets_survives_the_vault() -> None:
    ours, config = a_vault(), Config(base_url="https://erp.example", api_key=Secret("hemmelig"))

    sealed = ours.seal(msgspec.json.encode(config, enc_hook=vault.revealed).decode())

    assert msgspec.json.decode(ours.unseal(sealed), type=Config, dec_hook=vault.read_secret) == config


@pytest.mark.parametrize("sent", [MASK, 5, None])
def test_a_mask_that_comes_back_is_not_taken_for_the_secret(sent: object) -> None:
    body = json.dumps({"base_url": "", "api_key": sent})

    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.json.decode(body, type=Config, dec_hook=vault.read_secret)

    assert "api_key" in str(refusal.value)


def test_secrets_are_compared_by_what_they_hold() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert (bool(Secret("")), bool(Secret("a"))) == (False, True)
    assert copy.deepcopy([Secret("a")]) == [Secret("a")]
