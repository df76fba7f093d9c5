"""What the filters allow, by an interpreter of BPF, and by libseccomp as a second opinion."""

import re
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from sandbox.errors import SandboxUnavailable
from sandbox.seccomp import late_filter, outer_filter
from sandbox.syscalls import SYSCALLS
from tests.sandbox import libseccomp
from tests.sandbox.bpf_machine import (
    ALLOW,
    AUDIT_ARCH,
    ENOSYS,
    EPERM,
    KILL_PROCESS,
    evaluate,
    seccomp_data,
)

ARCHES: Final = ("x86_64", "aarch64")
NEW_NAMESPACES: Final = {
    "NEWNS": 0x20000, "NEWCGROUP": 0x2000000, "NEWUTS": 0x4000000, "NEWIPC": 0x8000000,
    "NEWUSER": 0x10000000, "NEWPID": 0x20000000, "NEWNET": 0x40000000,
}  # fmt: skip
THREAD: Final = 0x3D0F00  # what glibc's pthread_create passes
FORK: Final = 0x1200011
VFORK: Final = 0x4111

NEVER: Final = """
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp pidfd_open
    pidfd_getfd pidfd_send_signal bpf userfaultfd perf_event_open lookup_dcookie syslog add_key
    request_key keyctl unshare setns mount umount2 pivot_root chroot mount_setattr open_tree
    move_mount fsopen fsconfig fsmount fspick name_to_handle_at open_by_handle_at fanotify_init
    fanotify_mark kexec_load kexec_file_load init_module finit_module delete_module create_module
    query_module get_kernel_syms reboot swapon swapoff quotactl quotactl_fd acct vhangup
    sethostname setdomainname settimeofday clock_settime clock_adjtime adjtimex shmget shmat
    shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink
    mq_timedsend mq_timedreceive mq_notify mq_getsetattr setuid setgid setreuid setregid setresuid
    setresgid setfsuid setfsgid setgroups capset personality modify_ldt iopl ioperm
    remap_file_pages vmsplice sched_setparam sched_setscheduler sched_setattr sched_setaffinity
    setpriority ioprio_set mlock mlock2 mlockall mbind set_mempolicy set_mempolicy_home_node
    migrate_pages move_pages uselib ustat sysfs _sysctl nfsservctl accept accept4
""".split()
NOT_THERE: Final = """
    clone3 io_uring_setup io_uring_enter io_uring_register io_setup io_destroy io_getevents
    io_submit io_cancel io_pgetevents memfd_create memfd_secret
""".split()
WITHOUT_NETWORK: Final = "socket connect setsockopt".split()
NEW_PROCESSES: Final = "fork vfork execve execveat".split()
TO_LISTEN: Final = "bind listen".split()
ONLY_BEFORE_THE_TOOL: Final = """
    seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self
""".split()
OF_FILES: Final = """
    chmod fchmod fchmodat chown fchown lchown fchownat utime utimes futimesat utimensat setxattr
    lsetxattr fsetxattr removexattr lremovexattr fremovexattr inotify_add_watch
""".split()
HONEST: Final = """
    read write openat close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask
    rt_sigreturn ioctl pread64 pwrite64 readv writev pipe2 dup dup3 nanosleep clock_nanosleep
    getpid sendto recvfrom sendmsg recvmsg shutdown getsockname getpeername getsockopt exit
    exit_group wait4 waitid kill tgkill uname fcntl flock fsync ftruncate getdents64 getcwd chdir
    renameat2 mkdirat unlinkat symlinkat readlinkat fchmod fchmodat umask gettimeofday getrusage
    sysinfo times getuid getrlimit setrlimit prlimit64 sched_yield sched_getaffinity futex
    set_tid_address set_robust_list rseq getrandom statx newfstatat faccessat faccessat2 openat2
    close_range copy_file_range sendfile splice eventfd2 epoll_create1 epoll_ctl epoll_pwait ppoll
    pselect6 timerfd_create signalfd4 inotify_init1 madvise mremap mincore membarrier sigaltstack
    clock_gettime clock_getres timer_create setitimer get_mempolicy futex_waitv
""".split()


def verdict(program: bytes, arch: str, name: str, *arguments: int) -> int:
    return evaluate(program, seccomp_data(arch, SYSCALLS[arch][name], arguments))


def all_filters(arch: str) -> dict[str, bytes]:
    late = {
        f"late, subprocesses {processes}, network {network}": late_filter(arch, processes, network)
        for processes, network in product((False, True), repeat=2)
    }
    outer = {f"outer, network {each}": outer_filter(arch, each) for each in (False, True)}
    return {**outer, **late}


def known(arch: str, names: list[str]) -> list[str]:
    return [name for name in names if name in SYSCALLS[arch]]


@pytest.mark.parametrize("arch", ARCHES)
def test_what_no_tool_needs_is_denied_by_every_filter(arch: str) -> None:
    for which, program in all_filters(arch).items():
        for name in known(arch, NEVER):
            assert verdict(program, arch, name) == EPERM, (which, name)
        for name in known(arch, NOT_THERE):
            assert verdict(program, arch, name) == ENOSYS, (which, name)


@pytest.mark.parametrize("arch", ARCHES)
def test_what_honest_code_needs_is_allowed_by_every_filter(arch: str) -> None:
    for which, program in all_filters(arch).items():
        for name in HONEST:
            assert verdict(program, arch, name) == ALLOW, (which, name)


def test_every_denied_name_is_one_of_a_real_call() -> None:
    named = {
        *NEVER,
        *NOT_THERE,
        *WITHOUT_NETWORK,
        *TO_LISTEN,
        *NEW_PROCESSES,
        *ONLY_BEFORE_THE_TOOL,
        *OF_FILES,
    }
    assert named <= SYSCALLS["x86_64"].keys() | SYSCALLS["aarch64"].keys()


@pytest.mark.parametrize("arch", ARCHES)
def test_a_number_in_no_table_does_not_exist(arch: str) -> None:
    numbers = set(SYSCALLS[arch].values())
    gaps = [n for n in [*range(1_000), 0x3FFFFFFF] if n not in numbers]
    for which, program in all_filters(arch).items():
        for number in gaps:
            assert evaluate(program, seccomp_data(arch, number)) == ENOSYS, (which, number)


def test_x32_calls_kill() -> None:
    for program in all_filters("x86_64").values():
        for number in (0, 39, 512, 547, 0x3FFFFFFF):
            data = seccomp_data("x86_64", 0x40000000 + number)
            assert evaluate(program, data) == KILL_PROCESS
        assert evaluate(program, seccomp_data("x86_64", -1)) == KILL_PROCESS


@pytest.mark.parametrize("arch", ARCHES)
def test_calls_of_another_machine_kill(arch: str) -> None:
    for program in all_filters(arch).values():
        for other in AUDIT_ARCH.keys() - {arch}:
            assert evaluate(program, seccomp_data(other, 0)) == KILL_PROCESS


@pytest.mark.parametrize("arch", ARCHES)
def test_no_filter_lets_a_new_namespace_be_made(arch: str) -> None:
    for which, program in all_filters(arch).items():
        for flag, base in product(NEW_NAMESPACES.values(), (0, FORK, THREAD)):
            assert verdict(program, arch, "clone", flag | base) == EPERM, (which, flag, base)


@pytest.mark.parametrize("arch", ARCHES)
def test_threads_start_under_every_filter_and_processes_only_where_granted(arch: str) -> None:
    for which, program in all_filters(arch).items():
        expected = EPERM if "subprocesses False" in which else ALLOW
        assert verdict(program, arch, "clone", THREAD) == ALLOW, which
        for flags in (FORK, VFORK, 0):
            assert verdict(program, arch, "clone", flags) == expected, (which, flags)
        for name in known(arch, NEW_PROCESSES):
            assert verdict(program, arch, name) == expected, (which, name)


@pytest.mark.parametrize("arch", ARCHES)
def test_sockets_are_pairs_of_unix_streams_and_with_network_tcp(arch: str) -> None:
    for which, program in all_filters(arch).items():
        granted = "network True" in which
        for family, kind in product(range(46), range(16)):
            for flags in (0, 0o2000000, 0o4000, 1 << 32):
                pair = verdict(program, arch, "socketpair", family, kind | flags)
                assert pair == (ALLOW if (family, kind) == (1, 1) else EPERM), (which, family)
                made = verdict(program, arch, "socket", family, kind | flags)
                is_tcp = (family, kind) == (2, 1) and granted
                assert made == (ALLOW if is_tcp else EPERM), (which, family, kind)
        for protocol in (0, 6, 1, 17, 132, 262):
            made = verdict(program, arch, "socket", 2, 1, protocol)
            assert made == (ALLOW if granted and protocol in (0, 6) else EPERM), (which, protocol)
        for name in ("connect", "setsockopt"):
            assert verdict(program, arch, name) == (ALLOW if granted else EPERM), which
        for name in TO_LISTEN:
            listens = granted and which.startswith("outer")
            assert verdict(program, arch, name) == (ALLOW if listens else EPERM), which


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("high", [0, 1 << 32, 0xFFFFFFFF << 32])
def test_no_terminal_is_typed_into_whatever_the_upper_half_of_the_request(
    arch: str, high: int
) -> None:
    for program in all_filters(arch).values():
        for request in (0x5412, 0x541C, 0x5423):
            assert verdict(program, arch, "ioctl", 1, request | high) == EPERM
        assert verdict(program, arch, "ioctl", 1, 0x5413 | high) == ALLOW


@pytest.mark.parametrize("arch", ARCHES)
def test_only_the_outer_filters_let_further_restrictions_be_installed(arch: str) -> None:
    for which, program in all_filters(arch).items():
        expected = ALLOW if which.startswith("outer") else EPERM
        for name in ONLY_BEFORE_THE_TOOL:
            assert verdict(program, arch, name) == expected, which
        assert verdict(program, arch, "prctl", 22) == expected, which
        assert verdict(program, arch, "prctl", 15) == ALLOW, which


@pytest.mark.parametrize("arch", ARCHES)
def test_without_namespaces_a_process_signals_and_limits_only_itself(arch: str) -> None:
    program = late_filter(arch, alone_as=77)
    for name in ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"):
        assert verdict(program, arch, name, 77, 9) == ALLOW
        for other in (0, 1, 76, 78, -1, -77):
            assert verdict(program, arch, name, other, 9) == EPERM, (name, other)
    assert verdict(program, arch, "tkill", 77, 9) == EPERM
    assert [verdict(program, arch, "prlimit64", pid) for pid in (0, 77, 1)] == [ALLOW, ALLOW, EPERM]
    owners = [("fcntl", 8), ("fcntl", 10), ("fcntl", 15), ("ioctl", 0x8901), ("ioctl", 0x8902)]
    for name, request in [*owners, ("ioctl", 0x5412)]:
        assert verdict(program, arch, name, 5, request) == EPERM, (name, request)
    assert verdict(program, arch, "fcntl", 5, 1) == verdict(program, arch, "ioctl", 5, 1) == ALLOW


@pytest.mark.parametrize("arch", ARCHES)
def test_without_namespaces_no_file_gets_another_mode_owner_or_time(arch: str) -> None:
    program = late_filter(arch, alone_as=77)
    for name in known(arch, OF_FILES):
        assert verdict(program, arch, name) == EPERM, name
    honest = set(HONEST) - {*OF_FILES, "kill", "tgkill"}
    for name in honest:
        assert verdict(program, arch, name) == ALLOW, name


def test_without_namespaces_no_network_can_be_granted() -> None:
    with pytest.raises(SandboxUnavailable, match="without a network namespace"):
        late_filter("x86_64", network=True, alone_as=77)


def test_a_machine_without_a_table_is_refused() -> None:
    with pytest.raises(SandboxUnavailable, match="no table of system calls for 'riscv64'"):
        outer_filter("riscv64")


@pytest.mark.parametrize("arch", ARCHES)
def test_libseccomp_compiles_the_same_policy_to_the_same_verdicts(arch: str) -> None:
    try:
        lib = libseccomp.library()
    except OSError as error:
        pytest.skip(f"no libseccomp to compare with: {error}")
    policy = libseccomp.Policy(lib, AUDIT_ARCH[arch], KILL_PROCESS, ALLOW)
    for name in [*NEVER, *WITHOUT_NETWORK, *TO_LISTEN, *NEW_PROCESSES, *ONLY_BEFORE_THE_TOOL]:
        policy.add(EPERM, name)
    for name in NOT_THERE:
        policy.add(ENOSYS, name)
    masked = libseccomp.MASKED_EQ
    for flag in NEW_NAMESPACES.values():
        policy.add(EPERM, "clone", [(0, masked, flag, flag)])
    policy.add(EPERM, "clone", [(0, masked, 0x10000, 0)])
    policy.add(EPERM, "socketpair", [(0, libseccomp.NOT_EQUAL, 1, 0)])
    for kind in {*range(16)} - {1}:
        policy.add(EPERM, "socketpair", [(1, masked, 0xF, kind)])
    for request in (0x5412, 0x541C, 0x5423):
        policy.add(EPERM, "ioctl", [(1, masked, 0xFFFFFFFF, request)])
    policy.add(EPERM, "prctl", [(0, masked, 0xFFFFFFFF, 22)])
    theirs, ours = policy.program(), late_filter(arch)
    cases = [(), (1, 1), (1, 2), (2, 1), (0, 0x5412), (0, 1 << 32 | 0x541C), (22,), (THREAD,),
             (FORK,), (THREAD | 0x20000,), (0x10000,), (1, 1 | 0o2000000)]  # fmt: skip
    for number, arguments in product(SYSCALLS[arch].values(), cases):
        data = seccomp_data(arch, number, arguments)
        assert evaluate(ours, data) == evaluate(theirs, data), (number, arguments)


@pytest.mark.parametrize("arch", ARCHES)
def test_libseccomp_knows_each_call_by_the_same_number(arch: str) -> None:
    try:
        lib = libseccomp.library()
    except OSError as error:
        pytest.skip(f"no libseccomp to compare with: {error}")
    resolve = lib.seccomp_syscall_resolve_name_arch
    for name, number in SYSCALLS[arch].items():
        assert resolve(AUDIT_ARCH[arch], name.encode()) == number, name


def test_the_table_of_x86_64_is_that_of_the_kernel_headers() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip(f"no kernel headers at {header}")
    found = re.findall(r"#define __NR_(\w+)\s+(\d+)", header.read_text("ascii"))
    theirs = {name: int(number) for name, number in found}
    assert {name: theirs[name] for name in SYSCALLS["x86_64"]} == SYSCALLS["x86_64"]
