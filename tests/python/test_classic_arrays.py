"""The arrays of EMS 1.6, in a process of its own that has called initialize for itself (user)."""

import math
import os
import subprocess
import sys
import tempfile
import unittest

import ems
from support import Thread, python


class Classic(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        ems.initialize(1, False, "user", self.id())
        self.addCleanup(ems._classic._leave)

    def new(self, **descriptor):
        array = ems.new({"dimensions": [100], "heapSize": [100000], "filename": os.path.join(self.folder.name, "a"),
                         "persist": False, "useExisting": False, **descriptor})
        return array


class Arrays(Classic):
    def test_module(self):
        self.assertEqual((ems.myID, ems.nThreads, ems.threadingType, ems.pinThreads, ems.tasks), (0, 1, "user", False, []))
        self.assertIn("EMS", ems.domainName)

    def test_defaults(self):
        array = self.new()
        self.assertIsNone(array.read(0))
        self.assertIsNone(array.readFE(0))
        array.writeEF(0, 1)
        filled = self.new(doDataFill=True, dataFill=[1, {"a": 2}], doSetFEtags=True, setFEtags="empty")
        self.assertEqual(filled.read(99), [1, {"a": 2}])
        filled.writeEF(99, "was empty")
        ignored = self.new(dataFill=5, setFEtags="empty")
        self.assertIsNone(ignored.readFF(3))

    def test_properties(self):
        array = self.new(dimensions=[4, 5, 6], heapSize=[1000])
        self.assertEqual((array.dimensions, array.dimStride, array.nElements), ([4, 5, 6], [1, 4, 20], 120))
        self.assertEqual((array.useMap, array.persist, array.heapSize), (False, False, 1000))
        self.assertIsInstance(array.regionN, int)
        self.assertEqual(ems.new(5).dimensions, [5])
        self.assertEqual(ems.new([2, 3]).nElements, 6)

    def test_indexes(self):
        array = self.new(dimensions=[4, 5])
        array.write([1, 2], "x")
        self.assertEqual((array.read(9), array.read((1, 2)), array[[1, 2]].read(), array[9].read()), ("x",) * 4)
        array[[3, 4]] = "last"
        self.assertEqual(array.read(19), "last")
        for index in ([4, 0], [0, 5], [1], [1, 2, 3], [-1, 0], 20, -1):
            with self.assertRaises(IndexError):
                array.read(index)

    def test_operations(self):
        array = self.new()
        array.write(0, 10)
        self.assertEqual((array.faa(0, 5), array.read(0), array.cas(0, 15, "s"), array.readFF(0)), (10, 15, 15, "s"))
        self.assertEqual(array.cas(0, 99, 1), "s")
        self.assertEqual(array.readFE(0), "s")
        array.setTag(0, "full")
        array.writeXE(0, 1)
        array.writeEF(0, 2)
        array.writeXF(0, 3)
        self.assertEqual((array.readRW(0), array.readRW(0), array.releaseRW(0), array.releaseRW(0)), (3, 3, 1, 0))
        array.setTag(0, False)
        array.setTag(0, True)
        self.assertEqual(array.readFF(0), 3)
        element = array[0]
        element.write(7)
        self.assertEqual((element.faa(1), element.cas(8, 9), element.readFE()), (7, 8, 9))
        element.writeEF(1)
        element.writeXE(2)
        element.writeXF(3)
        element.setTag("empty")
        element.setTag("full")
        self.assertEqual((element.readRW(), element.releaseRW(), element.readFF(), element.read()), (3, 0, 3, 3))
        self.assertTrue(array.sync())

    def test_adding_in_the_words_of_ems(self):
        array = self.new()
        for start, addend, after in (("a", 0.1, "a0.100000"), ("a", math.nan, "anan"), ("a", 5, "a5"), (0.5, "a", "0.500000a"),
                                     (1, 2, 3), (1, 0.5, 1.5), (True, 1, 2), (2**53, 1, 2**53 + 1), ("a", "b", "ab")):
            array.write(0, start)
            self.assertEqual(array.faa(0, addend), start)
            self.assertEqual(array.read(0), after, (start, addend))
        array.write(0, None)
        array.faa(0, 1)
        self.assertTrue(math.isnan(array.read(0)))
        array.write(0, [1])
        with self.assertRaises(TypeError):
            array.faa(0, 1)
        array.write(0, 1)
        with self.assertRaises(TypeError):
            array.faa(0, {"a": 1})
        with self.assertRaises(TypeError):
            array.cas(0, {"a": 1}, 1)
        self.assertEqual(array.cas(0, 1, {"a": 1}), 1)
        self.assertEqual(array.read(0), {"a": 1})

    def test_values(self):
        array = self.new(heapSize=[1000000])
        for value in (None, True, 0, -0.0, 2**63 - 1, "", "a\0b", "\U0001f600", "x" * 70000, [], {"a": [None, 1.5]}, b"\xff"):
            array.write(1, value)
            self.assertEqual((type(array.read(1)), repr(array.read(1))), (type(value), repr(value)))
        with self.assertRaises(OverflowError):
            array.write(1, 2**63)

    def test_stack_and_queue(self):
        array = self.new(dimensions=[3])
        self.assertIsNone(array.pop())
        self.assertIsNone(array.dequeue())
        for put, take, order in ((array.push, array.pop, ["c", "b", "a"]), (array.enqueue, array.dequeue, ["a", "b", "c"])):
            for value in "abc":
                self.assertGreaterEqual(put(value), 0)
            self.assertEqual(put("d"), -1)
            self.assertEqual([take() for _ in "abc"], order)

    def test_maps(self):
        array = self.new(useMap=True)
        array.write("k", 1)
        array.name = "by attribute"
        array["5"] = "text"
        array[5] = "number"
        self.assertEqual((array.k, array.name, array["5"].read(), array[5].read(), array.read("name")),
                         (1, "by attribute", "text", "number", "by attribute"))
        self.assertIsNone(array.absent)
        keys = [array.index2key(index) for index in range(array.nElements)]
        self.assertEqual(sorted(map(str, (key for key in keys if key is not None))), ["5", "5", "k", "name"])
        with self.assertRaises(AttributeError):
            array.dimensions = 5
        with self.assertRaises(AttributeError):
            array.read = 5
        with self.assertRaises(AttributeError):
            array.__length_hint__
        plain = self.new()
        with self.assertRaises(AttributeError):
            plain.name
        with self.assertRaises(AttributeError):
            plain.name = 1

    def test_a_map_is_full(self):
        array = self.new(useMap=True, dimensions=[10])
        for key in range(10):
            array.write(key, key)
        with self.assertRaises(ems.FullError):
            array.write(10, 1)
        self.assertEqual(array.read(9), 9)

    def test_existing(self):
        first = self.new()
        first.write(0, "first")
        again = self.new(useExisting=True)
        self.assertEqual(again.read(0), "first")
        second = self.new(useExisting=False)
        self.assertIsNone(second.read(0))
        self.assertEqual((first.read(0), again.read(0)), ("first", "first"))
        self.assertIsNone(self.new(useExisting=True, filename=os.path.join(self.folder.name, "none")))
        for one in (first, again, second):
            one.destroy(True)
        with self.assertRaises(ValueError):
            first.read(0)
        self.assertIsNone(self.new(useExisting=True))

    def test_files(self):
        path = os.path.join(self.folder.name, "file")
        wish = {"filename": path, "persist": True}
        self.assertIsNone(self.new(useExisting=True, **wish))
        self.assertFalse(os.path.exists(path))
        with open(path, "w") as foreign:
            foreign.write("not a heap")
        with self.assertRaises(ems.Error):
            self.new(useExisting=True, **wish)
        array = self.new(useExisting=False, **wish)
        array.write(0, "kept")
        self.assertTrue(array.sync() and os.path.exists(path))
        array.destroy(False)
        again = self.new(useExisting=True, **wish)
        self.assertEqual(again.read(0), "kept")
        other = self.new(useExisting=False, useMap=True, dimensions=[7], **wish)
        other.write("key", "new")
        self.assertEqual((again.read(0), other.read("key"), other.nElements), ("kept", "new", 7))
        again.destroy(True)  # the file at that path is another's
        self.assertTrue(os.path.exists(path))
        other.destroy(False)
        self.assertEqual(self.new(useExisting=True, **wish).read("key"), "new")
        self.new(useExisting=True, **wish).destroy(True)
        self.assertFalse(os.path.exists(path))
        self.assertIsNone(self.new(useExisting=True, **wish))

    def test_a_file_and_where_one_is(self):
        before = os.getcwd()
        os.chdir(self.folder.name)
        try:
            array = self.new(filename="relative", persist=True)
            array.write(0, 1)
            with self.assertRaises(ems.Error):
                self.new(filename="none/relative", persist=True)
        finally:
            os.chdir(before)
        self.assertTrue(os.path.exists(os.path.join(self.folder.name, "relative")))
        array.destroy(True)
        self.assertFalse(os.path.exists(os.path.join(self.folder.name, "relative")))

    def test_descriptors(self):
        for wrong in ({"dimension": [1]}, {"setFEtags": "half", "doSetFEtags": True}):
            with self.assertRaises(ValueError):
                ems.new(wrong)
        for wrong in ({"dimensions": [0]}, {"dimensions": [2**40, 2**40]}):
            with self.assertRaises((IndexError, ems.Error)):
                ems.new(wrong)
        with self.assertRaises(ValueError):
            ems.initialize(1, False, "odd")
        with self.assertRaises(ValueError):
            ems.initialize(0)

    def test_large_ones_are_cheap(self):
        array = self.new(dimensions=[100000000], heapSize=[800000000], useMap=False)
        array.write(99999999, "end")
        self.assertEqual(array.read(99999999), "end")

    def test_waiting_lets_others_run(self):
        array = self.new(doSetFEtags=True, setFEtags="empty")
        adder = Thread(array.faa, 0, 1)
        reader = Thread(array.readFE, 1)
        array.writeEF(0, 5)
        array.writeEF(1, "news")
        self.assertEqual((adder.get(), reader.get()), (5, "news"))

    def test_another_process(self):
        array = self.new(useMap=True)
        array.write("k", 1)
        done = python(f"""
import ems
ems.initialize(1, False, "user", {self.id()!r})
array = ems.new({{"useExisting": True, "useMap": True, "filename": {array.filename!r}, "persist": False}})
array.faa("k", 1)
print(array.k, array.nElements, ems.critical(lambda: "inside"))
""")
        self.assertEqual((done.stdout, done.stderr), ("2 100 inside\n", ""))
        self.assertEqual(array.k, 2)


class Together(Classic):
    """With one member only, everything passes."""

    def test_alone(self):
        calls = []
        ems.parallel(lambda *args: calls.append(args), 1, "b")
        ems.parForEach(2, 5, calls.append)
        self.assertEqual(ems.master(lambda value: value + 1, 1), 2)
        self.assertEqual(ems.single(lambda: "single"), "single")
        self.assertTrue(ems.barrier())
        self.assertTrue(ems.barrier(0))
        self.assertEqual(calls, [(1, "b"), 2, 3, 4])
        with self.assertRaises(ValueError):
            ems.parForEach(0, 1, print, "odd")

    def test_critical(self):
        with self.assertRaises(KeyError):
            ems.critical(lambda: {}["k"])
        self.assertEqual(ems.critical(lambda: 5, 1000), 5)
        with self.assertRaises(ems.DeadlockError):
            ems.critical(lambda: ems.critical(lambda: 1))
        ems.critical(lambda: None)

    def test_transactions(self):
        array, names = self.new(dimensions=[4, 4]), ems.new({"dimensions": [10], "useMap": True})
        array.write(5, 1)
        names.write("k", "old")
        mine = [[names, "k"], [array, [1, 1]], [array, 0, True], [array, 5]]
        handle = ems.tmStart(mine)
        self.assertEqual(len(mine), 4)
        self.assertEqual(len(handle), 3)
        self.assertEqual({(one[1], one[2]): one[3] for one in handle}, {("k", False): "old", (5, False): 1, (0, True): None})
        array.write(5, 2)
        names.write("k", "new")
        with self.assertRaises(PermissionError):
            array.write(0, 1)
        self.assertEqual(array.read(5), 2)
        ems.tmEnd(handle, True)
        self.assertEqual((array.read(5), names.k), (2, "new"))
        handle = ems.tmStart([[array, 5]])
        array.write(5, 99)
        ems.tmEnd(handle)
        self.assertEqual(array.readFF(5), 2)
        self.assertEqual(ems.tmStart([]), [])
        with self.assertRaises(RuntimeError):
            ems.tmStart([])
        ems.tmEnd([], True)
        with self.assertRaises(RuntimeError):
            ems.tmEnd([], True)


class NotYet(unittest.TestCase):
    def test_before_initialize(self):
        done = python("""
import ems
for call in (ems.barrier, lambda: ems.new(5), lambda: ems.critical(print), lambda: ems.tmEnd([])):
    try:
        call()
    except RuntimeError as error:
        continue
    raise SystemExit("it did something")
""")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
