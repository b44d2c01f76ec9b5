"""Threads beside the script's."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable


def start_thread(work: Callable[[], None], name: str) -> None:
    """Starts a thread that ends with the process. Signals stay with the main thread, whose system calls they have to interrupt."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        threading.Thread(target=work, name=name, daemon=True).start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
