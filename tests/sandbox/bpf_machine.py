"""Classic BPF as the kernel runs it on seccomp data, written from the manual: an oracle."""

import struct

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
EPERM = 0x00050000 | 1
ENOSYS = 0x00050000 | 38

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003}


def seccomp_data(arch: str, number: int, arguments: tuple[int, ...] = ()) -> bytes:
    """`struct seccomp_data`: number, architecture, instruction pointer, six arguments."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    masked = [word % 2**64 for word in words]
    return struct.pack("<IIQ6Q", number % 2**32, AUDIT_ARCH[arch], 0, *masked)


def evaluate(program: bytes, data: bytes) -> int:  # noqa: C901 - a case an instruction
    """The value that the program returns for this call."""
    code = list(struct.iter_unpack("<HBBI", program))
    accumulator = at = 0
    while True:
        operation, if_true, if_false, operand = code[at]
        at += 1
        match operation:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                assert operand % 4 == 0
                (accumulator,) = struct.unpack_from("<I", data, operand)
            case 0x54:  # BPF_ALU | BPF_AND | BPF_K
                accumulator &= operand
            case 0x05:  # BPF_JMP | BPF_JA
                at += operand
            case 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
                at += if_true if accumulator == operand else if_false
            case 0x25:  # BPF_JMP | BPF_JGT | BPF_K
                at += if_true if accumulator > operand else if_false
            case 0x35:  # BPF_JMP | BPF_JGE | BPF_K
                at += if_true if accumulator >= operand else if_false
            case 0x45:  # BPF_JMP | BPF_JSET | BPF_K
                at += if_true if accumulator & operand else if_false
            case 0x06:  # BPF_RET | BPF_K
                return int(operand)
            case _:
                raise AssertionError(f"no instruction of seccomp: {operation:#x}")
