"""Fork, pickling, pools of processes."""

import concurrent.futures
import multiprocessing
import os
import pickle
import warnings

import ems
from support import Case, Thread, wait_for_waiters


def in_child(function):
    """Runs it in a child of a plain fork: what it raised, as text."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        os.close(read)
        text = ""
        try:
            function()
        except BaseException as error:
            text = repr(error)
        os.write(write, text.encode()[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    return text if status == 0 else f"the child ended with {status} {text}"


def add(heap, count):
    for _ in range(count):
        heap.faa("n", 1)
    return os.getpid()


def add_element(element):
    return element.faa(1)


class Fork(Case):
    def test_handles_work_in_the_child(self):
        heap = self.map()
        heap["k"] = "parent"
        element = heap["k"]

        def child():
            assert element.read() == "parent"
            heap["k"] = "child"
            self.client.ping()
            assert self.client.heap(heap.name, how="open").read("k") == "child"
            heap.close()
            self.client.close()

        self.assertEqual(in_child(child), "")
        self.assertEqual(heap.read_ff("k"), "child")

    def test_grandchildren(self):
        heap = self.heap()
        heap[0] = 0

        def child():
            heap.faa(0, 1)
            text = in_child(lambda: heap.faa(0, 1))
            assert text == "", text
            heap.faa(0, 1)

        self.assertEqual(in_child(child), "")
        self.assertEqual(heap.read(0), 3)

    def test_while_a_thread_sleeps(self):
        heap = self.heap(initial_tag="empty")
        reader = Thread(heap.read_fe, 0)
        wait_for_waiters(heap)

        def child():
            heap.write_ef(0, "from the child")
            heap.close()

        self.assertEqual(in_child(child), "")
        self.assertEqual(reader.get(), "from the child")

    def test_what_is_held_stays_the_parents(self):
        heap = self.heap()
        transaction = ems.transaction([heap[0]])
        lease = heap.read_fe_lease(1)
        iterator = iter(heap)
        next(iterator)

        def child():
            for call in (lambda: transaction[0], transaction.commit, lease.end):
                try:
                    call()
                except ems.ForkedError:
                    continue
                raise AssertionError("it was the child's")
            try:
                heap.faa(0, 1, timeout=0)
            except TimeoutError:
                pass

        self.assertEqual(in_child(child), "")
        transaction[0] = 1
        transaction.commit()
        lease.end()
        self.assertEqual(next(iterator), 1)

    def test_a_heap_that_is_gone(self):
        heap = self.client.heap(self.name(), elements=4)
        heap.drop()

        def child():
            try:
                heap.read(0)
            except FileNotFoundError:
                return
            raise AssertionError("found")

        self.assertEqual(in_child(child), "")


class Pickling(Case):
    def test_by_name(self):
        heap = self.map()
        heap["k"] = 1
        for one in (heap, heap["k"], self.client, [heap, heap["k"]]):
            pickle.loads(pickle.dumps(one))
        copy = pickle.loads(pickle.dumps(heap))
        self.assertEqual((copy.name, copy.read("k")), (heap.name, 1))
        self.assertIs(copy, pickle.loads(pickle.dumps(heap)))
        self.assertEqual(pickle.loads(pickle.dumps(heap["k"])).read(), 1)
        reader = self.client.heap(heap.name, how="open", read_only=True)
        self.assertTrue(pickle.loads(pickle.dumps(reader)).read_only)
        copy.close()

    def test_what_cannot_be(self):
        heap = self.heap()
        with ems.transaction([heap[0]]) as transaction, self.assertRaises(TypeError):
            pickle.dumps(transaction)
        with heap.read_fe_lease(0) as lease, self.assertRaises(TypeError):
            pickle.dumps(lease)
        with self.assertRaises(TypeError):
            pickle.dumps(iter(heap))

    def test_exceptions(self):
        error = ems.errors.make(4, "EMS_ERANGE", "words")
        copy = pickle.loads(pickle.dumps(error))
        self.assertEqual((type(copy), str(copy), copy.code, copy.name), (ems.RangeError, "words", 4, "EMS_ERANGE"))

    def test_pools(self):
        for method in ("fork", "spawn"):
            heap = self.map()
            heap["n"] = 0
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with concurrent.futures.ProcessPoolExecutor(
                        2, mp_context=multiprocessing.get_context(method)) as pool:
                    list(pool.map(add, [heap] * 4, [50] * 4))
                    list(pool.map(add_element, [heap["n"]] * 4))
            self.assertEqual(heap.read("n"), 204, method)

    def test_process(self):
        heap = self.map()
        heap["n"] = 0
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=add, args=(heap, 100)) for _ in range(3)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for one in children:
                one.start()
        for one in children:
            one.join()
        self.assertEqual([one.exitcode for one in children], [0, 0, 0])
        self.assertEqual(heap.read("n"), 300)
