"""Waiting in asyncio."""

import asyncio
import threading

import ems
from support import Case, Thread, python


class Asyncio(Case):
    def run_async(self, coroutine):
        return asyncio.run(asyncio.wait_for(coroutine, 100))

    def test_operations(self):
        heap, names = self.heap(), self.map()

        async def main():
            await heap.write_async(0, 5)
            self.assertEqual(await heap.faa_async(0, 2), 5)
            self.assertEqual(await heap[0].read_fe_async(), 7)
            await heap[0].write_ef_async("x")
            self.assertEqual(await heap.read_ff_async(0), "x")
            self.assertEqual(await heap.cas_async(0, "x", [1]), "x")
            self.assertTrue(await heap.compare_set_async(0, [1], 0b11))
            self.assertFalse(await heap[0].compare_set_async([1], 0b11))
            self.assertEqual((await heap.and_async(0, 2), await heap.or_async(0, 4), await heap.xor_async(0, 6)), (3, 2, 6))
            self.assertEqual((await heap.min_async(0, 5), await heap.max_async(0, 5), await heap.swap_async(0, 1)), (0, 0, 5))
            await heap.write_xe_async(0, None)
            await heap.set_tag_async(0, "full")
            await heap.write_xf_async(0, b"b")
            self.assertEqual(await heap.enqueue_async("q"), 1)
            self.assertEqual(await heap.push_async("p"), 1)
            self.assertEqual((await heap.dequeue_async(), await heap.pop_async()), ("q", "p"))
            names["k"] = 1
            self.assertFalse(await names.compare_delete_async("k", 2))
            self.assertTrue(await names["k"].compare_delete_async(1))
            with self.assertRaises(KeyError):
                await names.delete_async("k")
            with self.assertRaises(IndexError):
                await heap.read_ff_async(99)
            with self.assertRaises(OverflowError):
                await heap.write_async(0, 2**63)

        self.run_async(main())

    def test_a_cancelled_take_puts_back(self):
        heap = self.heap(initial_tag="empty")

        async def cancel(wait, has_result):
            """The operation has been done already. The task is cancelled before its loop knows, or when it has the result."""
            task = asyncio.ensure_future(wait)
            await asyncio.sleep(0)
            if has_result:
                ems._wait._dispatch(self.client)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        async def main():
            for has_result in (False, True):
                for value in ("v", None):
                    heap.write_xf(0, value)
                    await cancel(heap.read_fe_async(0), has_result)
                    self.assertEqual(await heap.read_fe_async(0), value)
                    heap.enqueue(value)
                    await cancel(heap.dequeue_async(), has_result)
                    self.assertEqual(await heap.dequeue_async(), value)
                    heap.push(value)
                    await cancel(heap[1].heap.pop_async(), has_result)
                    self.assertEqual(await heap.pop_async(), value)
                    heap.write_xf(2, value)
                    await cancel(heap[2].read_rw_async(), has_result)
                    self.assertEqual(await heap.read_fe_async(2), value)
                    heap.write_xf(3, value)
                    await cancel(heap.read_fe_lease_async(3), has_result)
                    self.assertEqual(await heap.read_fe_async(3), value)
                # What changes nothing, and what fails, leaves nothing to put back.
                heap.write_xf(4, 1)
                await cancel(heap.read_ff_async(4), has_result)
                await cancel(heap.faa_async(4, 1), has_result)
                await cancel(heap.and_async(0, 1, timeout=0), has_result)
                self.assertEqual(heap.read(4), 2)
            self.assertEqual((self.client._waits, heap.queue_length(), heap.stack_length()), ({}, 0, 0))

        self.run_async(main())

    def test_a_cancelled_take_waits_for_its_place(self):
        heap = self.heap(initial_tag="empty")

        async def main():
            heap.write_xf(0, "first")
            task = asyncio.ensure_future(heap.read_fe_async(0))
            await asyncio.sleep(0)
            heap.write_ef(0, "second", timeout=0)  # it was taken, and another came
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual([await heap.read_fe_async(0), await heap.read_fe_async(0)], ["second", "first"])

        self.run_async(main())

    def test_nothing_is_lost_by_timeouts(self):
        heap = self.heap(initial_tag="empty")

        async def take(found):
            timeout = 0.0001
            while len(found) < 300:
                try:
                    found.append(await asyncio.wait_for(heap.read_fe_async(0), timeout))
                    timeout = 0.0001
                except asyncio.TimeoutError:
                    timeout *= 2  # at last long enough for any machine

        async def main():
            found = []
            takers = [asyncio.ensure_future(take(found)) for _ in range(5)]
            for number in range(300):
                await heap.write_ef_async(0, number)
            await asyncio.gather(*takers)
            self.assertEqual(sorted(found), list(range(300)))

        self.run_async(main())

    def test_leases_and_locks(self):
        heap = self.heap()
        heap.fill("v")

        async def main():
            with await heap.read_fe_lease_async(0) as lease:
                self.assertEqual((lease.value, heap.get_tag(0)), ("v", "busy"))
                lease.put("w")
            self.assertEqual(await heap[0].read_rw_async(), "w")
            self.assertEqual(heap.release_rw(0), 0)
            wait = asyncio.ensure_future(heap.dequeue_lease_async())
            await asyncio.sleep(0)
            heap.enqueue("item")
            with await wait as lease:
                self.assertEqual((lease.value, heap.queue_leased()), ("item", 1))
            self.assertEqual(heap.queue_length(), 0)

        self.run_async(main())

    def test_a_cancelled_lease_loses_nothing(self):
        heap = self.heap()

        async def main():
            for _ in range(50):
                wait = asyncio.ensure_future(heap.dequeue_lease_async())
                await asyncio.sleep(0)
                heap.enqueue("item")
                wait.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await wait
                while heap.queue_leased():
                    await asyncio.sleep(0)
                self.assertEqual(await heap.dequeue_async(timeout=60), "item")

        self.run_async(main())

    def test_a_thousand_at_once(self):
        heap = self.heap(elements=1000, initial_tag="empty")

        async def main():
            waits = [asyncio.ensure_future(heap[one].read_fe_async()) for one in range(1000)]
            await asyncio.sleep(0)
            before = threading.active_count()
            for one in range(1000):
                self.assertFalse(waits[one].done())
                heap.write_ef(one, one)
            self.assertEqual(await asyncio.gather(*waits), list(range(1000)))
            self.assertEqual(threading.active_count(), before)

        self.run_async(main())
        self.assertEqual(self.client._waits, {})

    def test_the_loop_goes_on(self):
        heap = self.heap(initial_tag="empty")

        async def main():
            wait = asyncio.ensure_future(heap.read_fe_async(0))
            for _ in range(10):
                await asyncio.sleep(0.001)
            self.assertFalse(wait.done())
            writer = Thread(heap.write_ef, 0, "news")
            self.assertEqual(await wait, "news")
            writer.get()

        self.run_async(main())

    def test_timeouts_and_cancelling(self):
        heap = self.heap(initial_tag="empty")

        async def main():
            with self.assertRaises(TimeoutError) as caught:
                await heap.read_fe_async(0, timeout=0.01)
            self.assertIsInstance(caught.exception, ems.TimeoutError)
            task = asyncio.ensure_future(heap.read_fe_async(0))
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            heap.write_ef(0, "kept")
            await asyncio.sleep(0.01)
            self.assertEqual(heap.read_fe(0, timeout=0), "kept")

        self.run_async(main())

    def test_closing(self):
        for close in ("heap", "client"):
            client = ems.connect()
            heap = client.heap(self.name(), elements=4, initial_tag="empty", until_detached=True)

            async def main():
                waits = [asyncio.ensure_future(heap.read_fe_async(one)) for one in range(4)]
                await asyncio.sleep(0)
                (heap if close == "heap" else client).close()
                for one in await asyncio.gather(*waits, return_exceptions=True):
                    self.assertIsInstance(one, ems.CancelledError)

            self.run_async(main())
            client.close()

    def test_two_loops_share_a_client(self):
        heap = self.heap(elements=200, initial_tag="empty")

        async def take(first):
            return await asyncio.gather(*(heap.read_fe_async(one) for one in range(first, first + 100)))

        threads = [Thread(asyncio.run, take(first)) for first in (0, 100)]
        for one in range(200):
            heap.write_ef(one, one)
        self.assertEqual([one.get() for one in threads], [list(range(100)), list(range(100, 200))])

    def test_loops_one_after_the_other(self):
        heap = self.heap()
        for number in range(5):
            heap[0] = number
            self.assertEqual(self.run_async(heap.read_ff_async(0)), number)

    def test_another_process_answers(self):
        heap = self.map(initial_tag="empty")

        async def main():
            wait = asyncio.ensure_future(heap["answer"].read_fe_async())
            await asyncio.sleep(0)
            await asyncio.to_thread(python, "import ems, sys; ems.connect().heap(sys.argv[1], how='open').write_ef('answer', 42)",
                                    heap.name)
            self.assertEqual(await wait, 42)

        self.run_async(main())
