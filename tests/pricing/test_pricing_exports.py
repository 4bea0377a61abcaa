from types import ModuleType

import pricing


def test_the_public_face_is_sorted_and_complete():
    public = {
        name
        for name, value in vars(pricing).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(pricing.__all__) == public
    # ruff's order: constants, then classes, then functions, each sorted
    kinds = [(not n.isupper(), not n[0].isupper(), n) for n in pricing.__all__]
    assert kinds == sorted(kinds)


def test_every_error_says_how_the_program_should_end():
    for name in ("UnknownInstanceType", "UnknownRegion", "UnknownPriceBook", "NoPrice"):
        error = getattr(pricing, name)("what", hint="do")
        assert isinstance(error, pricing.PricingError)
        assert (error.exit_code, error.hint) == (2, "do")
    assert pricing.BadPriceBook("what").exit_code == 1
