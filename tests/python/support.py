"""What the tests of contrib/python share. A daemon runs already: contrib/devenv has started it."""

import itertools
import os
import subprocess
import sys
import threading
import unittest

import ems

_numbers = itertools.count()


class Case(unittest.TestCase):
    """A client, and heaps with names of their own."""

    def setUp(self):
        self.client = ems.connect()
        self.addCleanup(self.client.close)

    def name(self):
        return f"test/{os.getpid()}/{next(_numbers)}"

    def heap(self, elements=16, **options):
        return self.client.heap(self.name(), how="create", elements=elements, until_detached=True, **options)

    def map(self, **options):
        return self.heap(elements=1000, map=True, **options)


class Thread(threading.Thread):
    """A thread that hands on what its function gave or raised. Left behind by a failing test it does not hold the process."""

    def __init__(self, function, *args):
        super().__init__(daemon=True)
        self.function, self.args, self.result, self.error = function, args, None, None
        self.start()

    def run(self):
        try:
            self.result = self.function(*self.args)
        except BaseException as error:
            self.error = error

    def get(self):
        self.join(60)
        if self.is_alive():
            raise AssertionError("the thread does not end")
        if self.error is not None:
            raise self.error
        return self.result


def wait_for_waiters(heap, count=1):
    """Until so many sleep in the heap, as the daemon counts them."""
    while heap.info()["waiters"] < count:
        pass


def python(code, *args, **options):
    """Another process that runs this code, with its output as text."""
    return subprocess.run([sys.executable, "-c", code, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=120, stdin=subprocess.DEVNULL, **options)
