"""Lookups of devices."""

from cache.policy import Policy
from db import devices, tags
from db.rows import DeviceRow
from loaders.batch import Batch

device_by_id = Batch(devices.devices_by_id, Policy("device", DeviceRow, "organisation", lambda _: (tags.DEVICE_ANY(),)))
