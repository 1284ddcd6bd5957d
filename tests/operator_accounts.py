"""Operators for tests: an operator, a viewer, and hashes that take a twelfth of the usual time."""

from wsserver.settings import AccountSettings

OPERATOR, OPERATOR_PASSWORD = "olga", "ward-round-at-seven"
VIEWER, VIEWER_PASSWORD = "vera", "nightshift-looks-on"
PASSWORDS = {OPERATOR: OPERATOR_PASSWORD, VIEWER: VIEWER_PASSWORD}

HASHES = {
    OPERATOR: "scrypt:14:8:1:MDEyMzQ1Njc4OWFiY2RlZg:s8QdoBLiNdmVKbU2qKUSjFjxbqtA_Id0B8UroI1dkGU",
    VIEWER: "scrypt:14:8:1:ZmVkY2JhOTg3NjU0MzIxMA:E_RCOeirVlg0SqBC3QtgEE2vKziAoaHU6MH_CWC6fR0",
}

ACCOUNTS = {
    OPERATOR: AccountSettings(role="operator", password_hash=HASHES[OPERATOR]),
    VIEWER: AccountSettings(role="viewer", password_hash=HASHES[VIEWER]),
}
