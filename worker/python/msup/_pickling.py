"""Pickles: by pickle, and by cloudpickle what that cannot pickle."""

from __future__ import annotations

import copyreg
import pickle
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

PROTOCOL = 5

#: What pickle raises for lambdas and the like.
UNPICKLABLE = (pickle.PicklingError, AttributeError, TypeError)

#: How the messages of pickle begin, in all versions of Python, about what has no name in a module.
_NAMELESS = ("Can't pickle ", "Can't get local ")

_WAY_OUT = (
    "define it at the top level of a module, or install cloudpickle (pip install cloudpickle)"
)


class Pickler:
    """Pickles, with cloudpickle where pickle cannot. `main_is_found`: workers can import what is
    defined in `__main__`; else that has to be sent, too, which needs cloudpickle."""

    def __init__(self, main_is_found: bool = True) -> None:
        self._main_is_found = main_is_found

    def dumps(self, value: Any) -> bytes:
        """The pickle of a value. Raises what pickling raises."""
        try:
            data = pickle.dumps(value, PROTOCOL)
        except UNPICKLABLE as why:
            cloudpickle = _cloudpickle()
            if cloudpickle is None:
                if isinstance(why, TypeError) or not str(why).startswith(_NAMELESS):
                    raise
                raise pickle.PicklingError(f"{why}: {_WAY_OUT}") from None
            return bytes(cloudpickle.dumps(value, PROTOCOL))
        if self._main_is_found or b"__main__" not in data:
            return data
        cloudpickle = _cloudpickle()
        if cloudpickle is None:
            raise pickle.PicklingError(
                "workers cannot import what is defined in an interactive session: install "
                "cloudpickle (pip install cloudpickle), or move it into a module"
            )
        return bytes(cloudpickle.dumps(value, PROTOCOL))

    def by_name(self, function: Any) -> bytes:
        """The pickle of a function that is its module and its name: a worker may keep
        it. Empty for any other function: its pickle contains what it uses, as that is now."""
        if not _may_be_a_name(function):
            return b""
        try:
            data = pickle.dumps(function, PROTOCOL)
        except UNPICKLABLE:
            return b""
        return data if self._main_is_found or b"__main__" not in data else b""


def _may_be_a_name(function: Any) -> bool:
    """Whether pickle, if it can pickle this, writes nothing but a name."""
    if isinstance(function, FunctionType):
        return True
    if isinstance(function, BuiltinFunctionType):
        return function.__self__ is None or isinstance(function.__self__, ModuleType)
    # A program may have said how classes of some metaclass are pickled.
    return isinstance(function, type) and type(function) not in copyreg.dispatch_table


def _cloudpickle() -> Any:
    """The module, or None if it is not installed."""
    try:
        import cloudpickle  # type: ignore[import-untyped]
    except ImportError:
        return None
    return cloudpickle
