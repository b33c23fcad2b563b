"""The three evaluation contexts that every contender uses."""

USERS = [str(number) for number in range(16)]
"""The users for whom the flags are on."""
USER = "7"

NO_CONTEXT, ONE, TEN = "no context", "userId", "10 fields"

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
    NO_CONTEXT: None,
    ONE: {"userId": USER},
    TEN: {**FIELDS, "properties": PROPERTIES},
}
"""The contexts as Unleash's clients take them."""

FLAT = {NO_CONTEXT: {}, ONE: {}, TEN: {**FIELDS, **PROPERTIES}}
"""The fields besides the user, as the other clients take them."""


def enabled(kind):
    """Return the name of the quantity for `is_enabled`."""
    return f"is_enabled, {kind}"


def variant(kind):
    """Return the name of the quantity for `get_variant`."""
    return f"get_variant, {kind}"


def flag_for(kind):
    """Return the name of the flag that is on for this context."""
    return "everybody" if kind == NO_CONTEXT else "users"


def text_for(kind):
    """Return the name of the flag whose text this context gets."""
    return "text for everybody" if kind == NO_CONTEXT else "text"
