"""What installers of packages get of the environment: where to look, and nothing else."""

import pytest

from server.config import installer_variables

PASSED = {
    "HOME": "/home/ada", "PATH": "/bin", "https_proxy": "http://proxy:1", "PIP_INDEX_URL": "https://i/",
    "UV_DEFAULT_INDEX": "https://i/", "UV_INDEX_MINE_PASSWORD": "x", "SSL_CERT_FILE": "/ca.pem",
}  # fmt: skip
KEPT_BACK = {
    "PIP_TARGET": "/", "PIP_NO_BINARY": ":all:", "PIP_PYTHON": "/evil", "UV_PYTHON": "/evil",
    "PYTHONPATH": "/evil", "MNEMON_MODEL_KEY": "key", "HF_TOKEN": "key",
}  # fmt: skip


def test_only_what_says_where_packages_are_and_how_they_are_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**PASSED, **KEPT_BACK}.items():
        monkeypatch.setenv(name, value)
    found = installer_variables()
    assert found.items() >= PASSED.items()
    assert not found.keys() & KEPT_BACK.keys()
