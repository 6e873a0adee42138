"""The standard streams of a command: each may be closed, full, or left by its reader.

What a command did decides its exit code, not who read about it. A message that cannot be written is dropped. A command
whose result is what it prints ends with exit code 1 if the result was not written whole.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, TextIO

import click

_READER_GONE = (errno.EPIPE, errno.ECONNRESET)
_NAMES = {1: "stdout", 2: "stderr"}


class _Descriptor(io.FileIO):
    """A descriptor to write to. Data that it does not take is dropped; ``lost`` is the reason."""

    def __init__(self, number: int, lost: OSError | None = None) -> None:
        super().__init__(number, "wb", closefd=False)
        self.lost = lost

    def write(self, data: Any, /) -> int:
        """Write all of ``data``, and wait for a slow reader also where the descriptor does not block."""
        rest = whole = memoryview(data).cast("B")
        while rest:
            try:
                written = super().write(rest)
            except OSError as error:
                self.lost = self.lost or error
                break
            if written is None:
                select.select([], [self], [])
            rest = rest[written or 0 :]
        return len(whole)


class _Streams:
    """The guarded streams of the running command; ``guarded`` starts anew."""

    def __init__(self) -> None:
        self.result_is_printed = True
        self.leave_at_once = False
        self.descriptors: dict[str, _Descriptor] = {}
        self.before: dict[str, TextIO] = {}

    def guard(self) -> None:
        """Replace sys.stdout and sys.stderr. A stream without a descriptor, such as a test's, stays as it is."""
        missing = _open_missing_descriptors()
        for number, name in _NAMES.items():
            stream: TextIO | None = getattr(sys, name)
            lost = OSError(errno.EBADF, "it is closed") if number in missing or stream is None else None
            try:
                found = number if stream is None else stream.fileno()
                if stream is not None:
                    stream.flush()
            except (OSError, ValueError, AttributeError):
                continue
            raw = _Descriptor(found, lost)
            unbuffered = stream is not None and bool(getattr(stream, "write_through", False))
            guarded = io.TextIOWrapper(
                raw if unbuffered else io.BufferedWriter(raw),
                encoding="utf-8" if stream is None else stream.encoding,
                errors="backslashreplace",  # a console in cp1252 shows what it has no letter for as an escape
                line_buffering=stream is None or bool(getattr(stream, "line_buffering", False)),
                write_through=unbuffered,
            )
            self.descriptors[name] = raw
            if stream is not None and found != number:
                self.before[name] = stream
            setattr(sys, name, guarded)

    def finish(self, code: Any) -> Any:
        """Flush the streams; the exit code of a command that was about to end with ``code``."""
        for name in _NAMES.values():
            getattr(sys, name).flush()
        lost = self.descriptors["stdout"].lost if "stdout" in self.descriptors else None
        if lost is not None and self.result_is_printed and code in (0, None):
            code = 1
            if lost.errno not in _READER_GONE:
                sys.stderr.write(f"Error: standard output: cannot be written ({lost.strerror}); the result is lost\n")
                sys.stderr.flush()
        for name, stream in self.before.items():
            setattr(sys, name, stream)
        if self.leave_at_once and self.descriptors and not self.before:
            os._exit(code if isinstance(code, int) else 1)
        return code


_current = _Streams()


def _open_missing_descriptors() -> set[int]:
    """Open /dev/null for each closed standard descriptor: the next file would get its number, and prints go into it."""
    missing = set()
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            missing.add(number)
            opened = os.open(os.devnull, os.O_RDWR)
            os.dup2(opened, number)  # for children too
            if opened != number:
                os.close(opened)
    return missing


def result_is_kept() -> None:
    """The running command's result is on disk: what it prints are messages, and losing them is no failure."""
    _current.result_is_printed = False


def leave_at_once() -> None:
    """End the running command without the exit handlers of libraries, which print tracebacks where memory ran out."""
    _current.leave_at_once = True


def is_lost(stream: str) -> bool:
    """Whether text for ``stdout`` or ``stderr`` could not be written."""
    descriptor = _current.descriptors.get(stream)
    return descriptor is not None and descriptor.lost is not None


class Program(click.Command):
    """A command that guards its standard streams when it is the program that runs."""

    def main(self, *args: Any, **options: Any) -> Any:
        """As click's; the exit code is that of ``_Streams.finish``."""
        global _current
        _current = _Streams()
        _current.guard()
        try:
            return super().main(*args, **options)
        except SystemExit as end:
            raise SystemExit(_current.finish(end.code)) from None


class ProgramGroup(Program, click.Group):
    """A group of such commands. It asks which command was meant by one that is misspelt."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, which knows only the commands that are loaded."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from data_sources.nearest import all_near

            near = all_near(args[0], self.list_commands(ctx), 1)
            if not near:
                raise
            raise click.UsageError(f"No such command {args[0]!r}. Did you mean {near[0]!r}?", ctx) from error
