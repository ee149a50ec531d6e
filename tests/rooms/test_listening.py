"""What a system's words say of ours is found by listening, and a flow asks for nothing that nobody reads."""

import pytest

from prodsys.connections import listening
from prodsys.connections.applying import applying, lists_used
from prodsys.connectors import known
from prodsys.connectors._base import capabilities

HERE = known()


def means(members: list[listening.Member]) -> dict[str, tuple[str, list[str]]]:
    return {one.path: (one.kind, list(one.stands_for)) for one in members}


def test_the_fields_of_a_system_are_known_with_what_they_stand_for_and_what_they_hold() -> None:
    read = means(listening.theirs_read(HERE["eaccounting"], "articles", {}))
    written = means(listening.theirs_written(HERE["visma_net"], "contacts", {}))

    assert read["Number"] == ("text", ["number"])
    assert read["NetPrice"] == ("number", ["price"])
    assert written["corporateId.value"] == ("text", ["organisation_number"])
    assert written["mainAddress.value.addressLine1.value"] == ("text", ["address.street", "address.house_number"])
    assert written["status.value"] == ("yes_no", ["is_active"])


def test_rows_are_fields_too_also_where_a_flag_hides_them() -> None:
    read = means(listening.theirs_read(HERE["eaccounting"], "orders", {}))

    assert read["OrderDate"] == ("date", ["date"])
    assert read["Rows[].ArticleNumber"] == ("text", ["lines[].article_number"])


def test_a_system_described_in_its_form_has_the_fields_its_form_says() -> None:
    form = {"resources": {"articles": {"path": "/products", "fields": {"number": "sku", "price": "net.price"}, "writes": True}}}

    assert means(listening.theirs_read(HERE["rest"], "articles", form)) == {"sku": ("text", ["number"]), "net.price": ("number", ["price"])}
    assert listening.heard(HERE["rest"], "articles", form).takes("price")
    assert not listening.heard(HERE["rest"], "articles", form).takes("currency")


def test_a_system_whose_form_says_its_members_is_listened_to_by_form() -> None:
    chosen = type("Chosen", (HERE["eaccounting"],), {"members": classmethod(lambda cls, kind, config: config["named"])})

    for name in ("Sku", "Code"):
        assert means(listening.theirs_read(chosen, "articles", {"named": {"number": name}})) == {name: ("text", ["number"])}


@pytest.mark.parametrize("name", sorted(HERE))
def test_every_kind_that_flows_has_fields_at_both_ends(name: str) -> None:
    for one in capabilities(HERE[name], {}):
        if one.is_offered:
            there = listening.theirs_read if one.direction == "in" else listening.theirs_written

            assert there(HERE[name], one.kind, {}), one.kind
            assert listening.ours(one.kind)


def test_a_flow_asks_only_for_what_its_system_takes() -> None:
    tryton = applying("orders", "out", (HERE["tryton"], {}), None)
    account_view = applying("orders", "out", (HERE["accountview"], {}), None)
    e_accounting = applying("orders", "out", (HERE["eaccounting"], {}), None)

    assert {"warehouse", "charge_article", "default_debtor"} <= tryton.settings
    assert not {"employee_number", "branch", "makes", "currency", "stock"} & tryton.settings
    assert "employee_number" in account_view
    assert list(e_accounting.makes) == ["order", "sales_invoice", "invoice"]
    assert tryton.can_be_told


def test_lists_are_asked_for_where_their_codes_are_read_or_written() -> None:
    tryton = lists_used((HERE["tryton"], {}))
    visma = lists_used((HERE["visma_net"], {}))

    assert {"units", "payment_terms", "tax_codes_by_country"} <= tryton
    assert not {"customer_classes", "shipping_methods", "accounts_by_country"} & tryton
    assert "customer_classes" in visma


def test_what_comes_into_our_own_books_asks_for_no_debtor() -> None:
    articles = applying("articles", "in", (HERE["tryton"], {}), None)
    stock = applying("stock", "in", (HERE["ccv_salespos"], {}), (HERE["tryton"], {}))

    assert articles.settings == {"where", "condition", "amount", "create", "update", "from_date", "currency"}
    assert not articles.can_be_told
    assert "role" in applying("contacts", "in", (HERE["tryton"], {}), None)
    assert "role" not in applying("contacts", "out", (HERE["tryton"], {}), None)
    assert "stock" in stock
    assert "manage_stock" not in stock
