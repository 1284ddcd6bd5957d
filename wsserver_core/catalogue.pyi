from typing import final

from wsserver_core.subscriptions import SubscriptionTable

@final
class Catalogue:
    """Puts the rows of a table into the groups of their topics, and takes them out.

    Putting in may fail for want of memory, and changes nothing then. Taking out cannot.
    """

    def __init__(self, table: SubscriptionTable) -> None: ...
