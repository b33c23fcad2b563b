"""The flags of `flag_server` in the peers' file formats: on for some users."""

import json
from pathlib import Path


def write_files(folder: Path) -> dict[str, str]:
    """Write a file for each peer; return the environment that names them."""
    features = json.loads((folder / "flags.json").read_text())["features"]
    users = {f["name"]: _users(f) for f in features}
    documents = {
        "LAUNCHDARKLY": {"flags": {n: _launchdarkly(n, u) for n, u in users.items()}},
        "CONFIGCAT": {"f": {n: _configcat(u) for n, u in users.items()}},
        "GROWTHBOOK": {n: _growthbook(u) for n, u in users.items()},
        "FLAGSMITH": _flagsmith(users),
    }
    paths = {}
    for peer, document in documents.items():
        path = folder / f"{peer.lower()}.json"
        path.write_text(json.dumps(document))
        paths[f"{peer}_FLAGS"] = str(path)
    return paths


def _users(feature: dict) -> list[str]:
    return feature["strategies"][0]["constraints"][0]["values"]


def _launchdarkly(name: str, users: list[str]) -> dict:
    clause = {"attribute": "key", "op": "in", "values": users, "negate": False}
    return {
        "key": name,
        "version": 1,
        "on": True,
        "variations": [True, False],
        "offVariation": 1,
        "fallthrough": {"variation": 1},
        "rules": [{"id": "users", "variation": 0, "clauses": [clause]}],
        "salt": name,
        "targets": [],
        "prerequisites": [],
    }


def _configcat(users: list[str]) -> dict:
    is_one_of = {"u": {"a": "Identifier", "c": 0, "l": users}}
    rule = {"c": [is_one_of], "s": {"v": {"b": True}}}
    return {"t": 0, "v": {"b": False}, "r": [rule]}


def _growthbook(users: list[str]) -> dict:
    rule = {"condition": {"id": {"$in": users}}, "force": True}
    return {"defaultValue": False, "rules": [rule]}


def _flagsmith(users: dict[str, list[str]]) -> dict:
    """Return an environment document in which all flags are on for everybody."""
    project = {
        "id": 1,
        "name": "idle",
        "organisation": {
            "id": 1,
            "name": "idle",
            "feature_analytics": False,
            "stop_serving_flags": False,
            "persist_trait_data": True,
        },
        "hide_disabled_flags": False,
        "segments": [],
    }
    states = [
        {
            "django_id": number,
            "featurestate_uuid": f"00000000-0000-4000-8000-{number:012}",
            "feature": {"id": number, "name": name, "type": "STANDARD"},
            "enabled": True,
            "feature_state_value": None,
            "feature_segment": None,
            "multivariate_feature_state_values": [],
        }
        for number, name in enumerate(users, 1)
    ]
    return {
        "id": 1,
        "api_key": "idle",
        "name": "idle",
        "project": project,
        "feature_states": states,
        "identity_overrides": [],
    }
