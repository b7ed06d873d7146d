"""The root of subscriptions; each event is an execution of its own: docs/explain/subscriptions.md."""

import strawberry

from resolvers import dashboard
from schema.cost import Cost
from schema.dashboard import DashboardToday


@strawberry.type(description="Everything that can be followed while it changes.")
class Subscription:
    # no strawberry.subscription: there is no stream of source events, the selection itself is executed again
    today_changed = strawberry.field(
        resolver=dashboard.today_changed,
        graphql_type=DashboardToday,
        description="Today at a glance: at once, and again whenever something of it has changed, at most once per "
        "interval.",
        directives=[Cost(weight=10)],
    )
