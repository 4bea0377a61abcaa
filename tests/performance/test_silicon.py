from __future__ import annotations

import pytest

from pricing.instances import SILICON
from recommender.performance.silicon import SILICON_FACTS, silicon_of


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (("AuthenticAMD", 25, 17, 1), "Zen4"),
        (("AuthenticAMD", 25, 1, 1), "Zen3"),
        (("AuthenticAMD", 25, 0xA0, 2), "Zen4"),
        (("AuthenticAMD", 26, 2, 1), "Zen5"),
        (("AuthenticAMD", 23, 1, 2), "Zen1"),
        (("AuthenticAMD", 23, 49, 0), "Zen2"),
        (("GenuineIntel", 6, 62, 4), "IvyBridge"),
        (("GenuineIntel", 6, 63, 2), "Haswell"),
        (("GenuineIntel", 6, 79, 1), "Broadwell"),
        (("GenuineIntel", 6, 85, 4), "Skylake"),
        (("GenuineIntel", 6, 85, 7), "CascadeLake"),
        (("GenuineIntel", 6, 85, None), "Skylake"),
        (("GenuineIntel", 6, 106, 6), "IceLake"),
        (("GenuineIntel", 6, 143, 8), "SapphireRapids"),
        (("GenuineIntel", 6, 207, 2), "EmeraldRapids"),
        (("GenuineIntel", 6, 173, 1), "GraniteRapids"),
        (("ARM", None, 0xD0C, None), "Neoverse-N1"),
        (("0x41", 8, 0xD40, None), "Neoverse-V1"),
        (("ARM", 8, 0xD4F, None), "Neoverse-V2"),
        (("ARM", 8, 0xD84, None), "Neoverse-V3"),
    ],
)
def test_a_processor_is_known_by_the_integers_it_reports(reported, expected):
    assert silicon_of(*reported) == expected


@pytest.mark.parametrize(
    "reported",
    [
        ("GenuineIntel", 6, 151, 2),
        ("GenuineIntel", 15, 85, 7),
        ("AuthenticAMD", 22, 1, 0),
        ("AuthenticAMD", 26, 0x50, 0),
        ("ARM", 8, 0xD46, None),
        ("HygonGenuine", 24, 1, 1),
    ],
)
def test_a_processor_that_resembles_no_benchmarked_one_is_not_guessed(reported):
    assert silicon_of(*reported) is None


def test_the_price_book_and_the_speed_prior_name_silicon_alike():
    assert set(SILICON_FACTS) == SILICON
