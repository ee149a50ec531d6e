"""How a partner is treated, as the fields of a form."""

from typing import Any

from prodsys.pages.fields import Form
from prodsys.pages.visitor import Visitor
from prodsys.partners.model import Partner

_TEXTS = ("name", "when_unknown", "price_tolerance", "offers", "give_up_after_days")
_TICKS = ("show_prices", "may_rotate")
_LIMITS = ("auto_price_tolerance", "value_ceiling", "currency", "quantity_ceiling")
_LIMIT_TICKS = ("auto_is_on", "only_clean", "only_linked_contact")


def shown_rules(visitor: Visitor, partner: Partner) -> dict[str, Any]:
    """The rules as the form's fields show them, figures in the reader's own way."""
    number, auto = visitor.speech.number, partner.auto_confirm
    return {
        "name": partner.name,
        "when_unknown": partner.when_unknown,
        "price_tolerance": number(partner.price_tolerance),
        "offers": partner.offers,
        "give_up_after_days": str(partner.give_up_after_days),
        "show_prices": partner.show_prices,
        "may_rotate": partner.may_rotate,
        "identifiers": "\n".join(partner.identifiers),
        "lets_through": partner.lets_through,
        "auto_is_on": auto.is_on if auto else False,
        "only_clean": auto.only_clean if auto else True,
        "only_linked_contact": auto.only_linked_contact if auto else True,
        "auto_price_tolerance": number(auto.price_tolerance) if auto else "0",
        "value_ceiling": number(auto.value_ceiling) if auto and auto.value_ceiling is not None else "",
        "currency": auto.currency if auto else "",
        "quantity_ceiling": number(auto.quantity_ceiling) if auto and auto.quantity_ceiling is not None else "",
    }


def retyped(form: Form) -> dict[str, Any]:
    """The rules as they were typed, to be shown again."""
    return {
        **{name: form.text(name) for name in (*_TEXTS, *_LIMITS, "identifiers")},
        **{name: form.flag(name) for name in (*_TICKS, *_LIMIT_TICKS)},
        "lets_through": form.many("lets_through"),
    }


def typed_rules(form: Form) -> dict[str, Any]:
    """The rules as they were typed. Automatic approval that was never on is not kept."""
    tolerance = form.decimal("price_tolerance")
    is_auto = form.flag("auto_is_on") or form.flag("had_auto")
    auto = {
        "is_on": form.flag("auto_is_on"),
        "only_clean": form.flag("only_clean"),
        "only_linked_contact": form.flag("only_linked_contact"),
        "price_tolerance": str(form.decimal("auto_price_tolerance", "/auto_confirm/price_tolerance") or 0),
        "currency": form.text("currency").upper(),
    }
    for name in ("value_ceiling", "quantity_ceiling"):
        figure = form.decimal(name, f"/auto_confirm/{name}")
        auto[name] = None if figure is None else str(figure)
    days = form.whole("give_up_after_days")
    return {
        "name": form.text("name"),
        "when_unknown": form.text("when_unknown"),
        "price_tolerance": str(tolerance if tolerance is not None else 0),
        "offers": form.text("offers"),
        "show_prices": form.flag("show_prices"),
        "may_rotate": form.flag("may_rotate"),
        "identifiers": [line.strip() for line in form.text("identifiers").splitlines() if line.strip()],
        "lets_through": form.many("lets_through"),
        **({"give_up_after_days": days} if days is not None else {}),
        "auto_confirm": auto if is_auto else None,
    }
