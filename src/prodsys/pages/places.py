"""The countries a person chooses from, by their names in his language."""

from functools import lru_cache

from prodsys.pages.speech import Speech

_NEAR = ("NO", "SE", "DK", "FI", "IS", "DE", "PL", "NL", "BE", "GB")


def countries(speech: Speech) -> list[tuple[str, str]]:
    """(two letters, name) of every country, the ones we trade with most first."""
    return _countries(speech.language)


@lru_cache(8)
def _countries(language: str) -> list[tuple[str, str]]:
    from prodsys.pages.speech import speech

    spoken = speech(language)
    named = [
        (code, spoken.country(code))
        for code in map(str, spoken.locale.territories)
        if len(code) == 2 and code.isalpha() and code not in {"EU", "EZ", "UN", "XA", "XB", "ZZ", "QO"}
    ]
    near = [(code, spoken.country(code)) for code in _NEAR]
    return near + sorted((pair for pair in named if pair[0] not in _NEAR), key=lambda pair: pair[1])
