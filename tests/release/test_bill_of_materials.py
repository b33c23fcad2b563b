"""What a function ships is known, and its licences are among those that we accept."""

from __future__ import annotations

from typing import Any

from distributions import PROJECTS

ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MPL-2.0",  # certifi's list of certificates, which nobody changes
    "PSF-2.0",
}
"""SPDX identifiers; each lets a function be shipped without its source."""


def licences(component: dict[str, Any]) -> set[str]:
    """Return the SPDX identifiers or the expression that a component declares."""
    found = set()
    for entry in component.get("licenses", []):
        licence = entry.get("license", {})
        found.add(entry.get("expression") or licence.get("id"))
    return found - {None}


def parts(expression: str) -> set[str]:
    """Return the identifiers of an expression, of which each has to be allowed."""
    words = expression.replace("(", " ").replace(")", " ").split()
    return {word for word in words if word not in {"AND", "OR"}}


def test_it_lists_everything_that_a_function_ships(components):
    """The adapters, and the dependencies of the core with theirs."""
    names = {component["name"] for component in components}
    adapters = {project.name for project in PROJECTS} - {"serverless-flags"}

    assert names >= adapters | {"pluggy", "UnleashClient", "yggdrasil-engine"}
    assert all(component["version"] for component in components)


def test_each_licence_is_allowed(components, dist):
    """One that is missing, or that this list does not name, stops a release."""
    found = {(part["name"], part["version"]): licences(part) for part in components}
    lines = [
        f"{name} {version}: {', '.join(sorted(words)) or 'none'}\n"
        for (name, version), words in sorted(found.items())
    ]
    (dist / "sbom" / "licences.txt").write_text("".join(lines))
    refused = {
        name: words
        for (name, _), words in found.items()
        if not words or not set().union(*map(parts, words)) <= ALLOWED
    }

    assert not refused
