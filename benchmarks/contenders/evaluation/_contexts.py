"""The three evaluation contexts that every contender uses."""

USERS = [str(number) for number in range(16)]
"""The users for whom the flags are on."""
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
"""The contexts as Unleash's clients take them."""

FLAT = {NOBODY: {}, ONE: {}, TEN: {**FIELDS, **PROPERTIES}}
"""The fields besides the user, as the other clients take them."""


def enabled(who):
    """Return the name of the quantity for `is_enabled`."""
    return f"is_enabled, {who}"


def variant(who):
    """Return the name of the quantity for `get_variant`."""
    return f"get_variant, {who}"


def flag_for(who):
    """Return the name of the flag that is on for this context."""
    return "everybody" if who == NOBODY else "users"


def text_for(who):
    """Return the name of the flag whose text this context gets."""
    return "text for everybody" if who == NOBODY else "text"
