"""Protection from web pages of other sites: names of the host, and where a request comes from.

A page of another site can make the browser of a visitor send requests to the service, even where
only that browser can reach it. And by DNS rebinding, the page can let its own name resolve to the
address of the service, so that the browser takes the service for the page's own site.

- A request must name a host that the service answers for. An IP address always is one: no name is
  resolved, so none can be rebound.
- A browser tells in `Sec-Fetch-Site` and `Origin`, which pages cannot change, where a request comes
  from. Other clients send neither.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import problem_response
from service.errors import ClientError, CrossSiteError, HostForbiddenError, RequestMalformedError

ANY = "*"
HOSTLESS_PATHS = ("/healthz", "/readyz")
"""Probes, which load balancers ask for by many names and which tell nothing about the library."""
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OWN_SITE = ("same-origin", "none")
"""Values of Sec-Fetch-Site for requests of the service's own page and of the user."""


@dataclass(frozen=True, slots=True)
class SiteRules:
    """Hosts and origins.

    Attributes:
        hosts: Names that the service answers for, in lower case; None if for all.
        origins: Origins whose pages may call the service; `*` for all.
    """

    hosts: frozenset[str] | None
    origins: frozenset[str]

    @classmethod
    def make(cls, *, hosts: Sequence[str], origins: Sequence[str]) -> Self:
        """Return the rules for lists of settings."""
        names = None if ANY in hosts else frozenset(map(host_name, hosts))
        return cls(names, frozenset(origins))

    def answers_for(self, host: str) -> bool:
        """Return whether a Host header names this service."""
        name = host_name(host)
        return (
            self.hosts is None
            or name in self.hosts
            or name == "localhost"
            or name.endswith(".localhost")
            or _is_address(name)
        )

    def trusts(self, origin: str) -> bool:
        """Return whether pages of an origin may call the service."""
        return origin in self.origins or ANY in self.origins


class CrossSiteGuard:
    """ASGI layer that refuses what web pages of other sites send.

    Args:
        app: The next layer.
        rules: Hosts and origins that are allowed.
    """

    def __init__(self, app: ASGIApp, *, rules: SiteRules) -> None:
        self._app = app
        self._rules = rules
        self._answers_for = lru_cache(maxsize=256)(rules.answers_for)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except ClientError as error:
                await problem_response(scope, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        hosts, told = _read(scope)
        if len(hosts) > 1 or (not hosts and scope.get("http_version") == "1.1"):
            raise RequestMalformedError(f"a request has one Host header, this one has {len(hosts)}")
        host = hosts[0] if hosts else ""
        if host and scope["path"] not in HOSTLESS_PATHS and not self._answers_for(host):
            raise HostForbiddenError(
                f"the service does not answer for {host[:80]!r}; list it in MINUEND_ALLOWED_HOSTS"
            )
        origin, site = told.get("origin"), told.get("sec-fetch-site")
        if origin is not None and self._rules.trusts(origin):
            return
        if scope["method"] not in SAFE_METHODS:
            _check_change(origin, site, host)
        elif scope["method"] != "OPTIONS" and not _may_read(told, site):
            raise CrossSiteError("a page of another site may not load this, only link to it")


def host_name(host: str) -> str:
    """Return the name in a Host header, in lower case, without port, brackets and final dot."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    name = host if host.count(":") > 1 else host.partition(":")[0]
    return name.lower().removesuffix(".")


def _read(scope: Scope) -> tuple[list[str], dict[str, str]]:
    """Return the values of Host, and what a browser tells of the origin of a request."""
    hosts, told = [], {}
    for name, value in scope["headers"]:
        if name == b"host":
            hosts.append(value.decode("latin-1"))
        elif name == b"origin" or name.startswith(b"sec-fetch-"):
            told[name.decode("latin-1")] = value.decode("latin-1")
    return hosts, told


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _check_change(origin: str | None, site: str | None, host: str) -> None:
    """Check where a request that may change something comes from.

    Raises:
        CrossSiteError: It is from a page of another site.
    """
    if site == "same-origin":
        return
    is_foreign = origin is not None and origin.partition("://")[2].lower() != host.lower()
    if is_foreign or (site is not None and site not in OWN_SITE):
        raise CrossSiteError(
            f"a page of {origin or 'another site'!r:.80} sent this; only the service's own page"
            " and those of MINUEND_CORS_ORIGINS may"
        )


def _may_read(told: Mapping[str, str], site: str | None) -> bool:
    """Return whether a browser may load the response: for its own site, or to show it alone."""
    if site is None or site in OWN_SITE:
        return True
    is_link = told.get("sec-fetch-mode") == "navigate"
    return is_link and told.get("sec-fetch-dest", "document") == "document"
