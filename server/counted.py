"""Numbers of things in a sentence."""


def counted(number: int, thing: str) -> str:
    """As many of a thing, in its singular or plural: 1 run, 2 runs."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def files_and_folders(number: int) -> str:
    """So many of what a folder holds."""
    return "1 file or folder" if number == 1 else f"{number} files and folders"
