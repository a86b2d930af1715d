"""The operations on elements, the queue, the stack, ranges, transactions, leases; what is refused."""

import array
import gc
import math
import struct
import sys

import ems
from support import Case, Thread, wait_for_waiters


class Elements(Case):
    def test_tags(self):
        heap = self.heap()
        self.assertEqual(heap.get_tag(0), "full")
        self.assertIsNone(heap.read_fe(0))
        self.assertEqual(heap.get_tag(0), "empty")
        heap.write_ef(0, "x")
        self.assertEqual(heap.read_ff(0), "x")
        heap.write_xe(0, "y")
        self.assertEqual((heap.get_tag(0), heap.read(0)), ("empty", "y"))
        heap.write_xf(0, "z")
        self.assertEqual(heap.read_rw(0), "z")
        self.assertEqual(heap.read_rw(0), "z")
        self.assertEqual(heap.get_tag(0), "readers")
        self.assertEqual((heap.release_rw(0), heap.release_rw(0)), (1, 0))
        with self.assertRaises(ems.InvalidError):
            heap.release_rw(0)
        heap.set_tag(0, "empty")
        heap.set_tag(0, True)
        self.assertEqual(heap.get_tag(0), "full")
        with self.assertRaises(ValueError):
            heap.set_tag(0, "half")

    def test_initial(self):
        heap = self.heap(fill=[1], initial_tag="empty")
        self.assertEqual((heap.read(3), heap.get_tag(3)), ([1], "empty"))

    def test_arithmetic(self):
        heap = self.heap()
        heap[0] = 5
        self.assertEqual(heap.faa(0, 2), 5)
        self.assertEqual(heap[0].faa(0.5), 7)
        self.assertEqual(heap.read(0), 7.5)
        self.assertIsNone(heap.faa(1, 1))
        self.assertTrue(math.isnan(heap.read(1)))
        heap[2] = 2**63 - 1
        self.assertEqual(heap.faa(2, 1), 2**63 - 1)
        self.assertEqual(heap.read(2), float(2**63))
        heap[3] = "n"
        heap.faa(3, 1)
        heap.faa(3, -0.0)
        heap.faa(3, 0.1)
        self.assertEqual(heap.read(3), "n100.1")
        heap[4] = True
        heap.faa(4, True)
        self.assertEqual(heap.read(4), 2)
        for value in ([1], b"x"):
            heap[5] = value
            with self.assertRaises(TypeError):
                heap.faa(5, 1)
        heap[6] = 0b1100
        self.assertEqual((heap.and_(6, 0b0110), heap.or_(6, 1), heap.xor_(6, 7), heap.read(6)), (0b1100, 4, 5, 2))
        self.assertEqual((heap.min(6, -3), heap.max(6, 9.5), heap.read(6)), (2, -3, 9.5))
        with self.assertRaises(ems.WrongTypeError):
            heap.and_(6, 1)

    def test_compare(self):
        heap = self.map()
        self.assertIsNone(heap.cas("k", "other", 1))
        self.assertNotIn("k", heap)
        self.assertTrue(heap.compare_set("k", None, 1))
        self.assertFalse(heap.compare_set("k", 2, 3))
        self.assertEqual(heap.cas("k", 1.0, "text"), 1)
        self.assertEqual(heap.swap("k", {"a": 1}), "text")
        self.assertEqual(heap.cas("k", {"a": 1}, b"b"), {"a": 1})
        self.assertFalse(heap.compare_delete("k", b"c"))
        self.assertTrue(heap["k"].compare_delete(b"b"))
        heap["n"] = math.nan
        self.assertFalse(heap.compare_set("n", math.nan, 1))

    def test_arguments(self):
        heap = self.heap()
        heap.write(0, value=3, timeout=1)
        self.assertEqual(heap.read_ff(0, timeout=None), 3)
        for call in (lambda: heap.read(), lambda: heap.read(0, 1), lambda: heap.write(0), lambda: heap.faa(0, 1, 2, 3),
                     lambda: heap.faa(0, 1, value=1), lambda: heap.faa(0, 1, time=1), lambda: heap.read_fe(0, timeout="1"),
                     lambda: ems.Heap(), lambda: heap.compare_delete(0)):
            with self.assertRaises(TypeError):
                call()
        with self.assertRaises(ValueError):
            heap.read_fe(0, timeout=math.nan)

    def test_read_only(self):
        heap = self.map(mode=0o600)
        heap["k"] = 1
        reader = self.client.heap(heap.name, how="open", read_only=True)
        self.assertEqual(reader.read("k"), 1)
        for call in (lambda: reader.write("k", 2), lambda: reader.read_fe("k"), lambda: reader.push(1)):
            with self.assertRaises(PermissionError):
                call()

    def test_errors_carry_their_code(self):
        with self.assertRaises(ems.NotFoundError) as caught:
            self.client.heap("test/none", how="open")
        self.assertEqual((caught.exception.code, caught.exception.name), (6, "EMS_ENOTFOUND"))
        self.assertIsInstance(caught.exception, FileNotFoundError)
        self.assertIn("test/none", str(caught.exception))
        heap = self.heap()
        with self.assertRaises(FileExistsError):
            self.client.heap(heap.name, how="create", elements=1)
        with self.assertRaises(ems.MismatchError):
            self.client.heap(heap.name, elements=17)
        with self.assertRaises(ems.BadNameError):
            self.client.heap("a//b", elements=1)
        for code, _, name, bases, _ in ems.errors._TABLE:
            one = ems.errors.make(code, "X", "words")
            self.assertEqual((type(one), str(one)), (getattr(ems, name), "words"))
            for base in bases:
                self.assertIsInstance(one, base)

    def test_growing_dropping(self):
        heap = self.client.heap(self.name(), elements=4, max_elements=8)
        heap.grow(6)
        self.assertEqual(heap.elements, 6)
        heap[5] = 1
        with self.assertRaises(IndexError):
            heap.grow(9)
        self.assertIn(heap.name, [one["name"] for one in self.client.list("test/")])
        self.assertEqual(heap.info()["elements"], 6)
        heap.drop()
        self.assertTrue(heap.dropped)
        self.assertEqual(heap.read(5), 1)

    def test_closed(self):
        heap = self.heap()
        element = heap[0]
        heap.close()
        heap.close()
        self.assertTrue(heap.closed)
        for call in (lambda: heap.read(0), element.read, lambda: heap.enqueue(1), lambda: list(heap), lambda: heap.elements):
            with self.assertRaises(ValueError):
                call()
        self.client.close()
        with self.assertRaises(ValueError):
            self.client.ping()
        with ems.connect() as client, client.heap(self.name(), elements=1, until_detached=True) as inner:
            inner[0] = 1
        self.assertTrue(client.closed and inner.closed)


class QueuesAndStacks(Case):
    def test_order(self):
        heap = self.heap(elements=3)
        self.assertEqual([heap.enqueue(value) for value in "abc"], [1, 2, 3])
        with self.assertRaises(ems.FullError):
            heap.enqueue("d")
        with self.assertRaises(TimeoutError):
            heap.enqueue("d", timeout=0.01)
        self.assertEqual([heap.dequeue() for _ in "abc"], ["a", "b", "c"])
        with self.assertRaises(ems.EmptyError):
            heap.dequeue()
        with self.assertRaises(TimeoutError):
            heap.dequeue(timeout=0.01)
        self.assertEqual([heap.push(value) for value in "abc"], [1, 2, 3])
        self.assertEqual((heap.stack_length(), heap.queue_length()), (3, 0))
        self.assertEqual([heap.pop() for _ in "abc"], ["c", "b", "a"])
        with self.assertRaises(IndexError):
            heap.pop()

    def test_none_is_an_item(self):
        heap = self.heap()
        heap.enqueue(None)
        heap.push(None)
        self.assertEqual((heap.dequeue(), heap.pop()), (None, None))

    def test_waiting(self):
        heap = self.heap(elements=1)
        taker = Thread(heap.dequeue, None)
        wait_for_waiters(heap)
        heap.enqueue("a")
        self.assertEqual(taker.get(), "a")
        heap.push("full")
        putter = Thread(heap.push, "b", None)
        wait_for_waiters(heap)
        self.assertEqual(heap.pop(), "full")
        self.assertEqual(putter.get(), 1)


class Ranges(Case):
    def test_numbers(self):
        heap = self.heap(elements=5000)
        heap.fill(0)
        numbers = array.array("q", range(5000))
        self.assertEqual(heap.write_range(0, numbers), 5000)
        read = array.array("q", bytes(8 * 4000))
        self.assertEqual(heap.read_range(1000, read), 4000)
        self.assertEqual(read, numbers[1000:])
        doubles = array.array("d", [0.5, -0.0, math.inf])
        heap.write_range(7, doubles)
        back = array.array("d", bytes(24))
        heap.read_range(7, memoryview(back))
        self.assertEqual(back.tobytes(), doubles.tobytes())
        self.assertEqual(heap.read(8), -0.0)

    def test_refused(self):
        heap = self.heap(elements=10)
        heap.fill(1.5)
        heap[3] = "text"
        with self.assertRaises(ems.WrongTypeError):
            heap.read_range(0, array.array("d", bytes(80)))
        with self.assertRaises(IndexError):
            heap.write_range(9, array.array("q", [1, 2]))
        for buffer in (array.array("i", [1]), bytearray(8), b"x" * 8):
            with self.assertRaises(TypeError):
                heap.write_range(0, buffer)
        with self.assertRaises(BufferError):
            heap.read_range(0, memoryview(struct.pack("q", 1)).cast("q"))
        with self.assertRaises(BufferError):
            heap.read_range(0, memoryview(array.array("q", [1, 2, 3, 4]))[::2])
        with self.assertRaises(TypeError):
            heap.read_range(0, 5)

    def test_fill(self):
        heap = self.heap(elements=10)
        heap.fill("x", first=2, count=3, tag="empty")
        self.assertEqual([heap.read(one) for one in range(6)], [None, None, "x", "x", "x", None])
        self.assertEqual([heap.get_tag(one) for one in (1, 2, 5)], ["full", "empty", "full"])
        heap.fill(0, first=8)
        self.assertEqual([heap.read(one) for one in (7, 8, 9)], [None, 0, 0])


class Transactions(Case):
    def test_commit_and_abort(self):
        heap, names = self.heap(), self.map()
        heap[0], names["n"] = 10, "old"
        with ems.transaction([heap[0], (names, "n"), (heap, 1, True)]) as transaction:
            self.assertEqual((len(transaction), transaction[0], transaction[1]), (3, 10, "old"))
            transaction[0] = 11
            names.write("n", "new")
            self.assertEqual(transaction[1], "new")
            with self.assertRaises(PermissionError):
                transaction[2] = 1
            with self.assertRaises(IndexError):
                transaction[3]
            self.assertEqual(Thread(heap.read, 0).get(), 10)
        self.assertEqual((heap.read(0), names.read("n"), transaction.open), (11, "new", False))

        class Stop(Exception):
            pass

        with self.assertRaises(Stop), ems.transaction([heap[0]]) as transaction:
            transaction[0] = 99
            raise Stop
        self.assertEqual((heap.read(0), heap.get_tag(0)), (11, "full"))
        with self.assertRaises(ValueError):
            transaction[0]

    def test_by_hand(self):
        heap = self.heap()
        transaction = ems.transaction([(heap, 0), (heap, 0)])
        transaction[0] = 1
        with self.assertRaises(ems.DeadlockError):
            ems.transaction([heap[1]])
        transaction.commit()
        with self.assertRaises(ValueError):
            transaction.abort()
        ems.transaction([]).commit()
        transaction = ems.transaction([heap[0]])
        transaction[0] = 5
        del transaction
        gc.collect()
        self.assertEqual(heap.read_ff(0, timeout=0), 1)

    def test_waiting(self):
        heap = self.heap()
        heap.write_xe(0, 1)
        with self.assertRaises(TimeoutError):
            ems.transaction([heap[0]], timeout=0.01)

        def both():
            with ems.transaction([heap[0], heap[1]]) as transaction:
                transaction[1] = transaction[0] + 1

        thread = Thread(both)
        wait_for_waiters(heap)
        heap.write_ef(0, 41)
        thread.get()
        self.assertEqual(heap.read(1), 42)

    def test_arguments(self):
        heap = self.heap()
        for elements in ([heap], [(heap,)], [(1, 2)], 5, [(heap, None)], [(heap, 0, 0, 0)]):
            with self.assertRaises(TypeError):
                ems.transaction(elements)
        with self.assertRaises(IndexError):
            ems.transaction([heap[99]])

    def test_snapshot(self):
        heap, names = self.heap(), self.map()
        heap[0], names["k"] = 1, ["j"]
        self.assertEqual(ems.snapshot([heap[0], (names, "k"), names["absent"]]), [1, ["j"], None])
        self.assertEqual(ems.snapshot([]), [])


class Leases(Case):
    def test_elements(self):
        heap = self.heap()
        heap[0] = "v"
        with heap.read_fe_lease(0) as lease:
            self.assertEqual((lease.value, heap.get_tag(0)), ("v", "busy"))
            lease.put("w")
        self.assertEqual((heap.read(0), heap.get_tag(0), lease.ended), ("w", "full", True))
        with heap[0].read_fe_lease(timeout=0):
            pass
        self.assertEqual(heap.get_tag(0), "full")
        lease = heap.read_fe_lease(0)
        lease.keep()
        self.assertEqual(heap.get_tag(0), "empty")
        with self.assertRaises(ValueError):
            lease.end()
        with self.assertRaises(TimeoutError):
            heap.read_fe_lease(0, timeout=0)

    def test_items(self):
        heap = self.heap()
        heap.enqueue("a")
        with self.assertRaises(KeyError), heap.dequeue_lease() as lease:
            raise KeyError
        self.assertEqual(heap.queue_length(), 1)
        with heap.dequeue_lease() as lease:
            self.assertEqual((lease.value, heap.queue_leased()), ("a", 1))
        self.assertEqual(heap.queue_length(), 0)
        with self.assertRaises(ems.EmptyError):
            heap.dequeue_lease()
        with self.assertRaises(TimeoutError):
            heap.dequeue_lease(timeout=0.01)
        heap.enqueue("b")
        lease = heap.dequeue_lease()
        del lease
        gc.collect()
        self.assertEqual(heap.dequeue(), "b")

    def test_after_closing(self):
        heap = self.heap()
        lease = heap.read_fe_lease(0)
        heap.close()
        with self.assertRaises(ValueError):
            lease.end()


class Leaks(Case):
    def work(self, heap, names):
        names["k"] = {"a": [1]}
        for value in ("text", b"bytes", 2**40, 1.5, [1, 2]):
            heap.write(0, value)
            heap.read(0)
            heap.swap(0, "other")
            heap.cas(0, "other", value)
            heap.enqueue(value)
            heap.dequeue()
            names["k"] = value
            list(names.items())
        for call in (lambda: heap.read(99), lambda: heap.write(0, object()), lambda: heap.write(0, 2**70),
                     lambda: heap.pop(), lambda: heap.read_fe(1, timeout=0) or heap.read_fe(1, timeout=0),
                     lambda: heap.write(0, [object()]), lambda: heap.nothing):
            try:
                call()
            except Exception:
                pass
        heap.write_xf(1, 0)
        with ems.transaction([heap[0], names["k"]]) as transaction:
            transaction[0] = "x"
        ems.snapshot([heap[0]])
        heap.enqueue("l")
        with heap.dequeue_lease():
            pass

    def test_references(self):
        heap, names = self.heap(), self.map()
        objects = [heap, names, self.client, ems.Heap, ems.Element, ems.Lease, ems.Transaction]
        if sys.version_info < (3, 12):  # later these live for ever, and their counts mean nothing
            objects += [None, "other"]
        for _ in range(3):
            self.work(heap, names)
        gc.collect()
        before = [sys.getrefcount(one) for one in objects]
        blocks = sys.getallocatedblocks()
        for _ in range(200):
            self.work(heap, names)
        gc.collect()
        after = [sys.getrefcount(one) for one in objects]
        for one, was, now in zip(objects, before, after):
            self.assertLess(now - was, 100, f"{one!r}: {was} references before, {now} after")
        self.assertLess(sys.getallocatedblocks() - blocks, 400)
