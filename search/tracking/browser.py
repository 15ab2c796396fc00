"""Browser: opens a page of a server on this machine once it responds, `python -m search.tracking.browser ADDRESS`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import webbrowser
from contextlib import suppress
from urllib.parse import urlsplit
from urllib.request import urlopen

from trainables.backends.process import MODULE

_SECONDS = 90.0  # how long a server may take to start
_PAUSE = 0.3


def can_open() -> bool:
    """Return whether a browser would open in a window, not in the terminal of a machine without a display."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))


def open_later(address: str) -> subprocess.Popen[bytes]:
    """Open an address from another process, which waits for its server to respond, as long as this process lives."""
    return subprocess.Popen(
        [*MODULE, "search.tracking.browser", address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the server
    )


def _responds(address: str) -> bool:
    with suppress(OSError), urlopen(address, timeout=5):
        return True
    return False


def main() -> None:
    """Open the address given on the command line."""
    (address,) = sys.argv[1:]
    parts, parent = urlsplit(address), os.getppid()
    deadline = time.monotonic() + _SECONDS
    while os.getppid() == parent and time.monotonic() < deadline:
        if _responds(f"{parts.scheme}://{parts.netloc}/health"):
            webbrowser.open(address)
            return
        time.sleep(_PAUSE)


if __name__ == "__main__":
    main()
