"""Names, addresses and cards as they are compared, however somebody spells them."""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

from prodsys.contacts.model import Keys
from prodsys.contacts.numbers import gln_key, organisation_in, organisation_key, vat_key
from prodsys.documents import Address, Party

_ONE_WORD_FORMS = frozenset(
    (
        *("as", "asa", "ans", "da", "enk", "nuf", "ba", "sa", "sf", "ks", "iks", "aksjeselskap", "allmennaksjeselskap"),  # Norway
        *("aps", "ivs", "is", "ps", "amba", "fmba", "aktieselskab"),  # Denmark
        *("ab", "hb", "kb", "publ", "aktiebolag", "handelsbolag", "kommanditbolag"),  # Sweden
        *("oy", "oyj", "ky", "osakeyhtiö"),  # Finland
        *("gmbh", "mbh", "gesmbh", "ag", "kg", "kgaa", "ug", "ohg", "gbr", "ek", "eg", "ev", "haftungsbeschränkt"),  # Germany, Austria
        *("spzoo", "sj", "spj", "spk", "spp", "spka", "psa"),  # Poland
        *("ltd", "limited", "llc", "llp", "plc", "inc", "incorporated", "corp", "corporation", "co"),
        *("bv", "nv", "vof", "bvba", "sarl", "sas", "sasu"),  # the Netherlands, Belgium, France
        *("srl", "spa", "sl", "slu", "lda", "se", "ood", "eood", "doo", "zrt", "kft", "sro"),
    )
)
_MANY_WORD_FORMS = (
    ("spółka", "z", "ograniczoną", "odpowiedzialnością"),
    ("sp", "z", "o", "o"),
    ("sp", "z", "oo"),
    ("spółka", "akcyjna"),
    ("spółka", "jawna"),
    ("sp", "j"),
    ("sp", "k"),
    ("s", "r", "o"),
)
_FORMS_IN_FRONT = frozenset({"as", "asa", "ab", "oy", "aktieselskabet", "aktieselskapet", "firma"})
_INITIALS = re.compile(r"(?<!\w)(?:\w[./])+\w?(?!\w)")
_APOSTROPHE = re.compile("['’`´]")
_NOT_A_WORD = re.compile(r"[\W_]+")

_STREET_PARTS = re.compile(r"[^\W\d_]+\.?|\d+")
_STREET_ENDS = (
    (re.compile(r"(.*?)(?:veien|vegen|vejen|vägen|vei|veg|vej|väg|vn)"), "vei"),
    (re.compile(r"(.*?)(?:gaten|gatan|gaden|gata|gate|gade|gt)"), "gate"),
    (re.compile(r"(.*?)(?:strasse|str)"), "str"),
    (re.compile(r"(.*?)(?:plassen|plass)"), "plass"),
)
_STREET_WORDS = {"street": "street", "st": "street", "road": "road", "rd": "road", "avenue": "avenue", "ave": "avenue"}
_STREET_FRONTS = {"al": "al", "aleja": "al", "aleje": "al", "pl": "pl", "plac": "pl", "os": "os", "osiedle": "os"}
_POSTCODE_COUNTRY = re.compile(r"^[a-z]{1,3}[-\s]+(?=\d)")


def folded(text: str) -> str:
    """A text as searches see it: no case, no punctuation, one blank between words."""
    return " ".join(_words(text))


@lru_cache(maxsize=8192)
def name_key(name: str) -> str:
    """A company's name without case, punctuation and legal form; a name that is nothing else keeps its form.

    Empty only for a blank name.
    """
    words = _words(name)
    while len(words) > 1 and (form := _form_at_the_end(words)):
        words = words[: -form if form < len(words) else -form + 1]
    while len(words) > 1 and words[0] in _FORMS_IN_FRONT:
        words = words[1:]
    return " ".join(words) or unicodedata.normalize("NFKC", name).casefold().strip()


def address_key(address: Address) -> str:
    """Street, house number and postcode as they are compared; empty unless there is a street and a postcode or city."""
    return _address_key(address.street, address.house_number, address.postcode, address.city)


def email_key(email: str) -> str:
    """An e-mail address as it is compared."""
    return unicodedata.normalize("NFC", email).strip().casefold()


def keys_of(card: Party) -> Keys:
    """Everything a card is recognised by. Where the VAT number holds the organisation number (NO, DK, SE, FI), it is known too."""
    vat_number = vat_key(card.vat_number, card.address.country) if card.vat_number else ""
    return Keys(
        name=name_key(card.name),
        address=address_key(card.address),
        organisation_number=organisation_key(card.organisation_number) or organisation_in(vat_number),
        vat_number=vat_number,
        gln=gln_key(card.gln) if card.gln else "",
        email=email_key(card.email) if card.email else "",
        persons=persons_of(card),
    )


def persons_of(card: Party) -> frozenset[str]:
    """The names of the card's contact persons as they are compared."""
    return frozenset(folded(person.name) for person in card.persons) if card.persons else frozenset()


def _words(text: str) -> list[str]:
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    text = _APOSTROPHE.sub("", text)
    text = _INITIALS.sub(lambda found: found[0].replace(".", "").replace("/", ""), text)
    return _NOT_A_WORD.sub(" ", text).split()


def _form_at_the_end(words: list[str]) -> int:
    """How many words at the end are a legal form."""
    for form in _MANY_WORD_FORMS:
        if len(form) <= len(words) and tuple(words[-len(form) :]) == form:
            return len(form)
    return 1 if words[-1] in _ONE_WORD_FORMS else 0


@lru_cache(maxsize=8192)
def _address_key(street: str, house_number: str, postcode: str, city: str) -> str:
    parts = _street_parts(street)
    number = _street_parts(house_number)
    # Some write the number into the street and repeat it in its own field.
    if number and parts[-len(number) :] != number:
        parts += number
    place = _NOT_A_WORD.sub("", _POSTCODE_COUNTRY.sub("", unicodedata.normalize("NFKC", postcode).casefold().strip())) or folded(city)
    if not parts or not place:
        return ""
    joined = parts[0]
    for before, part in pairwise(parts):
        joined += f"-{part}" if before.isdecimal() and part.isdecimal() else part
    return f"{joined}|{place}"


def _street_parts(text: str) -> list[str]:
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    parts = _STREET_PARTS.findall(text)
    if len(parts) > 1 and parts[0].rstrip(".") in ("ul", "ulica"):
        parts = parts[1:]
    return [_street_part(part, is_first=place == 0) for place, part in enumerate(parts)]


def _street_part(part: str, *, is_first: bool) -> str:
    word = part.rstrip(".")
    if is_first and word in _STREET_FRONTS:
        return _STREET_FRONTS[word]
    if not is_first and word in _STREET_WORDS:
        return _STREET_WORDS[word]
    if word != part and len(word) > 3 and word[-1] in "vg":
        return f"{word[:-1]}{'vei' if word[-1] == 'v' else 'gate'}"
    for ending, spelled in _STREET_ENDS:
        if found := ending.fullmatch(word):
            return f"{found[1]}{spelled}"
    return word
