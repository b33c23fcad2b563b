"""ConfigCat in its lazy mode, its flags overridden by a file."""

import os

import configcatclient
from _idle import show
from configcatclient.configcatoptions import ConfigCatOptions
from configcatclient.localfiledatasource import LocalFileFlagOverrides
from configcatclient.overridedatasource import OverrideBehaviour
from configcatclient.pollingmode import PollingMode
from configcatclient.user import User

client = configcatclient.get(
    "localhost",
    ConfigCatOptions(
        polling_mode=PollingMode.lazy_load(cache_refresh_interval_seconds=60),
        flag_overrides=LocalFileFlagOverrides(
            os.environ["CONFIGCAT_FLAGS"], OverrideBehaviour.LocalOnly
        ),
    ),
)
show(client.get_value("flag-0", default_value=False, user=User("7")))
