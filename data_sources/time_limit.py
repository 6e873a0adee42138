"""An end to whatever waits for a connection, however slowly bytes arrive there."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Self


class TimeLimit:
    """Shuts connections when the time is over: whoever waits for one of them goes on with an error."""

    def __init__(self, seconds: float) -> None:
        self.over = threading.Event()
        self._end = time.monotonic() + seconds
        self._connections: list[socket.socket] = []
        self._set_timer(seconds)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self.end()

    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()

    def extend(self, seconds: float) -> None:
        """Put the end off."""
        self._end += seconds

    def _set_timer(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._ring)
        self._timer.daemon = True

    def _ring(self) -> None:
        left = self.left()
        if left > 0 and not self.over.is_set():  # the end was put off
            self._set_timer(left)
            self._timer.start()
        else:
            self.end()

    def take(self, connection: socket.socket) -> None:
        """Shut this connection too when the time is over."""
        self._connections.append(connection)
        if self.over.is_set():
            self.end()

    def end(self) -> None:
        """Wake every thread that waits for an answer."""
        self.over.set()
        for connection in tuple(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
