"""libseccomp's own compiler of filters, through ctypes: an oracle for ours."""

import ctypes
import os
import tempfile
from collections.abc import Iterable
from typing import Any

MASKED_EQ = 7
NOT_EQUAL = 1
_BAD_ARCH_ACTION = 2


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def library() -> Any:
    """libseccomp; OSError: it is not installed."""
    found = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    found.seccomp_init.restype = ctypes.c_void_p
    return found


class Policy:
    """A filter that allows all but what is added, for one machine."""

    def __init__(self, lib: Any, audit_arch: int, bad_arch: int, allow: int) -> None:
        self._lib = lib
        self._context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(allow)))
        native = lib.seccomp_arch_native()
        if ctypes.c_uint32(native).value != audit_arch:
            assert lib.seccomp_arch_add(self._context, ctypes.c_uint32(audit_arch)) == 0
            assert lib.seccomp_arch_remove(self._context, native) == 0
        arguments = (self._context, _BAD_ARCH_ACTION, ctypes.c_uint32(bad_arch))
        assert lib.seccomp_attr_set(*arguments) == 0

    def add(
        self, action: int, name: str, comparisons: Iterable[tuple[int, int, int, int]] = ()
    ) -> None:
        """Answer the call so, if all comparisons hold."""
        number = self._lib.seccomp_syscall_resolve_name(name.encode())
        given = [_Comparison(*each) for each in comparisons]
        array = (_Comparison * max(1, len(given)))(*given)
        self._lib.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, len(given), array
        )

    def program(self) -> bytes:
        """As an array of `struct sock_filter`."""
        with tempfile.TemporaryFile() as file:
            assert self._lib.seccomp_export_bpf(self._context, file.fileno()) == 0
            size = os.fstat(file.fileno()).st_size
            return os.pread(file.fileno(), size, 0)
