"""Submitted calls as bytes."""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

from . import _payload
from ._payload import Pickler


class Encoder:
    """Encodes calls. The function of the last one is pickled once, if it has no state."""

    def __init__(self, main_is_found: bool) -> None:
        """`main_is_found`: whether workers can import what `__main__` defines."""
        self.pickler = Pickler(main_is_found)
        self._last: Any = None
        self._pickled = b""
        self._head = b""

    def call(
        self, function: Callable[..., Any], arguments: Tuple[Any, ...], keywords: Dict[str, Any]
    ) -> bytes:
        """A call as bytes. Raises what pickling raises."""
        dumps = self.pickler.dumps
        if function is not self._last:
            if not _payload.has_no_state(function):
                # In one pickle, so that what function and arguments share stays shared.
                whole = dumps((function, arguments, keywords))
                return _payload.head(_payload.WHOLE, b"") + whole
            self._pickled = dumps(function)
            self._head = _payload.head(_payload.KEPT, self._pickled)
            self._last = function
        if keywords:
            head = _payload.head(_payload.KEPT | _payload.KEYWORDS, self._pickled)
            return head + dumps((arguments, keywords))
        return self._head + dumps(arguments)
