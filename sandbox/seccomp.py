"""The seccomp filters: which system calls a sandboxed process may make.

The outer filter holds from the first instruction inside; bubblewrap installs it. The late filter
is the outer one and more; the process installs it on itself before a tool's code runs. Both deny
by list: what is in no table of syscalls.py does not exist (ENOSYS), other machines' calls kill.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from sandbox.bpf import (
    Piece,
    assemble,
    if_any_bit,
    if_at_least,
    if_equal,
    if_one_of,
    load,
    mask,
    verdict,
)
from sandbox.errors import SandboxUnavailable
from sandbox.syscalls import SYSCALLS

_ALLOW: Final = verdict(0x7FFF0000)
_KILL_PROCESS: Final = verdict(0x80000000)
_EPERM: Final = verdict(0x00050000 | 1)
_ENOSYS: Final = verdict(0x00050000 | 38)

_AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_CALLS: Final = 0x40000000
_NUMBER: Final = 0
_ARCH: Final = 4
_ARGUMENTS: Final = 16

_CLONE_THREAD: Final = 0x00010000
_CLONE_NEW_NAMESPACE: Final = 0x7E020000  # NEWNS, CGROUP, UTS, IPC, USER, PID, NET
_AF_UNIX, _AF_INET = 1, 2
_SOCK_STREAM: Final = 1
_SOCK_TYPE_BITS: Final = 0xF
_TCP: Final = (0, 6)  # 0: the usual protocol of a stream. Not MPTCP or SCTP.
_TERMINAL: Final = (0x5412, 0x541C, 0x5423)  # TIOCSTI, TIOCLINUX, TIOCSETD
_SET_OWNER: Final = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX
_SET_SOCKET_OWNER: Final = (0x8901, 0x8902)  # FIOSETOWN, SIOCSPGRP
_PR_SET_SECCOMP: Final = 22

_SOCKETS: Final = "socket connect bind listen accept accept4 setsockopt"

_DENIED: Final = """
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp
    pidfd_open pidfd_getfd pidfd_send_signal
    bpf userfaultfd perf_event_open lookup_dcookie syslog
    add_key request_key keyctl
    unshare setns mount umount2 pivot_root chroot mount_setattr open_tree move_mount
    fsopen fsconfig fsmount fspick
    name_to_handle_at open_by_handle_at fanotify_init fanotify_mark
    kexec_load kexec_file_load init_module finit_module delete_module create_module query_module
    get_kernel_syms reboot swapon swapoff quotactl quotactl_fd acct vhangup
    sethostname setdomainname settimeofday clock_settime clock_adjtime adjtimex
    shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl
    mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
    setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset
    personality modify_ldt iopl ioperm remap_file_pages vmsplice
    sched_setparam sched_setscheduler sched_setattr sched_setaffinity setpriority ioprio_set
    mlock mlock2 mlockall mbind set_mempolicy set_mempolicy_home_node migrate_pages move_pages
    uselib ustat sysfs _sysctl nfsservctl
"""

_ABSENT: Final = """
    io_uring_setup io_uring_enter io_uring_register io_setup io_destroy io_getevents io_submit
    io_cancel io_pgetevents memfd_create memfd_secret
"""
"""These answer ENOSYS, so that a library takes its older way instead of failing."""

_NEW_PROCESSES: Final = "fork vfork execve execveat"
_TO_REACH_A_PROXY: Final = "connect setsockopt bind listen"
_TO_LISTEN: Final = "bind listen"
_MORE_RULES: Final = "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self"
"""What boot needed before the late filter; afterwards it is only kernel surface."""

_OF_FILES: Final = """
    chmod fchmod fchmodat chown fchown lchown fchownat utime utimes futimesat utimensat
    setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr inotify_add_watch
"""
_SIGNALS: Final = "kill tgkill rt_sigqueueinfo rt_tgsigqueueinfo"


def outer_filter(arch: str, network: bool = False) -> bytes:
    """The filter for everything inside, as an array of `struct sock_filter`.

    Args:
        arch: as `uname -m` names it.
        network: TCP sockets may be made and connected, and listen until the late filter comes.
            The namespace has a loopback and no more; what listens there is a proxy (proxy.py).

    Raises:
        SandboxUnavailable: there is no table for this machine.
    """
    return assemble(_program(arch, _outer_rules(network)))


def late_filter(
    arch: str, subprocesses: bool = False, network: bool = False, alone_as: int | None = None
) -> bytes:
    """The filter for a tool's own code: the outer one, and no new processes unless granted.

    Threads work either way.

    Args:
        alone_as: id of a process without namespaces of its own. It may then not touch others of
            its user, nor what Landlock leaves open of their files: modes, owners, times, watches.

    Raises:
        SandboxUnavailable: there is no table for this machine; or a network is granted to a
            process without a network namespace.
    """
    rules = {
        **_outer_rules(network),
        **dict.fromkeys(_MORE_RULES.split(), _EPERM),
        **dict.fromkeys(_TO_LISTEN.split(), _EPERM),
        "prctl": _argument(0, if_equal(_PR_SET_SECCOMP, _EPERM, _ALLOW)),
    }
    if not subprocesses:
        rules.update(dict.fromkeys(_NEW_PROCESSES.split(), _EPERM))
        rules["clone"] = _argument(0, if_any_bit(_CLONE_THREAD, _no_namespace(), _EPERM))
    if alone_as is not None:
        if network:
            raise SandboxUnavailable(
                "without a network namespace a granted host cannot be told from any other",
                "Remove the tool's network grants, or run it where bubblewrap works",
            )
        rules |= _rules_beside_others(alone_as)
    return assemble(_program(arch, rules))


def _outer_rules(network: bool) -> dict[str, Piece]:
    rules = {
        **dict.fromkeys(_DENIED.split(), _EPERM),
        **dict.fromkeys(_ABSENT.split(), _ENOSYS),
        **dict.fromkeys(_SOCKETS.split(), _EPERM),
        "socketpair": _unix_stream(),
        "clone": _argument(0, _no_namespace()),
        # Its flags are behind a pointer, where no filter sees them. C libraries fall back to clone.
        "clone3": _ENOSYS,
        "ioctl": _argument(1, if_one_of(_TERMINAL, _EPERM, _ALLOW)),
    }
    if network:
        rules |= {"socket": _tcp(), **dict.fromkeys(_TO_REACH_A_PROXY.split(), _ALLOW)}
    return rules


def _rules_beside_others(own_id: int) -> dict[str, Piece]:
    itself = _argument(0, if_equal(own_id, _ALLOW, _EPERM))
    return {
        **dict.fromkeys(_OF_FILES.split(), _EPERM),
        **dict.fromkeys(_SIGNALS.split(), itself),
        "tkill": _EPERM,  # takes a thread, which nobody knows yet
        "prlimit64": _argument(0, if_one_of((0, own_id), _ALLOW, _EPERM)),
        # A descriptor can be told to send any signal to any process.
        "fcntl": _argument(1, if_one_of(_SET_OWNER, _EPERM, _ALLOW)),
        "ioctl": _argument(1, if_one_of((*_TERMINAL, *_SET_SOCKET_OWNER), _EPERM, _ALLOW)),
    }


def _no_namespace() -> Piece:
    return if_any_bit(_CLONE_NEW_NAMESPACE, _EPERM, _ALLOW)


def _unix_stream() -> Piece:
    # A datagram socket would be able to send to any other by name, even one of a pair.
    return _argument(0, if_equal(_AF_UNIX, _stream(_ALLOW), _EPERM))


def _tcp() -> Piece:
    by_protocol = _argument(2, if_one_of(_TCP, _ALLOW, _EPERM))
    return _argument(0, if_equal(_AF_INET, _stream(by_protocol), _EPERM))


def _stream(then: Piece) -> Piece:
    return _argument(1, mask(_SOCK_TYPE_BITS, if_equal(_SOCK_STREAM, then, _EPERM)))


def _argument(index: int, then: Piece) -> Piece:
    # The low word only: the kernel cuts these arguments to an int as well, so that looking at the
    # high word would let TIOCSTI + (1 << 32) through.
    return load(_ARGUMENTS + 8 * index, then)


def _program(arch: str, rules: Mapping[str, Piece]) -> Piece:
    if arch not in SYSCALLS:
        raise SandboxUnavailable(
            f"there is no table of system calls for {arch[:40]!a}",
            f"It takes one of {', '.join(SYSCALLS)}",
        )
    numbers = {number: rules.get(name, _ALLOW) for name, number in SYSCALLS[arch].items()}
    starts = list(_runs(numbers.get(n, _ENOSYS) for n in range(max(numbers) + 2)))
    if arch == "x86_64":
        starts.append((_X32_CALLS, _KILL_PROCESS))
    return load(_ARCH, if_equal(_AUDIT_ARCH[arch], load(_NUMBER, _search(starts)), _KILL_PROCESS))


def _runs(pieces: Iterable[Piece]) -> Iterable[tuple[int, Piece]]:
    """Where a piece differs from the one before it."""
    before: Piece | None = None
    for number, piece in enumerate(pieces):
        if piece != before:
            yield number, piece
        before = piece


def _search(starts: list[tuple[int, Piece]]) -> Piece:
    """Branch to the piece of the last start that is not above the number."""
    if len(starts) == 1:
        return starts[0][1]
    middle = len(starts) // 2
    return if_at_least(starts[middle][0], _search(starts[middle:]), _search(starts[:middle]))
