"""What time it is, and how a moment is written down as one whole number."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def now() -> datetime:
    """This moment, aware and in UTC."""
    return datetime.now(UTC)


def micros(moment: datetime) -> int:
    """Whole microseconds from 1970 to this moment. A moment without a zone is a ValueError: nobody knows when it is."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone.")
    return (moment - EPOCH) // MICROSECOND


def instant(micros: int) -> datetime:
    """The aware UTC moment this many microseconds after 1970."""
    return EPOCH + timedelta(microseconds=micros)
