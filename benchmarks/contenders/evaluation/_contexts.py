"""The three contexts that every contender is asked with."""

USERS = [str(number) for number in range(16)]
"""For whom the flags are on."""
USER = "7"

NOBODY, ONE, TEN = "no context", "userId", "10 fields"

PROPERTIES = {
    "email": "ada@example.com",
    "plan": "premium",
    "country": "NZ",
    "region": "Otago",
    "device": "phone",
    "version": "4.2.0",
    "cohort": "early",
}
FIELDS = {"userId": USER, "sessionId": "c0ffee", "remoteAddress": "192.0.2.7"}

UNLEASH = {
    NOBODY: None,
    ONE: {"userId": USER},
    TEN: {**FIELDS, "properties": PROPERTIES},
}
"""As Unleash's clients take them."""

FLAT = {NOBODY: {}, ONE: {}, TEN: {**FIELDS, **PROPERTIES}}
"""What is known besides the user, as the other clients take it."""


def enabled(who):
    """Name the question whether a flag is on."""
    return f"is_enabled, {who}"


def variant(who):
    """Name the question for a text."""
    return f"get_variant, {who}"


def flag_for(who):
    """Name the flag that is on for them."""
    return "everybody" if who == NOBODY else "users"


def text_for(who):
    """Name the flag whose text they get."""
    return "text for everybody" if who == NOBODY else "text"
