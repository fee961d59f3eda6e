"""Cookies of the pages: the session's name, and the attributes of every one that we set."""

from typing import Any

from api.web.services import Services


def cookie_name(shared: Services) -> str:
    """`__Host-` binds the cookie to this host and https, where there is https."""
    return "__Host-hesper-session" if shared.settings.secure_cookies else "hesper-session"


def session_cookie(shared: Services) -> dict[str, Any]:
    """The attributes of every cookie that we set.

    Lax, not strict: a sign-in that began at a provider comes back from its site. No GET changes anything.
    """
    return {"httponly": True, "samesite": "lax", "secure": shared.settings.secure_cookies, "path": "/"}
