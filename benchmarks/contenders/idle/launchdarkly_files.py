"""LaunchDarkly from a file, without events: which is what runs without its service."""

import os

import ldclient
from _idle import show
from ldclient.config import Config
from ldclient.integrations import Files

source = Files.new_data_source(paths=[os.environ["LAUNCHDARKLY_FLAGS"]])
ldclient.set_config(Config("sdk-key", update_processor_class=source, send_events=False))
user = ldclient.Context.create("7")
show(ldclient.get().variation("flag-0", user, default=False))
