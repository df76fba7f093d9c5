"""The MCP face, the command line and the composition root. Read next: app.py, then cli.py."""
