"""A street and its house number, together and apart."""

import pytest

from prodsys.codes import streets

LINES = [
    ("NO", "Storgata 12B", "Storgata", "12B"),
    ("NO", "Karl Johans gate 5", "Karl Johans gate", "5"),
    ("NO", "Kirkeveien 114 A", "Kirkeveien", "114 A"),
    ("NO", "Storgata 12 H0201", "Storgata", "12 H0201"),
    ("NO", "7. juni-plassen 1", "7. juni-plassen", "1"),
    ("NO", "Verkstedveien 1", "Verkstedveien", "1"),
    ("DE", "Straße des 17. Juni 135", "Straße des 17. Juni", "135"),
    ("DE", "Musterstr. 5a", "Musterstr.", "5a"),
    ("DE", "Am Markt 3-5", "Am Markt", "3-5"),
    ("DE", "Lange Straße 12/14", "Lange Straße", "12/14"),
    ("DE", "Königsallee 60 F", "Königsallee", "60 F"),
    ("PL", "ul. Marszałkowska 10/12 m. 5", "ul. Marszałkowska", "10/12 m. 5"),
    ("PL", "ul. 3 Maja 5", "ul. 3 Maja", "5"),
    ("PL", "al. Jana Pawła II 27 lok. 3", "al. Jana Pawła II", "27 lok. 3"),
    ("PL", "os. Piastów 12/34", "os. Piastów", "12/34"),
    ("PL", "ul. Żwirki i Wigury 16A", "ul. Żwirki i Wigury", "16A"),
    ("NL", "Keizersgracht 123", "Keizersgracht", "123"),
    ("NL", "Keizersgracht 123-2", "Keizersgracht", "123-2"),
    ("NL", "Laan van Meerdervoort 50 A", "Laan van Meerdervoort", "50 A"),
    ("NL", "Plein 1944 10", "Plein 1944", "10"),
    ("NL", "1e Helmersstraat 12 hs", "1e Helmersstraat", "12 hs"),
    ("NL", "Dorpsstraat 12 bis", "Dorpsstraat", "12 bis"),
]

WHOLE = [("NO", "Postboks 123 Sentrum"), ("DE", "Postfach 10 20 30"), ("DE", "Straße des 17. Juni"), ("PL", "Skrytka pocztowa 12"),
         ("NL", "Postbus 1234"), ("NO", "Gamle skolen"), ("DE", "")]  # fmt: skip


@pytest.mark.parametrize(("country", "line", "street", "number"), LINES)
def test_a_line_is_taken_apart_and_put_together_again(country, line, street, number):
    apart = streets.split(line, country)

    assert apart == (street, number)
    assert streets.join(*apart, country) == line


@pytest.mark.parametrize(("country", "line"), WHOLE)
def test_a_line_without_a_house_number_stays_whole(country, line):
    assert streets.split(line, country) == (line, "")


def test_where_the_number_stands_first_it_is_found_there():
    assert streets.split("10 Downing Street", "GB") == ("Downing Street", "10")
    assert streets.join("Downing Street", "10", "GB") == "10 Downing Street"


def test_an_endless_line_takes_no_time():
    assert streets.split("1 " * 100_000, "NL")[1] == ""
