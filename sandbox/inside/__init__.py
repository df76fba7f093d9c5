"""The program that runs inside the sandbox, in parts; program.py makes one file of them.

boot.py is where it starts: it confines itself (confine.py), speaks frames (channel.py), runs the
tool (run.py) with what it may ask of the server (methods.py), and checks its answer (answer.py).
The parts use the standard library of Python 3.9 and little of it: start-up time is theirs.
"""
