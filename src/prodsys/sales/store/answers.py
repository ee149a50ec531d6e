"""Every answer to an order, as it was given."""

from sqlalchemy import select, update

from prodsys.documents import OrderAnswer, reader, write
from prodsys.kit.db import Tx, insert_new
from prodsys.tables import sales_answers

_read_answer = reader(OrderAnswer)


def keep(tx: Tx, order: int, answer: OrderAnswer) -> None:
    """Keep an answer beside those given before it; one taken back and given again is written over."""
    row = {"order": order, "answer": answer.answer, "document": write(answer).decode()}
    if not insert_new(tx, sales_answers, row):
        same = (sales_answers.c.order == order, sales_answers.c.answer == answer.answer)
        tx.execute(update(sales_answers).where(*same).values(document=row["document"]))


def answered(tx: Tx, order: int, answer: int) -> OrderAnswer | None:
    """Answer n to an order, whole."""
    query = select(sales_answers.c.document).where(sales_answers.c.order == order, sales_answers.c.answer == answer)
    document = tx.execute(query).scalar()
    return None if document is None else _read_answer(document)
