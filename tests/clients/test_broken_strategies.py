"""Custom strategies in states with broken flags, and invalid strategies."""

from __future__ import annotations

import json
import logging

import pytest

from serverless_flags._settings import load_settings
from serverless_flags.clients import open_backend

FLAG = {"name": "whole", "enabled": True, "strategies": []}


def state(*features):
    return json.dumps({"version": 2, "features": features})


@pytest.fixture(name="new", params=["unleash", "lean"])
def _new(request):
    """Return a function that makes a client of Unleash."""

    def new(**given):
        chosen = load_settings({"client": request.param}, {}).replace(**given)
        return open_backend(chosen, "checkout").load()

    return new


class TestStrategies:
    @pytest.fixture(name="mine")
    def _mine(self):
        class Mine:
            def apply(self, _parameters, _context):
                return True

        return {"mine": Mine()}

    def test_a_broken_flag_does_not_disable_custom_strategies(self, new, mine) -> None:
        """They are called for the flags that are left."""
        custom = {**FLAG, "strategies": [{"name": "mine", "parameters": {}}]}
        broken = {**custom, "name": "broken", "strategies": [{"parameters": {}}]}
        client = new(strategies=mine)
        client.load_state(state(broken, custom))

        assert client.is_enabled("whole")
        assert not client.is_enabled("broken")

    @pytest.mark.parametrize("odd", [[3], [None], [{}], [{"name": 4}], 3, {}])
    def test_unknown_fields_do_no_harm(self, new, mine, odd) -> None:
        """A field that no engine knows may have any value."""
        custom = {**FLAG, "strategies": [{"name": "mine", "parameters": {}}]}
        odd_one = {**FLAG, "name": "odd", "extra": {"strategies": odd}}
        client = new(strategies=mine)
        client.load_state(state(odd_one, custom))

        assert client.is_enabled("whole")
        assert client.is_enabled("odd")

    @pytest.mark.parametrize("misfit", [object(), len, lambda: None])
    def test_an_invalid_strategy_affects_only_its_flags(
        self, new, mine, misfit, caplog
    ) -> None:
        """All other flags are evaluated, and one warning names the strategy."""
        caplog.set_level(logging.INFO)
        client = new(strategies={**mine, "other": misfit})
        other = [{"name": "other", "parameters": {}}]
        client.load_state(state(FLAG, {**FLAG, "name": "uses", "strategies": other}))

        assert client.is_enabled("whole")
        assert not client.is_enabled("uses")
        assert 1 == len(caplog.messages)
        assert "'other'" in caplog.messages[0]
