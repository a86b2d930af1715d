"""Handles that were pickled, opened in another process: one client for each socket, one heap for each name."""

import threading
import weakref

from . import _native

_lock = threading.RLock()
_clients = {}
_heaps = weakref.WeakValueDictionary()
_regions = weakref.WeakValueDictionary()


def client(socket=None):
    """The client of this process that pickled handles use. It stays as long as the process."""
    with _lock:
        found = _clients.get(socket)
        if found is None or found.closed:
            found = _clients[socket] = _native.Client(socket)
        return found


def open_heap(socket, name, read_only):
    with _lock:
        key = socket, name, read_only
        heap = _heaps.get(key)
        if heap is None or heap.closed or heap.dropped:
            heap = _heaps[key] = client(socket).heap(name, how="open", read_only=read_only)
        return heap


def open_region(socket, name, read_only):
    with _lock:
        key = socket, name, read_only
        region = _regions.get(key)
        if region is None or region.closed:
            region = _regions[key] = client(socket).region(name, how="open", read_only=read_only)
        return region


def reduce_client(one):
    return client, (one.socket,)
