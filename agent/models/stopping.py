"""That a computation was stopped on request: what engines raise and the worker reports."""


class Stopped(Exception):
    """The computation was asked to stop; the engine is consistent and serves on."""
