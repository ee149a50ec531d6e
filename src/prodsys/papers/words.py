"""The words, numbers and dates of a paper in the language of whoever reads it."""

import datetime as dt
from decimal import Decimal
from typing import Literal

from prodsys.documents import canonical

Language = Literal["en", "nb", "de", "pl"]

_LANGUAGE_OF = {"NO": "nb", "DE": "de", "AT": "de", "CH": "de", "LI": "de", "PL": "pl"}
_MARKS = {"en": (",", "."), "nb": ("\u00a0", ","), "de": (".", ","), "pl": ("\u00a0", ",")}

_LANGUAGES: tuple[Language, ...] = ("en", "nb", "de", "pl")
_WORDS = {
    "title": ("Purchase order", "Innkjøpsordre", "Bestellung", "Zamówienie"),
    "number": ("Order number", "Ordrenummer", "Bestellnummer", "Numer zamówienia"),
    "revision": ("Revision", "Revisjon", "Revision", "Wersja"),
    "date": ("Date", "Dato", "Datum", "Data"),
    "requested": ("Requested delivery", "Ønsket levering", "Liefertermin", "Termin dostawy"),
    "your_quote": ("Your quotation", "Deres tilbud", "Ihr Angebot", "Oferta"),
    "our_reference": ("Our reference", "Vår referanse", "Unser Zeichen", "Nasz znak"),
    "contact": ("Contact", "Kontakt", "Ansprechpartner", "Kontakt"),
    "payment": ("Payment", "Betaling", "Zahlung", "Płatność"),
    "days": ("{days} days net", "{days} dager netto", "{days} Tage netto", "{days} dni netto"),
    "delivery": ("Delivery terms", "Leveringsbetingelser", "Lieferbedingung", "Warunki dostawy"),
    "supplier": ("Supplier", "Leverandør", "Lieferant", "Dostawca"),
    "deliver_to": ("Deliver to", "Leveres til", "Lieferanschrift", "Adres dostawy"),
    "organisation_number": ("Org. no.", "Org.nr.", "Reg.-Nr.", "Nr rej."),
    "vat_number": ("VAT no.", "Mva-nr.", "USt-IdNr.", "NIP/VAT"),
    "line": ("Line", "Linje", "Pos.", "Poz."),
    "article": ("Article", "Artikkel", "Artikel", "Artykuł"),
    "description": ("Description", "Beskrivelse", "Bezeichnung", "Opis"),
    "quantity": ("Quantity", "Antall", "Menge", "Ilość"),
    "unit": ("Unit", "Enhet", "Einheit", "J.m."),
    "price": ("Unit price", "Pris", "Preis", "Cena"),
    "discount": ("Disc. %", "Rab. %", "Rab. %", "Rab. %"),
    "net": ("Amount", "Beløp", "Betrag", "Wartość"),
    "our_article": ("Our number", "Vårt nummer", "Unsere Nummer", "Nasz numer"),
    "lines_sum": ("Sum of lines", "Sum linjer", "Summe der Positionen", "Suma pozycji"),
    "total": ("Total excl. VAT", "Totalt ekskl. mva.", "Gesamt ohne USt.", "Razem netto"),
    "note": ("Note", "Merknad", "Bemerkung", "Uwagi"),
    "page": ("Page {page} of {pages}", "Side {page} av {pages}", "Seite {page} von {pages}", "Strona {page} z {pages}"),
    "picking_list": ("Picking list", "Plukkliste", "Pickliste", "Lista kompletacyjna"),
    "customer": ("Customer", "Kunde", "Kunde", "Klient"),
    "by": ("By", "Innen", "Bis", "Do"),
    "mail_subject": (
        "Purchase order {number} from {buyer}",
        "Innkjøpsordre {number} fra {buyer}",
        "Bestellung {number} von {buyer}",
        "Zamówienie {number} od {buyer}",
    ),
    "mail_text": (
        (
            "To {supplier},\n\nour purchase order {number}, revision {revision}, is attached as a PDF. "
            "Please answer by replying to this mail.\n\nKind regards\n{person}\n{buyer}\n"
        ),
        (
            "Til {supplier},\n\nvår innkjøpsordre {number}, revisjon {revision}, er vedlagt som PDF. "
            "Vennligst svar på denne e-posten.\n\nVennlig hilsen\n{person}\n{buyer}\n"
        ),
        (
            "An {supplier},\n\nanbei erhalten Sie unsere Bestellung {number}, Revision {revision}, als PDF. "
            "Bitte antworten Sie auf diese E-Mail.\n\nMit freundlichen Grüßen\n{person}\n{buyer}\n"
        ),
        (
            "Do {supplier},\n\nw załączniku przesyłamy nasze zamówienie {number}, wersja {revision}, jako PDF. "
            "Prosimy o odpowiedź na tę wiadomość.\n\nZ poważaniem\n{person}\n{buyer}\n"
        ),
    ),
    "carried": ("continued", "fortsatt", "Fortsetzung", "ciąg dalszy"),
}
_UNITS = {
    "H87": ("pcs", "stk", "Stk", "szt."),
    "EA": ("each", "stk", "Stk", "szt."),
    "PR": ("pair", "par", "Paar", "para"),
    "SET": ("set", "sett", "Satz", "zestaw"),
    "HUR": ("h", "t", "Std", "godz."),
    "DAY": ("day", "dag", "Tag", "dzień"),
    "KGM": ("kg",) * 4,
    "GRM": ("g",) * 4,
    "TNE": ("t",) * 4,
    "MTR": ("m",) * 4,
    "CMT": ("cm",) * 4,
    "MMT": ("mm",) * 4,
    "MTK": ("m²",) * 4,
    "MTQ": ("m³",) * 4,
    "LTR": ("l",) * 4,
    "MLT": ("ml",) * 4,
}


def language_of(country: str) -> Language:
    """The language a company in this country (ISO 3166-1) is written to; English where we have none of its own."""
    language = _LANGUAGE_OF.get(country.upper(), "en")
    return language if language in _LANGUAGES else "en"


def say(word: str, language: Language, **values: object) -> str:
    """A word of the paper."""
    return _WORDS[word][_LANGUAGES.index(language)].format(**values)


def unit(code: str, language: Language) -> str:
    """A unit as people write it; a code without such a word stays the code."""
    return _UNITS[code][_LANGUAGES.index(language)] if code in _UNITS else code


def number(value: Decimal, language: Language, *, places: int = 0) -> str:
    """A number, exactly, with at least so many decimals; thousands are set apart from 1,000 on."""
    whole, _, fraction = canonical(value).partition(".")
    thousands, point = _MARKS[language]
    sign, whole = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    fraction = fraction.ljust(places, "0")
    return f"{sign}{int(whole):,}".replace(",", thousands) + (f"{point}{fraction}" if fraction else "")


def day(value: dt.date, language: Language) -> str:
    """A date."""
    return value.isoformat() if language == "en" else f"{value:%d.%m.%Y}"
