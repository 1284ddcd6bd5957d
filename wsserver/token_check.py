"""``verify_token``: does a token count, here and now?"""

from wsserver.access.refusal import AuthenticationFailed


def verify_token(token: str) -> bool:
    """Whether the running server takes this token for genuine, current and not revoked.

    Judged with the keys at hand; whether its role may do anything is another question.

    False as well when no server runs in this process: nothing says which keys count then.
    """
    from wsserver.web.server import websocket_server

    service = websocket_server.service
    if service is None:
        return False
    try:
        claims = service.verifier.verify_now(token)
    except AuthenticationFailed:
        return False
    return not service.revocations.is_revoked(claims)
