"""Waiting: time limits, the interpreter's lock, Ctrl-C, closing, other processes that die."""

import os
import signal
import subprocess
import sys
import threading
import time
import unittest

import ems
from support import Case, Thread, python, wait_for_waiters


class Waiting(Case):
    def test_others_run_meanwhile(self):
        heap = self.heap(initial_tag="empty")
        reader = Thread(heap.read_fe, 0)
        wait_for_waiters(heap)
        heap.write_ef(0, "news")
        self.assertEqual(reader.get(), "news")

    def test_many_threads(self):
        heap = self.heap(initial_tag="empty")
        readers = [Thread(heap.read_fe, one % 16) for one in range(32)]
        wait_for_waiters(heap, 16)
        writers = [Thread(heap.write_ef, one % 16, one) for one in range(32)]
        for one in writers:
            one.get()
        self.assertEqual(sorted(one.get() for one in readers), list(range(32)))

    def test_timeouts(self):
        heap = self.heap(initial_tag="empty")
        for timeout in (0, -1, 0.01, 1e-9):
            for call in (lambda: heap.read_ff(0, timeout), lambda: heap.read_fe(0, timeout=timeout),
                         lambda: heap[0].read_rw(timeout), lambda: heap.faa(0, 1, timeout),
                         lambda: heap.swap(0, 1, timeout=timeout), lambda: heap.cas(0, 1, 2, timeout),
                         lambda: heap.min(0, 1, timeout)):
                with self.assertRaises(TimeoutError):
                    call()
        heap.set_tag(0, "full")
        with self.assertRaises(TimeoutError):
            heap.write_ef(0, 1, timeout=0.01)
        self.assertIsNone(heap.read_ff(0, timeout=1e300))

    def test_closing_ends_the_wait(self):
        for close in ("heap", "client"):
            client = ems.connect()
            heap = client.heap(self.name(), elements=4, initial_tag="empty", until_detached=True)
            readers = [Thread(heap.read_fe, one) for one in range(3)] + [Thread(heap.dequeue, None)]
            wait_for_waiters(self.client.heap(heap.name, how="open"), 4)
            (heap if close == "heap" else client).close()
            for one in readers:
                with self.assertRaises(ems.CancelledError):
                    one.get()
            client.close()

    def test_deadlock(self):
        heap = self.heap()
        heap.read_rw(0)
        with self.assertRaises(ems.DeadlockError):
            heap.write_xf(0, 1)
        heap.release_rw(0)


INTERRUPTED = """
import ems, sys, signal
what, name = sys.argv[1:]
client = ems.connect()
heap = client.heap(name, how="open")
if what == "handler":
    calls = []
    signal.signal(signal.SIGINT, lambda *_: (calls.append(1), heap.enqueue("handled")))
try:
    if what == "dequeue":
        heap.dequeue(timeout=None)
    elif what == "transaction":
        ems.transaction([heap[0]])
    elif what == "team":
        client.team(name + "/team", 2)
    else:
        print(heap.read_fe(0))
except KeyboardInterrupt:
    print("interrupted")
heap.write(1, 5)
print(heap.read(1))
"""


class Signals(Case):
    def start(self, what):
        heap = self.heap(initial_tag="empty")
        process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, what, heap.name], stdout=subprocess.PIPE, text=True,
                                   stdin=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return heap, process

    def test_ctrl_c(self):
        for what in ("read", "dequeue", "transaction"):
            heap, process = self.start(what)
            wait_for_waiters(heap)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.stdout.read(), "interrupted\n5\n", what)
            self.assertEqual(process.wait(), 0)

    def test_ctrl_c_while_a_team_forms(self):
        heap, process = self.start("team")
        while heap.name + "/team" not in [one["name"] for one in self.client.list(heap.name)]:
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.stdout.read(), "interrupted\n5\n")

    # The main thread does not notice the signal, as another one takes it: as when it had come in the instant before the sleep.
    MISSED = """if True:
        import signal, sys, threading, ems
        called = threading.Event()
        signal.signal(signal.SIGINT, lambda *_: (called.set(), handled()))
        threading.Thread(target=called.wait, daemon=True).start()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        handled = lambda: None
        if sys.argv[1] == "loop":
            client = ems.connect()

            def other():
                with client.team(sys.argv[2], 2) as team:
                    called.wait()
                    list(team.loop(0, 1))

            thread = threading.Thread(target=other)
            thread.start()
            with client.team(sys.argv[2], 2) as team:
                print("ready", flush=True)
                list(team.loop(0, 1))
            thread.join()
        else:
            ems.initialize(1, False, "user", sys.argv[2])
            array = ems.new({"dimensions": [1], "doSetFEtags": True, "setFEtags": "empty"})
            handled = lambda: array.writeEF(0, "news")
            print("ready", flush=True)
            assert array.readFE(0) == "news"
        print("done")
        """

    def test_a_signal_before_the_sleep(self):
        for what in ("loop", "array"):
            process = subprocess.Popen([sys.executable, "-c", self.MISSED, what, self.name()], stdout=subprocess.PIPE, text=True,
                                       stdin=subprocess.DEVNULL)
            self.addCleanup(process.stdout.close)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            self.assertEqual(process.stdout.readline(), "ready\n")
            state = f"/proc/{process.pid}/task/{process.pid}/stat"
            asleep = 0
            while asleep < 100:  # in a row: it sleeps in what never comes by itself
                with open(state, encoding="ascii") as file:
                    asleep = asleep + 1 if file.read().rsplit(") ", 1)[1].startswith("S") else 0
            process.send_signal(signal.SIGINT)
            self.assertEqual((process.stdout.read(), process.wait()), ("done\n", 0), what)

    def test_a_handler_that_returns(self):
        heap, process = self.start("handler")
        wait_for_waiters(heap)
        process.send_signal(signal.SIGINT)
        self.assertEqual(heap.dequeue(timeout=60), "handled")
        heap.write_ef(0, "news")
        self.assertEqual(process.stdout.read(), "news\n5\n")


class Deaths(Case):
    CHILD = """
import ems, sys
heap = ems.connect().heap(sys.argv[1], how="open")
transaction = ems.transaction([heap[0], heap[1]])
transaction[0] = "half"
lease = heap.read_fe_lease(2)
item = heap.dequeue_lease()
heap.read_rw(3)
print("ready", flush=True)
sys.stdin.read()
"""

    def test_a_killed_process_gives_back_what_it_held(self):
        heap = self.heap()
        heap.fill("whole")
        heap.enqueue("item")
        process = subprocess.Popen([sys.executable, "-c", self.CHILD, heap.name], stdout=subprocess.PIPE,
                                   stdin=subprocess.PIPE, text=True)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "ready\n")
        with self.assertRaises(TimeoutError):
            heap.read_ff(0, timeout=0.01)
        waiting = [Thread(heap.read_fe, one) for one in range(3)] + [Thread(heap.write_xf, 3, "w"), Thread(heap.dequeue, None)]
        wait_for_waiters(heap, 3)
        process.kill()
        self.assertEqual([one.get() for one in waiting], ["whole", "whole", "whole", None, "item"])


class Threads(Case):
    def test_counting(self):
        heap = self.map()
        heap["n"] = 0

        def count():
            for _ in range(2000):
                heap.faa("n", 1)

        for one in [Thread(count) for _ in range(6)]:
            one.get()
        self.assertEqual(heap.read("n"), 12000)

    def test_opening_and_closing_at_once(self):
        name = self.name()
        keep = self.client.heap(name, elements=4)

        def work():
            for _ in range(20):
                heap = self.client.heap(name, how="open")
                heap.faa(0, 1) if heap.read(0) is not None else heap.compare_set(0, None, 0)
                heap.close()

        for one in [Thread(work) for _ in range(4)]:
            one.get()
        self.assertGreater(keep.read(0), 0)
        keep.drop()

    def test_a_client_closed_while_others_work(self):
        for _ in range(10):
            client = ems.connect()
            heap = client.heap(self.name(), elements=4, until_detached=True)
            go = threading.Event()

            def work(heap=heap, client=client, go=go):
                go.set()
                try:
                    while True:
                        heap.write(0, "x" * 100)
                        heap.read(0)
                        heap.elements
                        client.inspect(heap.name)
                except (ValueError, ems.Error):
                    pass

            threads = [Thread(work) for _ in range(3)]
            go.wait()
            client.close()
            for one in threads:
                one.get()


class Interpreters(Case):
    def test_another_interpreter_is_refused(self):
        done = python("""
import ems
try:
    import _xxsubinterpreters as interpreters
except ImportError:
    import _interpreters as interpreters
other = interpreters.create()
interpreters.run_string(other, '''
try:
    import ems
except ImportError as error:
    assert "subinterpreter" in str(error), error
else:
    raise SystemError("imported")
''')
interpreters.destroy(other)
print(ems.connect().heap("test/main", elements=1, until_detached=True).read(0))
""")
        if "No module named" in done.stderr:
            self.skipTest("this Python has no subinterpreters to try")
        self.assertEqual((done.stdout, done.returncode), ("None\n", 0), done.stderr)

    def test_first_in_another_interpreter(self):
        done = python("""
try:
    import _xxsubinterpreters as interpreters
except ImportError:
    import _interpreters as interpreters
other = interpreters.create()
try:
    if interpreters.run_string(other, "import ems") is not None:  # how later versions say it
        print("refused")
except Exception:
    print("refused")
interpreters.destroy(other)
import ems
print(ems.connect().heap("test/main", elements=1, until_detached=True).read(0))
""")
        if "No module named" in done.stderr:
            self.skipTest("this Python has no subinterpreters to try")
        self.assertEqual((done.stdout, done.returncode), ("refused\nNone\n", 0), done.stderr)
