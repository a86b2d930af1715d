"""Regions: views without a copy, counters, files."""

import array
import gc
import os
import pickle
import sys
import tempfile
import unittest

import ems
from support import Case, Thread
from test_native_fork import in_child


class Regions(Case):
    def region(self, size=4096, **options):
        return self.client.region(self.name(), how="create", size=size, until_detached=True, **options)

    def test_views_are_the_memory(self):
        region = self.region()
        other = self.client.region(region.name, how="open")
        view = memoryview(region)
        self.assertEqual((len(view), view.readonly, len(region)), (4096, False, 4096))
        view[:5] = b"hello"
        self.assertEqual(bytes(memoryview(other)[:5]), b"hello")
        doubles = region.view("d")
        doubles[3] = 2.5
        self.assertEqual(other.view("d")[3], 2.5)
        with self.assertRaises((TypeError, ValueError)):
            region.view("no")

    def test_read_only(self):
        region = self.region()
        reader = self.client.region(region.name, how="open", read_only=True)
        view = memoryview(reader)
        self.assertTrue(view.readonly)
        with self.assertRaises(TypeError):
            view[0] = 1
        with self.assertRaises(BufferError):
            self.heap().read_range(0, reader.view("q")[:1])
        with self.assertRaises(PermissionError):
            reader.add(0, 1)
        self.assertEqual(reader.get(0), 0)

    def test_views_outlive_the_handle(self):
        for close in ("region", "client", "nobody"):
            client = ems.connect()
            region = client.region(self.name(), size=8192, until_detached=True)
            view = region.view("q")
            part = view[10:20]
            view[10] = 7
            if close == "region":
                region.close()
            elif close == "client":
                client.close()
            del region, view
            gc.collect()
            self.assertEqual(part[0], 7)
            part[1] = 8
            self.assertEqual(part[1], 8)
            part.release()
            client.close()

    def test_closed(self):
        region = self.region()
        view = memoryview(region)
        region.close()
        for call in (lambda: memoryview(region), lambda: region.get(0), lambda: region.size, lambda: region.grow(10)):
            with self.assertRaises(ValueError):
                call()
        view[0] = 1
        self.assertEqual(view[0], 1)

    def test_views_in_a_child(self):
        region = self.region()
        view = region.view("q")
        view[5] = 1

        def child():
            assert view[5] == 1, view[5]
            view[6] = 2
            assert memoryview(region).cast("q")[6] == 2
            region.add(48, 1)

        self.assertEqual(in_child(child), "")
        self.assertEqual(view[6], 3)

    def test_growing(self):
        region = self.region(max_size=1 << 20)
        view = memoryview(region)
        region.grow(1 << 16)
        self.assertEqual((len(view), region.size, len(memoryview(region))), (4096, 1 << 16, 1 << 16))
        memoryview(region)[60000] = 1
        with self.assertRaises(IndexError):
            region.grow(2 << 20)

    def test_views_of_closed_regions_in_a_child(self):
        for close_client in (False, True):
            client = ems.connect()
            region = client.region(self.name(), how="create", size=8192, until_detached=True)
            view = region.view("q")
            (client if close_client else region).close()
            view[0] = 1
            self.assertEqual(in_child(lambda: view.__setitem__(0, view[0] + 1)), "")
            self.assertEqual(in_child(lambda: in_child(lambda: view.__setitem__(0, view[0] + 1))), "")
            self.assertEqual((view[0], region.closed), (3, True))
            view.release()
            self.assertEqual(in_child(lambda: None), "")
            client.close()
        self.assertEqual([one["name"] for one in self.client.list(region.name)], [])

    def test_sets_of_counters(self):
        region = self.region(max_size=1 << 20)
        counters = region.counters(600)
        self.assertEqual((len(counters), counters.add(599), counters.add(599, 5), counters.sub(599), counters.sub(599, 7)),
                         (600, 0, 1, 6, 5))
        self.assertEqual((counters.set(0, -2**63), region.counters().get(0), counters.get(599)), (0, -2**63, -2))
        self.assertEqual(bytes(region.view()[:8]), b"EMMAP01\n")
        self.assertEqual(in_child(lambda: counters.add(1, 3)), "")
        self.assertEqual(counters.get(1), 3)
        for call, error in ((lambda: counters.get(600), IndexError), (lambda: counters.add(0, 2**63), OverflowError),
                            (lambda: counters.get("x"), TypeError), (lambda: region.counters(10**9), IndexError),
                            (lambda: counters.set(0), TypeError), (lambda: type(counters)(), TypeError)):
            with self.assertRaises(error):
                call()
        other = self.region()
        other.set(0, 1)
        with self.assertRaises(ems.CorruptError):
            other.counters(1)
        region.close()
        with self.assertRaises(ValueError):
            counters.get(0)

    def test_blocks(self):
        region = self.region(max_size=1 << 20)
        blocks = region.blocks(5, capacity=600)
        self.assertEqual((blocks.block_size, blocks.capacity, blocks.numbers(), blocks.read(0)), (5, 600, [], None))
        for number in range(600):
            self.assertEqual(blocks.store(b"%05d" % number), number)
        with self.assertRaises(ems.FullError):
            blocks.store(bytearray(5))
        self.assertEqual((blocks.remove(7), blocks.remove(7), blocks.read(7), blocks.read(8)), (True, False, None, b"00008"))
        self.assertEqual(in_child(lambda: blocks.store(b"a\0\xffbc")), "")
        self.assertEqual((region.blocks().read(7), blocks.numbers()), (b"a\0\xffbc", list(range(599, -1, -1))))
        self.assertEqual((blocks.repair(), region.blocks(5, discard=True).numbers()), (0, []))
        for call, error in ((lambda: blocks.store(b"1234"), ems.InvalidError), (lambda: blocks.read(600), IndexError),
                            (lambda: blocks.store("text"), TypeError), (lambda: region.blocks(6), ems.MismatchError),
                            (lambda: type(blocks)(), TypeError)):
            with self.assertRaises(error):
                call()
        region.close()
        with self.assertRaises(ValueError):
            blocks.numbers()

    def test_counters(self):
        region = self.region()
        region.set(8, 5)
        self.assertEqual((region.add(8, 2), region.sub(8, 1), region.get(8)), (5, 7, 6))
        self.assertEqual((region.and_(8, 4), region.or_(8, 3), region.xor_(8, 1)), (6, 4, 7))
        self.assertEqual((region.exchange(8, -1), region.cas(8, -1, 9), region.cas(8, 1, 2), region.get(8)), (6, -1, 9, 9))
        region.set(16, 2**63 - 1)
        region.add(16, 1)
        self.assertEqual(region.get(16), -2**63)
        with self.assertRaises(ems.InvalidError):
            region.add(3, 1)
        with self.assertRaises(IndexError):
            region.add(4096, 1)
        with self.assertRaises(OverflowError):
            region.add(0, 2**63)

        def count():
            for _ in range(1000):
                region.add(0, 1)

        for one in [Thread(count) for _ in range(4)]:
            one.get()
        self.assertEqual(region.get(0), 4000)

    def test_buffers(self):
        region = self.region(size=8000)
        heap = self.heap(elements=1000)
        heap.write_range(0, array.array("d", [one / 2 for one in range(1000)]))
        heap.read_range(0, region.view("d"))
        self.assertEqual(region.view("d")[999], 499.5)

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "file")
            region = self.client.region_file(path, size=100)
            memoryview(region)[:3] = b"abc"
            region.flush()
            region.add(96 - 8, 1)
            with open(path, "rb") as file:
                self.assertEqual(file.read(3), b"abc")
                reader = self.client.region_file(file, read_only=True)
                self.assertTrue(memoryview(reader).readonly)
                with self.assertRaises(PermissionError):
                    self.client.region_file(file)
            self.assertEqual(bytes(memoryview(reader)[:3]), b"abc")
            self.assertTrue(reader.info()["file"])
            with self.assertRaises(TypeError):
                pickle.dumps(region)
            view = memoryview(region)
            self.assertEqual(in_child(lambda: view.__setitem__(3, 100)), "")
            self.assertEqual(bytes(view[:4]), b"abcd")
            with self.assertRaises(FileNotFoundError):
                self.client.region_file(os.path.join(folder, "none"))
            with self.assertRaises(ems.InvalidError):
                self.client.region_file(folder, read_only=True)

    def test_pickling(self):
        region = self.region()
        region.set(0, 5)
        copy = pickle.loads(pickle.dumps(region))
        self.assertEqual(copy.get(0), 5)
        copy.close()

    def test_options(self):
        region = self.region(populate=True, pages="transparent", lock=1, interleave=True)
        info = region.info()
        self.assertEqual((info["size"], info["read_only"], info["file"]), (4096, False, False))
        for wish in ("pages", "populated", "locked", "interleaved"):
            self.assertEqual(sorted(info[wish]), ["asked", "granted", "why"])
        with self.assertRaises(ValueError):
            self.region(pages="3K")
        with self.assertRaises(ems.Error):
            self.client.region(self.name(), how="create")
        with self.assertRaises(ems.MismatchError):
            self.client.heap(region.name, elements=1)

    def test_references(self):
        region = self.region()
        before = sys.getrefcount(region)
        for _ in range(100):
            memoryview(region).release()
            region.view("d").release()
            region.add(0, 1)
        self.assertEqual(sys.getrefcount(region), before)

    def test_numpy(self):
        try:
            import numpy
        except ImportError:
            self.skipTest("numpy is not installed")
        region = self.region(size=80)
        numbers = numpy.frombuffer(region)
        numbers[:] = 1.5
        self.assertEqual(region.view("d")[9], 1.5)
        heap = self.heap()
        heap[0] = numpy.int64(5)
        heap[1] = numpy.float32(0.5)
        self.assertEqual((heap.read(0), heap.read(1)), (5, 0.5))
