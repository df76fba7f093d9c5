"""What the system says of a path, as errors for whoever named it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sandbox.errors import FileMissing, FileRefused

_REFUSED: Final = {
    errno.ELOOP: "is or goes through a symbolic link, which is not followed",
    errno.EXDEV: "leads out of the workspace",
    errno.ENOTDIR: "goes through, or is, what is no folder",
    errno.EISDIR: "is a folder",
    errno.ENXIO: "is no plain file",
    errno.EACCES: "may not be opened: its permissions forbid it",
    errno.EPERM: "may not be changed: its permissions forbid it",
    errno.ENAMETOOLONG: "has too long a name",
    errno.EAGAIN: "is in folders that are renamed all the time; try again",
    errno.ENOTEMPTY: "is filled again while it is deleted; try again",
    errno.EEXIST: "is there already",
    errno.EINVAL: "is no name that a file may have here",
}


@contextmanager
def told(path: str) -> Iterator[None]:
    """Say of a path what the system said."""
    try:
        yield
    except FileNotFoundError:
        raise FileMissing(path) from None
    except OSError as error:
        why = _REFUSED.get(error.errno or 0)
        if why is None:
            raise
        raise FileRefused(path, why) from None
