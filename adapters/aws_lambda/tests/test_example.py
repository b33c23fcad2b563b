"""The example works as its README describes."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from serverless_flags.testing import Counts, emulate

EXAMPLE = Path(__file__).parents[3] / "examples" / "aws_lambda"


def test_answers_and_flips(flag_server):
    """The Function URL answers with the current flag, and both evaluations count."""
    environ = {
        **flag_server.environ,
        "SERVERLESS_FLAGS_MAX_AGE": "0",
        "SERVERLESS_FLAGS_STALE_WHILE_REVALIDATE": "0",
    }
    target = f"{EXAMPLE / 'handler.py'}:handler"
    with emulate("aws_lambda", target, environ=environ) as instance:
        before = instance.request("/")
        flag_server.set("simpleFlag", False)
        after = instance.request("/")
        instance.terminate()

    assert (before.status, after.status) == (200, 200)
    assert before.json() == {"message": "Feature flag 'simpleFlag' is enabled"}
    assert after.json() == {"message": "Feature flag 'simpleFlag' is disabled"}
    assert flag_server.counts("simpleFlag") == Counts(yes=1, no=1)


def test_template_names_the_handler(monkeypatch):
    """The template names a function of the module."""
    monkeypatch.delenv("UNLEASH_URL", raising=False)
    template = (EXAMPLE / "template.yaml").read_text()
    module, name = re.search(r"Handler: (\w+)\.(\w+)", template).groups()
    spec = importlib.util.spec_from_file_location(module, EXAMPLE / f"{module}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    with loaded.flags:
        answer = getattr(loaded, name)({}, None)

    assert answer["statusCode"] == 200
    assert "disabled" in answer["body"]
