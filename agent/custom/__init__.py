"""Tools that people and agents write in Python: what they take, and running them outside."""
