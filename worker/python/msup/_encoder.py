"""Submitted calls as bytes."""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

from . import _payload
from ._pickling import Pickler


class Encoder:
    """Encodes calls."""

    def __init__(self, main_is_found: bool) -> None:
        """`main_is_found`: whether workers can import what `__main__` defines."""
        self.pickler = Pickler(main_is_found)
        #: The last function that was pickled by name, and the head of its calls.
        self._name = b""
        self._head = b""
        self._whole = _payload.head(_payload.WHOLE, b"")

    def call(
        self, function: Callable[..., Any], arguments: Tuple[Any, ...], keywords: Dict[str, Any]
    ) -> bytes:
        """A call as bytes. Raises what pickling raises."""
        dumps = self.pickler.dumps
        # Asked for each call: the name may stand for something else by now.
        name = self.pickler.by_name(function)
        if not name:
            # In one pickle, so that what function and arguments share stays shared. A new one for
            # each call: it contains the variables that the function uses.
            return self._whole + dumps((function, arguments, keywords))
        if name != self._name:
            self._name, self._head = name, _payload.head(_payload.KEPT, name)
        if keywords:
            head = _payload.head(_payload.KEPT | _payload.KEYWORDS, name)
            return head + dumps((arguments, keywords))
        return self._head + dumps(arguments)
