"""Wrong keys from one address: past some, the address is refused for a while without being told more."""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from serving.errors import ApiError
from serving.identity.principal import Identity, Principal
from serving.identity.settings import IdentitySettings

# One household, one office: the part of an IPv6 address that its owner does not choose.
_IPV6_PREFIX_BITS = 64


class Attempts:
    """Counts wrong keys by address, in bounded memory.

    A key that was right from this address before passes even then: behind one proxy, a stranger's wrong keys must not
    lock out those who have good ones.
    """

    def __init__(self, settings: IdentitySettings, clock: Callable[[], float] = time.monotonic):
        self._settings = settings
        self._clock = clock
        # Address → end of its window, and the wrong keys in it.
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()
        # (address, digest of the header) that was right.
        self._right: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def identify(self, identity: Identity, authorization: str | None, address: str) -> Principal:
        """The caller.

        Raises:
            ApiError: 401; 429 with `retry_after_s` while the address is refused, whatever key it sends.
        """
        place = _place(address)
        refused_s = self._refused_s(place)
        seen = (place, hashlib.sha256((authorization or "").encode("utf-8", "surrogateescape")).digest())
        try:
            caller = identity.identify(authorization)
        except ApiError as error:
            # Who sends no key at all is not guessing.
            if error.status == 401 and authorization and refused_s <= 0:
                self._note(place)
            raise (_too_many(refused_s) if refused_s > 0 else error) from None
        if refused_s > 0 and seen not in self._right:
            raise _too_many(refused_s)
        self._right[seen] = None
        self._right.move_to_end(seen)
        if len(self._right) > self._settings.remembered_addresses:
            self._right.popitem(last=False)
        return caller

    def _refused_s(self, place: str) -> float:
        end, wrong = self._wrong.get(place, (0.0, 0))
        return end - self._clock() if wrong >= self._settings.wrong_keys else 0.0

    def _note(self, place: str) -> None:
        now = self._clock()
        end, wrong = self._wrong.pop(place, (0.0, 0))
        if end <= now:
            end, wrong = now + self._settings.wrong_keys_window_s, 0
        if wrong + 1 == self._settings.wrong_keys:
            end = now + self._settings.wrong_keys_window_s
        self._wrong[place] = (end, wrong + 1)
        if len(self._wrong) > self._settings.remembered_addresses:
            self._wrong.popitem(last=False)


def _too_many(retry_after_s: float) -> ApiError:
    return ApiError(
        429, "too many wrong API keys from this address", code="too_many_wrong_keys", retry_after_s=retry_after_s
    )


def _place(address: str) -> str:
    """An IPv4 address, or the network of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX_BITS), strict=False))
