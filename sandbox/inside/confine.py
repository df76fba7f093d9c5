"""How this process gives up what it does not need: rlimits, Landlock, seccomp.

The kernel is called by number through _ctypes: the package ctypes costs 2 ms more at each start.
"""

import array
import os
import resource
from _ctypes import FUNCFLAG_CDECL, FUNCFLAG_USE_ERRNO, CFuncPtr, _SimpleCData, dlopen, dlsym
from _ctypes import get_errno as _get_errno
from typing import Any

_NUMBERS = {
    "x86_64": {"prctl": 157, "seccomp": 317},
    "aarch64": {"prctl": 167, "seccomp": 277},
}
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, _SECCOMP_MODE_FILTER = 1, 1, 2

_LANDLOCK_READ = 0b1101  # EXECUTE, READ_FILE, READ_DIR
_LANDLOCK_OF_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
_LANDLOCK_RIGHTS_BY_ABI = (0, 13, 14, 15, 15, 16)
_LANDLOCK_TCP = 0b11
_LANDLOCK_SCOPES = 0b11  # abstract Unix sockets, signals
_NOT_THERE = (38, 95)  # ENOSYS, EOPNOTSUPP


_THIS_PROGRAM: Any = None


class _Long(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "l"


class _Function(CFuncPtr):
    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO
    _restype_ = _Long


_syscall = _Function(dlsym(dlopen(_THIS_PROGRAM, 0), "syscall"))


def limit_resources(limits: dict[str, int]) -> None:
    """Set rlimits by name without RLIMIT_, hard and soft; a lower hard one stays."""
    for name, value in limits.items():
        which = getattr(resource, "RLIMIT_" + name)
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))


def limit_cpu_seconds(seconds: int) -> None:
    """From now on: SIGXCPU at the limit, SIGKILL a second later."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    wanted = soft + 1 if hard == resource.RLIM_INFINITY else min(soft + 1, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (min(soft, wanted), wanted))


def give_up_privileges() -> None:
    """No program started from here gains any, as Landlock and seccomp require."""
    _call(_number("prctl"), _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def restrict_access(rules: dict[str, Any]) -> int:
    """Landlock as the kernel's ABI has it: files, TCP, signals and abstract sockets.

    Args:
        rules: `read` and `write`, paths; those that do not exist are left out. `tcp`: is allowed.

    Returns:
        The ABI; 0: the kernel has no Landlock, and nothing is restricted.
    """
    try:
        abi = _call(_CREATE_RULESET, None, 0, 1)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return 0
        raise
    rights = (1 << _LANDLOCK_RIGHTS_BY_ABI[min(abi, 5)]) - 1
    handled = [rights]
    if abi >= 4:
        handled.append(0 if rules["tcp"] else _LANDLOCK_TCP)
    if abi >= 6:
        handled.append(_LANDLOCK_SCOPES)
    attributes = b"".join(each.to_bytes(8, "little") for each in handled)
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for path in rules["read"]:
            _allow_beneath(ruleset, path, _LANDLOCK_READ)
        for path in rules["write"]:
            _allow_beneath(ruleset, path, rights)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return abi


def filter_system_calls(program: bytes) -> None:
    """Install a seccomp filter, an array of `struct sock_filter`, on all threads."""
    code = array.array("B", program)
    address, size = code.buffer_info()
    # struct sock_fprog: 16 bits of length, padding, pointer; both machines are little-endian.
    descriptor = array.array("Q", [size // 8, address])
    pointer = descriptor.buffer_info()[0]
    flags = _SECCOMP_FILTER_FLAG_TSYNC
    try:
        thread = _call(_number("seccomp"), _SECCOMP_SET_MODE_FILTER, flags, pointer)
        if thread:
            raise RuntimeError(f"thread {thread} cannot be filtered")
    except OSError:
        _call(_number("prctl"), _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, pointer, 0, 0)


def _allow_beneath(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        # What cannot be reached needs no permission.
        return
    try:
        if not os.path.isdir(path):
            rights &= _LANDLOCK_OF_FILES
        rule = rights.to_bytes(8, "little") + descriptor.to_bytes(4, "little")
        _call(_ADD_RULE, ruleset, 1, rule, 0)
    finally:
        os.close(descriptor)


def _number(name: str) -> int:
    machine = os.uname().machine
    if machine not in _NUMBERS:
        raise OSError(f"the sandbox does not know the system calls of {machine}")
    return _NUMBERS[machine][name]


def _call(number: int, *arguments: int | bytes | None) -> int:
    words = [_Long(each) if isinstance(each, int) else each for each in arguments]
    answer = _syscall(_Long(number), *words)
    value: int = getattr(answer, "value", answer)
    if value < 0:
        code = _get_errno()
        raise OSError(code, f"system call {number}: {os.strerror(code)}")
    return value
