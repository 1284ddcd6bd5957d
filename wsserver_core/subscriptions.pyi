from typing import final

@final
class SubscriptionTable:
    """Rows of subscriptions.

    A number is ``generation << 32 | row``, never 0 and never given twice. Pointers to rows hold
    good until the next row is taken.
    """
