"""The configuration of hosts: where it lies, what mnemon's entry looks like, how it is edited.

hosts.py lists them, locations.py says where, entry.py what, jsonc.py and jsonc_edit.py how;
config_file.py does it. The commands are server/commands/setup.py and unsetup.py.
"""
