"""Tools that people and agents wrote: from a stored source to a call in the sandbox."""
