"""How models write tool calls: one module per format, one table (table.py); see call_format.py."""
