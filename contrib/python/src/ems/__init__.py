"""Named, typed shared memory: the Python face of emsd.

    import ems

    client = ems.connect()
    hits = client.heap("app/hits", map=True)
    hits.faa("index.html", 1)           # atomic, among any number of processes
    hits["index.html"].read()           # the same element as an object

A heap holds elements, each with a value and a tag, full or empty, on which operations wait. Waiting has a timeout= in
seconds (None: for ever), gives the interpreter's lock up, and can be interrupted with Ctrl-C; each operation that waits has an
asyncio form, named …_async. Heaps, elements and regions can be pickled, and go on working after a fork.

`ems.initialize(...)` makes this module that of EMS 1.6; see doc/python.md.
"""

import copyreg as _copyreg
import os as _os
import weakref as _weakref

from . import errors
from .errors import *  # noqa: F403
from ._json import Json
from ._native import (Blocks, Client, Counters, Element, Heap, Lease, Region, Team, Transaction, snapshot,  # noqa: F401
                      transaction)
from ._native import version as _version
from . import _share, _team, _wait  # noqa: F401
from ._classic import (barrier, critical, diag, initialize, master, new, parallel, parForEach, single, tmEnd,  # noqa: F401
                       tmStart)

__version__ = _version()
__all__ = ["Blocks", "Client", "Counters", "Element", "Heap", "Json", "Lease", "Region", "Team", "Transaction", "connect", "snapshot",
           "transaction", *errors.__all__]

# What ems.initialize sets.
myID = nThreads = threadingType = pinThreads = domainName = tasks = None

_copyreg.pickle(Client, _share.reduce_client)
_clients = _weakref.WeakSet()


def connect(socket=None):
    """Connect to the daemon: a Client.

    socket is the path of its socket. None: $EMS_SOCKET; else the system's daemon; else this user's own, which is started
    when it does not run.
    """
    client = Client(socket)
    _clients.add(client)
    return client


def _after_fork():
    # Memory that views lead to is put where they look for it.
    clients = {*_clients, *_share._clients.values()}
    for one in clients:
        one._reserve()
    for one in clients:
        one._after_fork()


_os.register_at_fork(after_in_child=_after_fork)
