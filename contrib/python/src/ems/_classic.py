"""The interface of EMS 1.6: `import ems; ems.initialize(...)`.

The model. initialize makes this process a member of a context: in `bsp` the script is started again for each other member, in
`fj` they are forked here and wait for regions, in `user` there are none. What members do together, and what an array is,
is in contrib/compat, which the modules for other languages share; here are processes, and Python's ways to say it.

A region's function travels as its code, with what it is seen to use of the script's globals: functions and modules always,
other values where the member does not have a value of its own already. So what a region assigns with `global` stays with
the member for the next one.
"""

import atexit
import base64
import builtins
import importlib
import marshal
import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
import types

from . import _native
from .errors import BrokenError, Error, TimeoutError

_MEMBER, _SIZE, _RUN, _PARENT = "EMS_Subtask", "EMS_Ntasks", "EMS_Run", "EMS_Parent"
_KINDS = {"bsp": 0, "fj": 1, "user": 2}
_PATIENCE = 300  # seconds until all members are there

_context = None
_kind = None
_children = []  # subprocess.Popen, or _Forked
_failed = False  # the script has ended with an exception


def _here():
    if _context is None:
        raise RuntimeError("ems.initialize(nThreads, …) comes first")
    return _context


# ---- processes ----

class _Forked:
    """A forked member, with what is used of subprocess.Popen."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None

    def poll(self, flags=os.WNOHANG):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, flags)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self):
        return self.poll(0)

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _start(kind, name, run, member, size):
    """Joins; while others have yet to come, whether one of our children has died is looked at."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return _native.Context(kind, name, run, member, size, 2 if _children else _PATIENCE)
        except TimeoutError:
            for one in _children:
                if one.poll() is not None:
                    raise RuntimeError(f"process {one.pid} of EMS ended with {one.returncode} before it was there") from None
            if time.monotonic() > until:
                raise


def _environment(member, size, run):
    return {**os.environ, _MEMBER: str(member), _SIZE: str(size), _RUN: run, _PARENT: str(os.getpid())}


def _pin(member):
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {processors[member % len(processors)]})


def _work(member, size, run, name, pin, parent):
    """The life of a forked member."""
    global _context, _children
    status = 1
    try:
        if not _native.follow_parent(parent):
            os._exit(1)
        _children = []
        os.environ.update({_MEMBER: str(member), _SIZE: str(size)})
        if pin:
            _pin(member)
        _context = _start(_KINDS["fj"], name, run, member, size)
        _publish(member, size, "fj")
        while (text := _context.region_receive()) is not None:
            _context.region_enter()
            function, args = _unpack(text)
            function(*args)
            _context.region_leave()
        _leave()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BrokenError:
        pass  # another one has failed, and said so
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                pass
        os._exit(status)


def _fork_members(size, run, name, pin):
    import warnings

    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    for member in range(1, size):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            _work(member, size, run, name, pin, parent)
        _children.append(_Forked(pid))


def _start_scripts(size, run):
    for member in range(1, size):
        _children.append(subprocess.Popen([sys.executable, *sys.orig_argv[1:]], env=_environment(member, size, run)))


def _note_failure(*exception, former=sys.excepthook):
    global _failed
    _failed = True
    former(*exception)


def _finish():
    """The end of the parent: it waits for the others, and fails if one has failed."""
    global _context
    if not _children:
        return
    children = _children[:]
    _children.clear()
    if _failed:
        for one in children:
            one.kill()
    else:
        try:
            if _kind == "fj":
                _context.region_finish()
        except Error:
            pass
        try:
            _leave()
        except (Error, RuntimeError):
            pass
    statuses = [one.wait() for one in children]
    if not _failed and any(statuses):
        for one, status in zip(children, statuses):
            if status:
                print(f"EMS: process {one.pid} ended with {status}", file=sys.stderr)
        # The interpreter's own exit code is settled; what else wants to be done at the end is done first.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


@atexit.register
def _leave():
    """Arrays in files are written to the disk by this. A member that has failed dies instead, so that the others know."""
    global _context
    if _failed:
        return
    for one in list(_arrays):
        one._close()
    context, _context = _context, None
    if context is not None:
        context.end()


def initialize(nThreads, pinThreads=False, threadingType="bsp", contextname=None):
    """Become a member of a context, and start the others: EMS 1.6's initialize."""
    global _context, _kind
    if threadingType not in _KINDS:
        raise ValueError(f"threadingType is 'bsp', 'fj' or 'user', not {threadingType!r}")
    nThreads = int(nThreads)
    if nThreads < 1:
        raise ValueError(f"nThreads is at least 1, not {nThreads}")
    if _context is not None:
        if _children:
            raise RuntimeError("ems.initialize was called already")
        _leave()
    name = None if contextname is None else str(contextname).encode()
    _kind = threadingType
    kind = _KINDS[threadingType]
    member, run = 0, ""
    if threadingType == "user":
        nThreads = 1
    elif threadingType == "bsp" and os.environ.get(_RUN) and os.environ.get(_MEMBER):
        member, nThreads, run = int(os.environ[_MEMBER]), int(os.environ[_SIZE]), os.environ.pop(_RUN)
        sys.excepthook = _note_failure
        if not _native.follow_parent(int(os.environ.get(_PARENT, "0"))):
            os._exit(1)
    else:
        run = _native.run_name()
    if run and member == 0 and nThreads > 1:
        atexit.register(_finish)
        sys.excepthook = _note_failure
        if threadingType == "bsp":
            _start_scripts(nThreads, run)
        else:
            _fork_members(nThreads, run, name, pinThreads)
    if pinThreads:
        _pin(member)
    _context = _start(kind, name, run, member, nThreads)
    _publish(member, nThreads, threadingType, pinThreads)


def _publish(member, size, kind, pin=False):
    module = sys.modules["ems"]
    module.myID, module.nThreads, module.threadingType = member, size, kind
    module.pinThreads, module.domainName, module.tasks = pin, _context.domain, list(_children)


# ---- regions: functions on their way to other processes ----

def _names(code):
    """The global names that code may use, that of functions inside it included."""
    names = set(code.co_names)
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            names |= _names(one)
    return names


def _pack_function(function, seen):
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    seen[function.__name__, id(function)] = None
    values = {}
    for name in _names(function.__code__):
        if name in function.__globals__ and not hasattr(builtins, name):
            packed = _pack_value(function.__globals__[name], seen)
            if packed is not None:
                values[name] = packed
    return ("function", marshal.dumps(function.__code__), function.__name__,
            [_pack_value(one, seen) for one in function.__defaults__ or ()],
            {name: _pack_value(one, seen) for name, one in (function.__kwdefaults__ or {}).items()},
            [_pack_value(one, seen) for one in cells], values)


def _pack_value(value, seen):
    """As something that can be pickled; None: it cannot."""
    if isinstance(value, types.ModuleType):
        return "module", value.__name__
    if isinstance(value, Array):
        return ("array", value._number)
    if isinstance(value, types.FunctionType) and value.__module__ in ("__main__", "__mp_main__"):
        if (value.__name__, id(value)) in seen:
            return "known", value.__name__
        return _pack_function(value, seen)
    try:
        return "pickle", pickle.dumps(value)
    except Exception:
        return None


def _unpack_function(packed):
    _, code, name, defaults, keyword_defaults, cells, values = packed
    namespace = sys.modules["__main__"].__dict__
    function = types.FunctionType(marshal.loads(code), namespace, name, tuple(map(_unpack_value, defaults)) or None,
                                  tuple(types.CellType(_unpack_value(one)) for one in cells) or None)
    function.__kwdefaults__ = {key: _unpack_value(one) for key, one in keyword_defaults.items()} or None
    namespace.setdefault("ems", sys.modules["ems"])
    for key, one in values.items():
        if one[0] == "function" or key not in namespace:
            if one[0] != "known":
                namespace[key] = _unpack_value(one)
    return function


def _unpack_value(packed):
    if packed is None:
        return None
    kind, what = packed[:2]
    if kind == "module":
        return importlib.import_module(what)
    if kind == "function":
        return _unpack_function(packed)
    if kind == "known":
        return sys.modules["__main__"].__dict__.get(what)
    if kind == "array":
        return next((one for one in _arrays if one._number == what), None)
    return pickle.loads(what)


def _pack(function, args):
    if not isinstance(function, types.FunctionType):
        packed = "pickle", pickle.dumps(function)
    else:
        packed = _pack_function(function, {})
    arguments = []
    for one in args:
        value = _pack_value(one, {})
        if value is None:
            raise TypeError(f"parallel: {one!r} cannot go to another process")
        arguments.append(value)
    return base64.b64encode(pickle.dumps((packed, arguments)))


def _unpack(text):
    function, arguments = pickle.loads(base64.b64decode(text))
    return _unpack_value(function), [_unpack_value(one) for one in arguments]


def parallel(func, *args):
    """A region: all members call func(*args), and wait for each other at its end."""
    context = _here()
    if _kind != "fj" or context.size == 1 or context.in_region:
        func(*args)
        if _kind != "fj":
            context.barrier(None)
        return
    context.region_send(_pack(func, args))
    context.region_enter()
    try:
        func(*args)
    finally:
        context.region_leave()


# ---- what members do together ----

def parForEach(start, end, loopBody, scheduleType="guided", minChunk=1):
    """Call loopBody(i) for start <= i < end, shared out to the members; a barrier at the end."""
    schedules = {"guided": 0, "dynamic": 1, "static": 2}
    if scheduleType not in schedules:
        raise ValueError(f"scheduleType is 'guided', 'dynamic' or 'static', not {scheduleType!r}")
    share = _here().loop(start, end, schedules[scheduleType], minChunk)
    try:
        while (piece := share.next()) is not None:
            for index in range(*piece):
                loopBody(index)
    except BaseException:
        try:
            share.end()
        except Error:
            pass  # what came first is told
        raise
    share.end()


def barrier(timeout=10000):
    """Wait for all members, at most so many milliseconds: true, or 0 when the time is up."""
    try:
        return max(_here().barrier(timeout / 1000), 1e-3)
    except TimeoutError:
        return 0


def critical(func, timeout=1000000):
    """func(), in one process of the context at a time; its value."""
    context = _here()
    context.critical_enter(timeout / 1000)
    try:
        return func()
    finally:
        context.critical_leave()


def master(func, *args):
    """func(*args), in member 0 only; no barrier."""
    if _here().member == 0:
        return func(*args)
    return None


def single(func, *args):
    """func(*args), in the first member to come; a barrier."""
    context = _here()
    value = func(*args) if context.single() else None
    context.barrier(None)
    return value


def diag(text):
    """Print, with the number of the member in front."""
    print(f"EMStask {_here().member}: {text}", flush=True)


# ---- arrays ----

_arrays = []
_FLAGS = ("useMap", "useExisting", "persist", "doDataFill", "doSetFEtags", "ES6proxies")
_DESCRIPTION = ("dimensions", "heapSize", "mlock", "dataFill", "setFEtags", "filename", "hashFunc", *_FLAGS)


def _descriptor(arg, heapSize, filename):
    if isinstance(arg, dict):
        wish = dict(arg)
        unknown = set(wish) - set(_DESCRIPTION)
        if unknown:
            raise ValueError(f"ems.new: there is no {', '.join(sorted(map(str, unknown)))}")
    else:
        wish = {} if arg is None else {"dimensions": arg}
        if heapSize is not None:
            wish["heapSize"] = heapSize
        if filename is not None:
            wish["filename"] = filename
    dimensions = wish.get("dimensions", [])
    wish["dimensions"] = list(dimensions) if isinstance(dimensions, (list, tuple)) else [dimensions]
    size = wish.get("heapSize", 0)
    if isinstance(size, (list, tuple)):
        size = size[0] if size else 0
    wish["heapSize"] = size or 0
    return wish


def new(arg0=None, heapSize=None, filename=None):
    """Make or attach an array, by a count, a list of dimensions, or a descriptor (a dict). None: useExisting was said, and there
    is none. In a region all members call it."""
    context = _here()
    wish = _descriptor(arg0, heapSize, filename)
    existing = wish.get("useExisting")
    empty = None
    if wish.get("doSetFEtags"):
        tags = wish.get("setFEtags", "full")
        if tags not in ("full", "empty"):
            raise ValueError(f"setFEtags is 'full' or 'empty', not {tags!r}")
        empty = tags == "empty"
    name = wish.get("filename")
    persist = bool(wish.get("persist", True))
    native = context.array(wish["dimensions"], wish["heapSize"], bool(wish.get("useMap")),
                           0 if existing is None else 1 if existing else 2, persist,
                           None if not name else os.fspath(name), bool(wish.get("doDataFill")), wish.get("dataFill"), empty)
    return None if native is None else Array(native, wish)


def _tag(tag):
    return "full" if tag is True or tag == "full" or (tag and tag != "empty") else "empty"


class Array:
    """An array of EMS: its operations take an index (a number, or a list of one for each dimension), or a key.

    array[index] is one of its elements, array[index] = value and array.name = value write, array.name reads.
    """

    __slots__ = ("_native", "_heap", "_number", "_map", "dimensions", "dimStride", "nElements", "heapSize", "useMap",
                 "filename", "persist", "useExisting", "regionN", "__weakref__")

    def __init__(self, native, wish):
        put = object.__setattr__
        dimensions, strides, elements, uses_map, number = native.about()
        for name, value in (("_native", native), ("_heap", native.heap), ("_number", number), ("_map", uses_map),
                            ("dimensions", dimensions), ("dimStride", strides), ("nElements", elements),
                            ("heapSize", wish["heapSize"]), ("useMap", uses_map), ("filename", wish.get("filename")),
                            ("persist", bool(wish.get("persist", True))), ("useExisting", bool(wish.get("useExisting"))),
                            ("regionN", number)):
            put(self, name, value)
        _arrays.append(self)

    def _index(self, index):
        return self._native.index(index) if isinstance(index, (list, tuple)) else index

    def read(self, index):
        """The value, whatever the tag."""
        return self._heap.read(self._index(index))

    def readFF(self, index):
        """Wait until it is full; the value."""
        return self._heap.read_ff(self._index(index))

    def readFE(self, index):
        """Wait until it is full, and leave it empty; the value."""
        return self._heap.read_fe(self._index(index))

    def readRW(self, index):
        """Hold it for reading; the value."""
        return self._heap.read_rw(self._index(index))

    def releaseRW(self, index):
        """Give that back; how many hold it yet."""
        return self._heap.release_rw(self._index(index))

    def write(self, index, value):
        """Write, and leave the tag as it is."""
        self._heap.write(self._index(index), value)
        return True

    def writeXF(self, index, value):
        """Write, and mark it full."""
        self._heap.write_xf(self._index(index), value)
        return True

    def writeXE(self, index, value):
        """Write, and mark it empty."""
        self._heap.write_xe(self._index(index), value)
        return True

    def writeEF(self, index, value):
        """Wait until it is empty, write, and mark it full."""
        self._heap.write_ef(self._index(index), value)
        return True

    def setTag(self, index, tag):
        """Mark it full (True, 'full') or empty."""
        self._heap.set_tag(self._index(index), _tag(tag))
        return True

    def faa(self, index, value):
        """Add; the old value."""
        return self._native.faa(self._index(index), value)

    def cas(self, index, oldValue, newValue):
        """Write newValue if it is oldValue; the old value."""
        return self._native.cas(self._index(index), oldValue, newValue)

    def push(self, value):
        """Put on the stack: how many there are, or -1 when it is full."""
        return self._native.push(value)

    def pop(self):
        """Take from the stack; None when it is empty."""
        return self._native.pop()

    def enqueue(self, value):
        """Put into the queue: how many there are, or -1 when it is full."""
        return self._native.enqueue(value)

    def dequeue(self):
        """Take from the queue; None when it is empty."""
        return self._native.dequeue()

    def sync(self):
        """Have the values on the disk, if the array has a file."""
        self._native.sync()
        return True

    def index2key(self, index):
        """The key of an element; None: it has none."""
        try:
            return self._heap.index_to_key(index)
        except (KeyError, IndexError):
            return None

    def destroy(self, doUnlink=False):
        """Detach; with doUnlink name and file go as well."""
        if self in _arrays:
            _arrays.remove(self)
        self._native.destroy(doUnlink)
        return True

    def _close(self):
        try:
            self.destroy(False)
        except (Error, ValueError):
            pass

    def __eq__(self, other):
        return self is other

    __hash__ = object.__hash__

    def __getitem__(self, index):
        return ArrayElement(self, self._index(index))

    def __setitem__(self, index, value):
        self._heap.write(self._index(index), value)

    def __getattr__(self, name):
        if name.startswith("__") or name in Array.__slots__ or not self._map:
            raise AttributeError(name)
        return self._heap.read(name)

    def __setattr__(self, name, value):
        if name in Array.__slots__ or hasattr(Array, name) or not self._map:
            raise AttributeError(f"{name} is not a key here")
        self._heap.write(name, value)

    def __repr__(self):
        return f"<ems array {self._heap.name}>"


class ArrayElement:
    """array[index]: the operations on one element."""

    __slots__ = ("_array", "_at")

    def __init__(self, array, at):
        self._array, self._at = array, at

    def __repr__(self):
        return f"<element {self._at!r} of {self._array!r}>"


def _on_element(name):
    operation = getattr(Array, name)

    def method(self, *args):
        return operation(self._array, self._at, *args)
    method.__name__, method.__doc__ = name, operation.__doc__
    return method


for _name in ("read", "readFE", "readFF", "readRW", "releaseRW", "write", "writeEF", "writeXF", "writeXE", "setTag", "faa", "cas"):
    setattr(ArrayElement, _name, _on_element(_name))


# ---- transactions ----

_transaction = None


def tmStart(emsElems):
    """Lock elements, each [array, index] or, to be read only, [array, index, anything]: a list of [array, index, readOnly, value]
    in the order in which they were locked, for tmEnd."""
    global _transaction
    if _transaction is not None:
        raise RuntimeError("tmStart: a transaction is open already")
    wanted = [(one[0], one[0]._index(one[1]), len(one) > 2) for one in emsElems]
    order = _native.lock_order([(array._native, index, read_only) for array, index, read_only in wanted])
    locks = [(wanted[which][0], wanted[which][1], read_only) for which, read_only in order]
    _transaction = _native.transaction([(array._heap, index, read_only) for array, index, read_only in locks])
    try:
        return [[array, index, read_only, _transaction[place]] for place, (array, index, read_only) in enumerate(locks)]
    except BaseException:
        tmEnd([], False)
        raise


def tmEnd(emsElems, doCommit=False):
    """End the transaction: make what was written since tmStart visible at once, or undo it."""
    global _transaction
    if _transaction is None:
        raise RuntimeError("tmEnd: there was no tmStart")
    transaction, _transaction = _transaction, None
    if doCommit:
        transaction.commit()
    else:
        transaction.abort()
    return True
