"""What a team does in the ways of Python: sections as context managers, loops to iterate over."""

import contextlib

from . import _native


@contextlib.contextmanager
def critical(self, name="critical", timeout=None):
    """The critical section of that name as a context manager: one member at a time is inside, in the order in which they
    came. It gives whether the member that was inside before died there."""
    owner_died = self.critical_enter(name, timeout)
    try:
        yield owner_died
    finally:
        self.critical_leave(name)


def chunks(self, first, last, schedule="guided", chunk=1, timeout=None):
    """Iterate over chunks (first, last) of a loop that is shared out to the members, each of which calls this with the same
    arguments. schedule is 'guided', 'dynamic' or 'static'; chunk is how many iterations a chunk has (dynamic), or has at
    least (guided). The end is a barrier; leaving the loop early waits for the others there, too."""
    loop = self._loop(first, last, schedule, chunk, timeout)
    try:
        while (piece := loop.next()) is not None:
            yield piece
    finally:
        loop.end()


def loop(self, first, last, schedule="guided", chunk=1, timeout=None):
    """Iterate over the numbers of a loop, from first to last - 1, that are this member's; see chunks."""
    with contextlib.closing(self.chunks(first, last, schedule, chunk, timeout)) as pieces:
        for begin, end in pieces:
            yield from range(begin, end)


def _is_master(self):
    """Whether this is member 0."""
    return self.member == 0


def _enter(self):
    return self


def _exit(self, *exception):
    self.leave()


Team = _native.Team
for _function in (critical, chunks, loop):
    _function.__module__ = "ems"
    _function.__qualname__ = "Team." + _function.__name__
    setattr(Team, _function.__name__, _function)
Team.is_master = property(_is_master)
Team.__enter__, Team.__exit__ = _enter, _exit
