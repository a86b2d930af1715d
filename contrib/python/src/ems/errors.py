"""The exceptions of ems.

Every failure of the library is an ems.Error, with its code (a number), its name ("EMS_ERANGE") and a message that says
what was asked, of what. Each class is also one of Python's own, so that `except KeyError` and `except TimeoutError` do what
one expects. Arguments that cannot be converted raise Python's own: TypeError, OverflowError, UnicodeEncodeError.
"""

import builtins

__all__ = ["Error"]


class Error(Exception):
    """A failure of the library."""

    code: int = 0
    name: str = ""

    def __str__(self):
        # KeyError would put quotes around it.
        return builtins.str(self.args[0]) if self.args else ""


# Code, the library's name, ours, Python's own, what it means. The codes are stable: see ems_error(3).
_TABLE = (
    (1, "EMS_EINVALID", "InvalidError", (builtins.ValueError,), "A bad argument."),
    (2, "EMS_ENAME", "BadNameError", (builtins.ValueError,), "A bad name of a heap."),
    (3, "EMS_ETYPE", "WrongTypeError", (builtins.TypeError,), "The operation is not defined for a value of this type."),
    (4, "EMS_ERANGE", "RangeError", (builtins.IndexError, builtins.OverflowError),
     "An index out of range, or a number that does not fit."),
    (5, "EMS_ENOKEY", "NoKeyError", (builtins.KeyError,), "There is no such key."),
    (6, "EMS_ENOTFOUND", "NotFoundError", (builtins.FileNotFoundError,), "There is no such heap."),
    (7, "EMS_EEXISTS", "ExistsError", (builtins.FileExistsError,), "A heap of that name exists."),
    (8, "EMS_EMISMATCH", "MismatchError", (builtins.ValueError,), "It exists with another geometry."),
    (9, "EMS_EACCESS", "AccessError", (builtins.PermissionError,), "Its mode does not admit you."),
    (10, "EMS_EREADONLY", "ReadOnlyError", (builtins.PermissionError,), "You attached it for reading only."),
    (11, "EMS_ENOSPACE", "NoSpaceError", (builtins.MemoryError,), "Its storage for texts, JSON and bytes is full."),
    (12, "EMS_EFULL", "FullError", (), "No element is left for another key, or no place in the queue or stack."),
    (13, "EMS_EEMPTY", "EmptyError", (builtins.IndexError,), "There is nothing there."),
    (14, "EMS_EBUDGET", "BudgetError", (builtins.MemoryError,), "A memory budget or quota is exhausted."),
    (15, "EMS_ELIMIT", "LimitError", (), "A limit on numbers: slots, clients, heaps."),
    (16, "EMS_ETIMEOUT", "TimeoutError", (builtins.TimeoutError,), "The time is up."),
    (17, "EMS_ECANCELLED", "CancelledError", (), "The wait was cancelled, as by closing the heap."),
    (18, "EMS_EINTERRUPTED", "InterruptedError", (builtins.InterruptedError,), "A signal came."),
    (19, "EMS_EDEADLOCK", "DeadlockError", (builtins.RuntimeError,), "The caller itself holds what it waits for."),
    (20, "EMS_EBROKEN", "BrokenError", (builtins.RuntimeError,), "Somebody who took part in it died."),
    (21, "EMS_EDROPPED", "DroppedError", (), "The heap was dropped."),
    (22, "EMS_ECORRUPT", "CorruptError", (), "Its memory makes no sense: somebody scribbled over it."),
    (23, "EMS_EVERSION", "VersionError", (), "Made by a version that this one does not know."),
    (24, "EMS_EPROTOCOL", "ProtocolError", (), "The other side is not an emsd, or breaks the protocol."),
    (25, "EMS_ENODAEMON", "NoDaemonError", (builtins.ConnectionError,), "There is no daemon, and none may be started."),
    (26, "EMS_ECONNECTION", "ConnectionLostError", (builtins.ConnectionError,), "The connection broke."),
    (27, "EMS_EBUSY", "BusyError", (), "In use right now; try again."),
    (28, "EMS_EIO", "IOError", (builtins.OSError,), "Reading or writing failed."),
    (29, "EMS_ENOMEMORY", "NoMemoryError", (builtins.MemoryError,), "This process is out of memory."),
    (30, "EMS_ESYSTEM", "SystemCallError", (builtins.OSError,), "Another system error; the message has it."),
    (31, "EMS_EFORKED", "ForkedError", (builtins.RuntimeError,), "It belongs to the parent process."),
    (32, "EMS_EUNSUPPORTED", "UnsupportedError", (builtins.NotImplementedError,),
     "Not by this daemon, kernel or version."),
    (33, "EMS_ELOADING", "LoadingError", (), "The heap is still being loaded."),
    (34, "EMS_ECONFLICT", "ConflictError", (), "In conflict with another operation."),
)

_classes = {}
for _code, _name, _class, _bases, _doc in _TABLE:
    _classes[_code] = type(_class, (Error, *_bases), {
        "__doc__": _doc, "__module__": "ems", "code": _code, "name": _name})
    globals()[_class] = _classes[_code]
    __all__.append(_class)


def make(code, name, message):
    """The exception of a code: what the extension module raises."""
    exception = _classes.get(code, Error)(message)
    exception.code, exception.name = code, name
    return exception
