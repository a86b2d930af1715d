"""Waiting in asyncio: `await heap.read_fe_async("k")`.

The model. The library tells of what has come to its end through one descriptor of the connection. An event loop that has
waits watches it, and while it has none there is nothing of ours in it. Whatever loop is told takes all results, as
several loops, each in its thread, may share a client; a future of another loop is completed by that one. Locks and leases
belong to the thread that was told, so loops that use them have a client each.
"""

import asyncio

from . import _native

def _complete(future, exception, outcome):
    if future.done():  # cancelled meanwhile; a lease is given back as its object goes
        return
    if exception is not None:
        future.set_exception(exception)
    else:
        future.set_result(outcome)


def _dispatch(client):
    """Hands out what has come to its end."""
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    while (done := client._wait_next()) is not None:
        future, exception, outcome = done
        loop = future.get_loop()
        if loop is here:
            _complete(future, exception, outcome)
            continue
        try:
            loop.call_soon_threadsafe(_complete, future, exception, outcome)
        except RuntimeError:  # that loop is closed, and nobody waits any more
            pass


def _watch(client, loop):
    """Has the loop look at the connection as long as it has waits."""
    waits = client._waits
    if loop not in waits:
        loop.add_reader(client._wait_fd(), _dispatch, client)
    waits[loop] = waits.get(loop, 0) + 1


def _forget(client, loop):
    waits = client._waits
    left = waits.get(loop, 0) - 1
    if left > 0:
        waits[loop] = left
    elif left == 0:
        del waits[loop]
        if not client.closed:
            loop.remove_reader(client._wait_fd())


def _end_waits(client):
    """The client is being closed, and its descriptor with it. Its waits were cancelled."""
    _dispatch(client)
    fd = client._wait_fd()
    for loop in list(client._waits):
        try:
            loop.call_soon_threadsafe(loop.remove_reader, fd)
        except RuntimeError:
            pass
    client._waits.clear()


_CHANGED, _VALUE, _COUNT = range(3)  # what of an outcome an operation gives


async def _wait(heap, operation, gives, timeout, key=None, value=None, expected=None):
    loop = asyncio.get_running_loop()
    client = heap.client
    future = loop.create_future()
    _watch(client, loop)
    try:
        number = heap._wait_begin(future, operation, timeout, key, value, expected)
        try:
            outcome = await future
        except asyncio.CancelledError:
            if not client.closed:
                client._wait_cancel(number)
            raise
    finally:
        _forget(client, loop)
    return outcome[gives]


# ---- the methods of Heap and Element, by what they take ----

def _with_nothing(operation, gives):
    async def on_heap(self, key, timeout=None):
        return await _wait(self, operation, gives, timeout, key)

    async def on_element(self, timeout=None):
        return await _wait(self.heap, operation, gives, timeout, self.key)
    return on_heap, on_element


def _with_value(operation, gives):
    async def on_heap(self, key, value, timeout=None):
        return await _wait(self, operation, gives, timeout, key, value)

    async def on_element(self, value, timeout=None):
        return await _wait(self.heap, operation, gives, timeout, self.key, value)
    return on_heap, on_element


def _with_both(operation, gives):
    async def on_heap(self, key, expected, value, timeout=None):
        return await _wait(self, operation, gives, timeout, key, value, expected)

    async def on_element(self, expected, value, timeout=None):
        return await _wait(self.heap, operation, gives, timeout, self.key, value, expected)
    return on_heap, on_element


def _with_expected(operation, gives):
    async def on_heap(self, key, expected, timeout=None):
        return await _wait(self, operation, gives, timeout, key, None, expected)

    async def on_element(self, expected, timeout=None):
        return await _wait(self.heap, operation, gives, timeout, self.key, None, expected)
    return on_heap, on_element


def _putting(operation):
    async def on_heap(self, value, timeout=None):
        return await _wait(self, operation, _COUNT, timeout, None, value)
    return on_heap, None


def _taking(operation):
    async def on_heap(self, timeout=None):
        return await _wait(self, operation, _VALUE, timeout)
    return on_heap, None


def _install(name, functions):
    for kind, function in zip((_native.Heap, _native.Element), functions):
        if function is None:
            continue
        function.__name__ = name.rstrip("_") + "_async"
        function.__qualname__ = f"{kind.__name__}.{function.__name__}"
        function.__module__ = "ems"
        function.__doc__ = (f"{name}, without blocking the event loop. A cancelled task cancels the wait; what is done at "
                            "that moment already stays done, so prefer timeout= to asyncio.wait_for.")
        setattr(kind, function.__name__, function)


for _name in ("read_ff", "read_fe", "read_rw", "read_fe_lease", "delete"):
    _install(_name, _with_nothing(_name, _VALUE))
for _name in ("write", "write_xf", "write_xe", "write_ef", "set_tag", "faa", "swap", "and_", "or_", "xor_", "min", "max"):
    _install(_name, _with_value(_name, _VALUE))
_install("cas", _with_both("cas", _VALUE))
_install("compare_set", _with_both("cas", _CHANGED))
_install("compare_delete", _with_expected("compare_delete", _CHANGED))
for _name in ("enqueue", "push"):
    _install(_name, _putting(_name))
for _name in ("dequeue", "dequeue_lease", "pop"):
    _install(_name, _taking(_name))
_native.Client._end_waits = _end_waits
