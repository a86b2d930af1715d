"""Values and keys: what goes in comes out, in this process and in another, and what cannot go in does not."""

import array
import math
import struct
import sys

import ems
from support import Case

DEEP = []
for _ in range(200):
    DEEP = [DEEP]

VALUES = [
    None, True, False, 0, 1, -1, 2**53, 2**53 + 1, 2**53 - 1, -2**53, -2**53 - 1, 2**63 - 1, -2**63,
    0.0, -0.0, 0.1, 1.0, 5e-324, sys.float_info.max, math.inf, -math.inf, math.nan, 2.0**53, 1e308,
    "", "a", "\0", "a\0b", "héllo", "\U0001f600", "\uffff", "x" * 10000, "ü" * 70000,
    b"", b"\0", b"\xff\xfe", bytes(range(256)), b"b" * 100000,
    {}, [], {"a": [1, 2.5, None, True, "ü\0"]}, [[[]]], {"": {"": ""}}, [2**63, -2**64], DEEP,
]


def same(one, other):
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("d", one) == struct.pack("d", other)
    return type(one) is type(other) and one == other


class Values(Case):
    def check_all(self, heap, keys):
        for value in VALUES:
            for key in keys:
                heap.write(key, value)
                self.assertTrue(same(heap.read(key), value), f"{value!r:.60} became {heap.read(key)!r:.60}")
                self.assertTrue(same(heap[key].value, value))

    def test_elements(self):
        self.check_all(self.heap(), (0, 15))

    def test_keys(self):
        self.check_all(self.map(), ("k", 3))

    def test_queue_and_stack(self):
        heap = self.heap(elements=4)
        for value in VALUES:
            self.assertEqual(heap.enqueue(value), 1)
            self.assertTrue(same(heap.queue_peek(), value))
            self.assertTrue(same(heap.dequeue(), value))
            self.assertEqual(heap.push(value), 1)
            self.assertTrue(same(heap.stack_peek(), value))
            self.assertTrue(same(heap.pop(), value))

    def test_large(self):
        heap = self.heap(elements=2)
        for value in ("y" * (16 << 20), b"z" * (16 << 20), "\U0001f600" * (4 << 20)):
            heap.write(0, value)
            self.assertEqual(heap.read(0), value)

    def test_too_large_for_the_heap(self):
        heap = self.heap(elements=2, storage=1)  # the least there is: 64 MiB
        heap.write(0, "before")
        with self.assertRaises(MemoryError) as caught:
            heap.write(0, b"y" * (80 << 20))
        self.assertIsInstance(caught.exception, ems.NoSpaceError)
        self.assertEqual(heap.read(0), "before")

    def test_integers_that_do_not_fit(self):
        heap = self.heap()
        heap.write(0, 7)
        for number in (2**63, -2**63 - 1, 10**40):
            for operation in (heap.write, heap.faa, heap.swap, heap.write_ef):
                with self.assertRaises(OverflowError):
                    operation(0, number)
            with self.assertRaises(OverflowError):
                heap.cas(0, 7, number)
            with self.assertRaises(OverflowError):
                heap.read(number)
        self.assertEqual(heap.read(0), 7)

    def test_lone_surrogates(self):
        heap = self.map()
        for text in ("\ud800", "a\udfffb"):
            with self.assertRaises(UnicodeEncodeError):
                heap.write("k", text)
            with self.assertRaises(UnicodeEncodeError):
                heap.write("k", {"a": text})
            with self.assertRaises(UnicodeEncodeError):
                heap.write(text, 1)
        self.assertNotIn("k", heap)

    def test_what_a_heap_does_not_hold(self):
        heap = self.heap()
        for value in (object(), {1, 2}, 1j, lambda: 0, Case):
            with self.assertRaises(TypeError):
                heap.write(0, value)
        for value in ([math.nan], {"a": math.inf}):
            with self.assertRaises(ValueError):
                heap.write(0, value)
        with self.assertRaises(TypeError):
            heap.write(0, {"a": {1}})
        endless = []
        endless.append(endless)
        with self.assertRaises((ValueError, RecursionError)):
            heap.write(0, endless)
        self.assertIsNone(heap.read(0))

    def test_what_becomes_something_else(self):
        heap = self.heap()
        for value, read in ((bytearray(b"abc"), b"abc"), (memoryview(b"abcdef")[::1], b"abcdef"), ((1, 2), [1, 2]),
                            (array.array("b", [1, 2]), b"\1\2"), (ems.Json(None), None), (ems.Json("t"), "t"),
                            ({1: 2}, {"1": 2})):
            heap.write(0, value)
            self.assertTrue(same(heap.read(0), read), f"{value!r} became {heap.read(0)!r}")

        class Index:
            def __index__(self):
                return 9

        heap.write(0, Index())
        self.assertTrue(same(heap.read(0), 9))
        with self.assertRaises(BufferError):
            heap.write(0, memoryview(b"abcdef")[::2])

    def test_a_conversion_that_closes_the_heap(self):
        heap = self.heap()

        class Closing:
            def __index__(self):
                heap.close()
                return 1

        for operation in ("write", "faa", "swap"):
            heap = self.heap()
            with self.assertRaises(ValueError):
                getattr(heap, operation)(0, Closing())
        heap = self.heap()
        with self.assertRaises(ValueError):
            heap.read(Closing())


class Keys(Case):
    KEYS = ["", "k", "5", 5, -5, 2**63 - 1, -2**63, 5.5, True, False, 0, 1, "ü\0\U0001f600", "l" * 65535, b"\xff\0",
            -0.5, 1e300]

    def test_kinds(self):
        heap = self.map()
        for number, key in enumerate(self.KEYS):
            heap[key] = number
        for number, key in enumerate(self.KEYS):
            self.assertEqual(heap.read(key), number, key)
            self.assertIn(key, heap)
        found = list(heap)
        self.assertEqual(len(found), len(self.KEYS))
        for key in self.KEYS:
            self.assertTrue(any(same(key, one) for one in found), key)
            self.assertTrue(same(heap.index_to_key(heap.key_to_index(key)), key))
        self.assertEqual(sorted(heap.values()), list(range(len(self.KEYS))))
        for key, value in heap.items():
            self.assertEqual(self.KEYS[value], key)

    def test_one_number_is_one_key(self):
        heap = self.map()
        heap[5] = "five"
        self.assertEqual(heap.read(5.0), "five")
        self.assertIsNone(heap.read("5"))
        heap[1] = "one"
        self.assertNotIn(True, heap)
        heap[math.nan] = "nan"
        self.assertEqual(heap.read(float("nan")), "nan")

    def test_what_is_no_key(self):
        heap = self.map()
        for key in (None, (1,), [], 1j, object()):
            with self.assertRaises(TypeError):
                heap.read(key)
        with self.assertRaises(OverflowError):
            heap.read("k" * 65536)
        plain = self.heap()
        with self.assertRaises(ems.InvalidError):
            plain.read("k")
        for index in (16, -1, 2**62):
            with self.assertRaises(IndexError):
                plain.read(index)
            self.assertNotIn(index, plain)
        with self.assertRaises(KeyError):
            del heap["absent"]

    def test_several(self):
        heap = self.map()
        heap.set_many({"a": 1, "b": [2]})
        heap.set_many([("c", 3.5), (4, None)])
        self.assertEqual(heap.get_many(["a", "b", "c", 4, "d"]), [1, [2], 3.5, None, None])
        self.assertEqual(heap.get_many(key for key in "ab"), [1, [2]])
        with self.assertRaises(TypeError):
            heap.set_many([1])
        with self.assertRaises(TypeError):
            heap.get_many(5)

    def test_iterating_while_the_heap_changes(self):
        heap = self.map()
        for number in range(300):
            heap[number] = number
        seen = []
        for number in heap:
            seen.append(number)
            heap[f"new{number}"] = 0
            if f"new{number}" in heap:
                heap.delete(f"new{number}")
        self.assertEqual(sorted(one for one in seen if isinstance(one, int)), list(range(300)))

    def test_iterators_and_closing(self):
        heap = self.map()
        for number in range(10):
            heap[number] = number
        iterator = iter(heap)
        next(iterator)
        heap.close()
        with self.assertRaises(ValueError):
            next(iterator)
        other = self.map()
        other["k"] = 1
        iterator = other.items()
        self.assertEqual(next(iterator), ("k", 1))
        self.assertEqual(list(iterator), [])
        self.assertEqual(list(iterator), [])
