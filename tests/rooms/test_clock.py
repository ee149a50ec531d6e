"""Moments and names."""

import datetime as dt

import pytest

from prodsys.kit import clock
from prodsys.kit.ids import new_id


def test_a_moment_survives_being_written_down_to_the_microsecond():
    moment = clock.now()

    assert clock.instant(clock.micros(moment)) == moment
    assert moment.tzinfo is dt.UTC


def test_the_same_moment_in_another_zone_is_written_down_the_same():
    noon = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)

    assert clock.micros(noon.astimezone(dt.timezone(dt.timedelta(hours=-3)))) == clock.micros(noon) == 1_795_262_400_000_000


def test_moments_before_1970_have_numbers_too():
    assert clock.instant(clock.micros(dt.datetime(1969, 12, 31, tzinfo=dt.UTC))) == dt.datetime(1969, 12, 31, tzinfo=dt.UTC)


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        clock.micros(dt.datetime(2026, 11, 21))  # noqa: DTZ001


def test_ids_say_what_they_name_and_sort_by_age():
    ids = [new_id("po") for _ in range(1000)]

    assert {(name[:3], len(name)) for name in ids} == {("po_", 29)}
    assert ids == sorted(set(ids))
