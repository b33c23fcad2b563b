"""The workflow that publishes is sound, and publishes every distribution."""

from __future__ import annotations

import re

from distributions import PROJECTS, ROOT, run

WORKFLOWS = ROOT / ".github" / "workflows"


def test_the_workflows_are_safe():
    """zizmor parses them and finds no weakness: actions are pinned, rights are few."""
    run("zizmor", "--offline", "--no-progress", WORKFLOWS)


def test_each_distribution_is_published():
    """The list of the workflow is that of the repository."""
    text = (WORKFLOWS / "release.yml").read_text()
    listed = re.search(r"distribution:\n((?: +- [\w-]+\n)+)", text)

    assert listed is not None
    assert [project.name for project in PROJECTS] == re.findall(r"- (\S+)", listed[1])
