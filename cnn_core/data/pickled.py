"""Pickles that hold arrays, read without executing them.

Python's ``pickle`` is a small machine that may call any function a file names. This is the part of it that
builds numbers, strings, bytes, lists, dicts and numeric numpy arrays. There is nothing to call but the
constructors of arrays, and those are stand-ins: no function of numpy, or of anything else, runs on what the
file says before it is checked.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# One byte can be an instruction that makes an object of 64, so their number bounds the memory.
_MOST_INSTRUCTIONS = 2**18  # a file of CIFAR-10 has 40,000
_NUMERIC = re.compile(r"b1|[iu][1248]|f[248]")

# Opcodes whose argument is the value itself.
_LITERALS = frozenset(
    [
        *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    ]
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def load_pickled(content: bytes, name: str) -> Any:
    """What a pickle of plain data and numpy arrays (protocols 2 to 5) holds.

    Strings of Python 2 come as bytes. Arrays are read-only views of what was read, and there is a limit on
    the number of instructions, so nothing grows much beyond the size of the pickle.

    Parameters
    ----------
    content : bytes
        The pickle.
    name : str
        Where it came from, for messages.

    Raises
    ------
    ValueError
        If it is truncated or damaged, has more than 262,144 instructions, or holds anything but numbers,
        strings, bytes, arrays of numbers, lists of these, and dicts of these under keys that are strings,
        bytes or integers.
    """
    import pickletools

    machine = _Machine(len(content))
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if count == _MOST_INSTRUCTIONS:
                raise ValueError(f"has more than {_MOST_INSTRUCTIONS} instructions")
            machine.step(opcode.name, argument)
        return machine.result()
    # Warning: of escapes that no pickle has, where warnings are errors.
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, Warning) as error:
        raise ValueError(f"{name}: not a pickle of plain arrays: {error or type(error).__name__}") from error


def _text(value: Any) -> Any:
    return value.decode("ascii") if isinstance(value, bytes) else value


def _shown(value: Any) -> str:
    """A value for a message: strings up to a length, of others the type, as they may be endless."""
    return repr(value[:80]) if isinstance(value, str) else f"a {type(value).__name__}"


class _Dtype:
    """Stand-in for numpy.dtype: a type of numbers and its byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        code = _text(code)
        if not isinstance(code, str) or not _NUMERIC.fullmatch(code):
            raise ValueError(f"arrays of {_shown(code)} are not numeric")
        self.dtype = np.dtype(code)

    def set_state(self, state: Any) -> None:
        _, order, *structure = state[:5]
        order = _text(order)
        if order not in ("<", ">", "=", "|") or any(part is not None for part in structure):
            raise ValueError("the state of a dtype is not that of a number")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stand-in for numpy.ndarray: receives a shape, a type and bytes, and becomes an array when they fit."""

    def __init__(self, *_: Any) -> None:
        self.array: np.ndarray | None = None

    def set_state(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self.array = _as_array(content, dtype, shape, "F" if fortran else "C")


def _as_array(content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(content, (bytes, bytearray)) or not isinstance(dtype, _Dtype):
        raise ValueError("an array needs bytes and a numeric dtype")
    if order not in ("C", "F"):
        raise ValueError(f"{_shown(order)} is not an order of axes")
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError("a shape is not a tuple of lengths")
    return np.frombuffer(content, dtype.dtype).reshape(shape, order=order)


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.array = _as_array(content, dtype, shape, order)
    return array


def _encode(text: Any, encoding: Any) -> bytes:
    if encoding != "latin1":
        raise ValueError(f"bytes encoded as {_shown(encoding)}")
    return text.encode("latin-1")


@dataclass(frozen=True)
class _Global:
    """Something that a pickle names in order to call it."""

    call: Callable[..., Any]


# numpy's names of before and after version 2, and the way in which protocol 2 writes bytes.
_GLOBALS = {
    ("numpy", "dtype"): _Global(_Dtype),
    ("numpy", "ndarray"): _Global(_Array),
    ("numpy.core.multiarray", "_reconstruct"): _Global(_Array),
    ("numpy._core.multiarray", "_reconstruct"): _Global(_Array),
    ("numpy.core.numeric", "_frombuffer"): _Global(_from_buffer),
    ("numpy._core.numeric", "_frombuffer"): _Global(_from_buffer),
    ("_codecs", "encode"): _Global(_encode),
}


class _Machine:
    """The stack, the marks and the memo of a pickle that is being read."""

    def __init__(self, size: int) -> None:
        self.encodable = size
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:
        if len(self.stack) != 1:
            raise ValueError(f"ends with {len(self.stack)} values instead of one")
        return _plain(self.stack[0])

    def step(self, opcode: str, argument: Any) -> None:
        """Execute one instruction."""
        stack = self.stack
        if opcode in _LITERALS:
            stack.append(argument)
        elif opcode in ("BINSTRING", "SHORT_BINSTRING"):
            stack.append(argument.encode("latin-1"))
        elif opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode])
        elif opcode in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif opcode == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif opcode in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif opcode == "MARK":
            self.marks.append(len(stack))
        elif opcode == "EMPTY_DICT":
            stack.append({})
        elif opcode == "EMPTY_LIST":
            stack.append([])
        elif opcode == "TUPLE":
            stack.append(tuple(self._pop_to_mark()))
        elif opcode in _TUPLES:
            stack.append(tuple(self._pop(_TUPLES[opcode])))
        elif opcode == "APPEND":
            self._extend(self._pop(1))
        elif opcode == "APPENDS":
            self._extend(self._pop_to_mark())
        elif opcode == "SETITEM":
            self._update(self._pop(2))
        elif opcode == "SETITEMS":
            self._update(self._pop_to_mark())
        elif opcode == "GLOBAL":
            stack.append(_global(*argument.split(" ", 1)))
        elif opcode == "STACK_GLOBAL":
            stack.append(_global(*self._pop(2)))
        elif opcode == "REDUCE":
            stack.append(self._call(*self._pop(2)))
        elif opcode == "BUILD":
            (state,) = self._pop(1)
            if not isinstance(stack[-1], (_Array, _Dtype)):
                raise ValueError(f"sets the state of a {type(stack[-1]).__name__}")
            stack[-1].set_state(state)
        elif opcode not in ("PROTO", "FRAME", "STOP"):
            raise ValueError(f"instruction {opcode} is not for plain arrays")

    def _call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise ValueError(f"calls a {type(function).__name__}")
        value = function.call(*arguments)
        if isinstance(value, bytes):
            # One text, encoded over and over, would fill the memory.
            self.encodable -= len(value)
            if self.encodable < 0:
                raise ValueError("encodes more than it holds")
        return value

    def _pop(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise ValueError("takes more values than it has given")
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def _pop_to_mark(self) -> list[Any]:
        return self._pop(len(self.stack) - self.marks.pop())

    def _extend(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError(f"appends to a {type(self.stack[-1]).__name__}")
        self.stack[-1].extend(map(_plain, values))

    def _update(self, values: list[Any]) -> None:
        target, keys = self.stack[-1], values[::2]
        if not isinstance(target, dict) or len(values) % 2:
            raise ValueError(f"sets items of a {type(target).__name__}")
        for key in keys:
            # The hash of deeply nested tuples would exhaust the stack of the interpreter.
            if not isinstance(key, (str, bytes, int)):
                raise ValueError(f"has a dict with a key of type {type(key).__name__}")
        target.update(zip(keys, map(_plain, values[1::2]), strict=True))


def _global(module: Any, name: Any) -> _Global:
    # Strings first: to look up anything else would hash it, however deep it is.
    if not (isinstance(module, str) and isinstance(name, str) and (module, name) in _GLOBALS):
        raise ValueError(f"names {_shown(module)} {_shown(name)}, which is not allowed")
    return _GLOBALS[module, name]


def _plain(value: Any) -> Any:
    """A value of the result: the array that a stand-in has become, or plain data as it is."""
    if isinstance(value, _Array) and value.array is not None:
        return value.array
    if isinstance(value, (_Array, _Dtype, _Global, tuple)):
        raise ValueError(f"holds a {type(value).__name__.strip('_').lower()} where plain data belong")
    return value
