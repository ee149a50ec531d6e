"""Our own company's card, as partners read it."""

from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say

if TYPE_CHECKING:
    from prodsys.kit.db import Tx
    from prodsys.upkeep.opening import Instance


@click.command(
    epilog="Examples: prodsys company · prodsys company --street Kaigata --house-number 3 --postcode 5003 --city Bergen --gln 7080000000012"
)
@click.option("--name", help="As it stands in orders.")
@click.option("--organisation-number", help="Of the register of companies.")
@click.option("--vat-number")
@click.option("--gln", help="Global location number.")
@click.option("--email", help="Where orders and answers are talked about.")
@click.option("--phone")
@click.option("--street")
@click.option("--house-number")
@click.option("--postcode")
@click.option("--city")
@click.option("--country", metavar="CODE", help="ISO 3166-1, two letters.")
@say.as_json
def company(**given: Any) -> None:
    """Show our own card; what is given is changed first, and partners compare it with their record of us."""
    import msgspec

    from prodsys.company import actions
    from prodsys.documents import Address, Party, reader, write
    from prodsys.scopes import CONSOLE

    wanted = {name: value.strip() for name, value in given.items() if value is not None}
    place = {name: wanted.pop(name) for name in Address.__struct_fields__ if name in wanted}

    def change(tx: "Tx") -> Any:
        card = actions.card(tx).card
        changed = msgspec.structs.replace(card, **wanted, address=msgspec.structs.replace(card.address, **place))
        reader(Party)(write(changed))  # as narrow as at the door
        return card if changed == card else actions.set_card(tx, changed, if_match="*", actor=CONSOLE.name).card

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(change)

    try:
        ours = guest.visit(story)
    except msgspec.ValidationError as fault:
        raise click.UsageError(f"{fault}.") from None

    def words() -> list[str]:
        where = ours.address
        street, town = f"{where.street} {where.house_number}".strip(), f"{where.postcode} {where.city}".strip()
        numbers = {"organisation number": ours.organisation_number, "VAT number": ours.vat_number, "GLN": ours.gln}
        told = [f"{what} {number}" for what, number in numbers.items() if number]
        rest = [", ".join(filter(None, [street, town, where.country])), " · ".join(filter(None, [ours.email, ours.phone]))]
        return [ours.name, *filter(None, [" · ".join(told), *rest])]

    say.answer(ours, words)
