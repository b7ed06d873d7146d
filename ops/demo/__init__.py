"""The demo company: drawn from a seed, its days derived by the rules from punches that were drawn."""

from ops.demo.extension import bring_up_to_date
from ops.demo.fill import DemoRefused, fill_demo, is_empty
from ops.demo.users import DEMO_PASSWORD, DEMO_USERS

__all__ = ["DEMO_PASSWORD", "DEMO_USERS", "DemoRefused", "bring_up_to_date", "fill_demo", "is_empty"]
