"""Waiting in asyncio: `await heap.read_fe_async("k")`.

The model. The library tells of what has come to its end through one descriptor of the connection. An event loop that has
waits watches it, and while it has none there is nothing of ours in it. Whatever loop is told takes all results, as
several loops, each in its thread, may share a client; a future of another loop is completed by that one. Locks and leases
belong to the thread that was told, so loops that use them have a client each.

Between the moment when a take has its result and the one when the task goes on with it, the task may be cancelled. What was taken is then
put back: as soon as the element is empty, at the end of the queue, on the stack; a lock or a lease is given back.
"""

import asyncio

from . import _native


class _Pending:
    """A wait that was begun, which the library hands back with its result."""
    __slots__ = "future", "heap", "operation", "key"

    def __init__(self, future, heap, operation, key):
        self.future, self.heap, self.operation, self.key = future, heap, operation, key

    def put_back(self, outcome):
        """Nobody takes the result any more. A lease is given back as its object goes."""
        if self.heap.closed:
            return
        if self.operation == "read_rw":
            self.heap.release_rw(self.key)
        elif self.operation in _PUTTING_BACK:
            future, _ = _begin(self.heap, _PUTTING_BACK[self.operation], None, self.key, outcome[_VALUE])
            future.add_done_callback(lambda _: future.cancelled() or future.exception())  # the heap may be closed first


_PUTTING_BACK = {"read_fe": "write_ef", "dequeue": "enqueue", "pop": "push"}


def _begin(heap, operation, timeout, key=None, value=None, expected=None):
    """Begins a wait, which the running loop watches until its future is done: the future, and the wait's number."""
    loop = asyncio.get_running_loop()
    client = heap.client
    future = loop.create_future()
    _watch(client, loop)
    try:
        number = heap._wait_begin(_Pending(future, heap, operation, key), operation, timeout, key, value, expected)
    except BaseException:
        _forget(client, loop)
        raise
    future.add_done_callback(lambda _: _forget(client, loop))
    return future, number


def _complete(pending, exception, outcome):
    future = pending.future
    if future.done():  # cancelled meanwhile
        if exception is None:
            pending.put_back(outcome)
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
        pending, exception, outcome = done
        loop = pending.future.get_loop()
        if loop is here:
            _complete(pending, exception, outcome)
            continue
        try:
            loop.call_soon_threadsafe(_complete, pending, exception, outcome)
        except RuntimeError:  # that loop is closed, and nobody waits any more
            if here is not None and exception is None:
                pending.put_back(outcome)


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
    future, number = _begin(heap, operation, timeout, key, value, expected)
    try:
        outcome = await future
    except asyncio.CancelledError:
        if not future.cancelled():  # it has its result, or its exception
            if future.exception() is None:
                _Pending(future, heap, operation, key).put_back(future.result())
        elif not heap.client.closed:
            heap.client._wait_cancel(number)
            _dispatch(heap.client)  # it may have its result already
        raise
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
        function.__doc__ = (f"{name}, without blocking the event loop. A cancelled task cancels the wait; what was "
                            "taken at that moment already is put back, and what was written stays written.")
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
