"""How this machine reaches registries: a fresh one beside it must do it in the same way. None of it is named here."""

from __future__ import annotations

import os
import re
from pathlib import Path

# As pip, cargo, curl and OpenSSL name them. Where things lie on this machine is not among them.
NAMES = re.compile(
    r"(?:https?|ftp|all|no)_proxy"
    r"|PIP_(?:INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|CERT|DEFAULT_TIMEOUT)"
    r"|CARGO_(?:REGISTR|SOURCE|HTTP|NET).*"
    r"|SSL_CERT_FILE|CURL_CA_BUNDLE|REQUESTS_CA_BUNDLE",
    re.IGNORECASE,
)
FILES = (
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/pip.conf",
    "/etc/ssl/certs/ca-certificates.crt",
    "/root/.config/pip/pip.conf",
    "/root/.pip/pip.conf",
    "/root/.cargo/config.toml",
)
APT = Path("/etc/apt/apt.conf.d")


def variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if NAMES.fullmatch(name)}


def files() -> list[Path]:
    """Those that are there, under the names that they have there, too."""
    proxies = [path for path in sorted(APT.glob("*")) if re.search(r"^\s*Acquire::", path.read_text(), re.MULTILINE)]
    return [path for path in (*map(Path, FILES), *proxies) if path.is_file()]
