'use strict';
// The native interface: values, waiting without blocking the event loop, cancelling, transactions, leases, regions, worker threads.
const test = require('node:test');
const assert = require('node:assert');
const fs = require('fs');
const { Worker } = require('worker_threads');
const { connect } = require('ems');

const client = connect();
const heap = client.heap('native', { elements: 2000, how: 'create' });

test('values come back as they were, large integers as BigInt', () => {
  for (const value of [undefined, null, true, 0, -0, 2 ** 53, NaN, 0.1, 'a\0𝄞', { a: [1, null] }, [],
    2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, Buffer.from([0, 255]), Buffer.alloc(0)]) {
    heap.write(0, value);
    assert.deepStrictEqual(heap.read(0), value);
  }
  heap.write(0, 2n ** 53n - 1n);
  assert.strictEqual(heap.read(0), 2 ** 53 - 1);
  assert.throws(() => heap.write(0, 2n ** 63n), RangeError);
  assert.throws(() => heap.read(2000), { name: 'RangeError', code: 'EMS_ERANGE', message: /no element 2000/ });
  heap.write(0, 2n ** 63n - 1n);
  assert.strictEqual(heap.and(0, 255), 2n ** 63n - 1n);
  assert.strictEqual(heap.read(0), 255);
});

test('time limits', async () => {
  heap.writeXE(1, 'x');
  assert.throws(() => heap.readFF(1, 1), { code: 'EMS_ETIMEOUT' });
  await assert.rejects(heap.readFFAsync(1, { timeout: 1 }), { code: 'EMS_ETIMEOUT' });
});

test('a thousand waits beside a timer, with few threads, each once', async () => {
  for (let i = 0; i < 1000; i++) heap.writeXE(i, undefined);
  const threads = () => fs.readdirSync('/proc/self/task').length;
  const before = threads();
  const waits = Array.from({ length: 1000 }, (_, i) => heap.readFEAsync(i));
  await new Promise((resolve) => setTimeout(resolve, 1));
  // Two more than before: this package's, and the library's.
  assert(threads() <= before + 2, `${before} threads have become ${threads()}`);
  for (let i = 0; i < 1000; i++) heap.writeEF(i, i * 2);
  assert.deepStrictEqual(await Promise.all(waits), Array.from({ length: 1000 }, (_, i) => i * 2));
});

test('cancelling', async () => {
  const controller = new AbortController();
  heap.writeXE(2, 'kept');
  const wait = heap.readFEAsync(2, { signal: controller.signal });
  controller.abort(new Error('no longer wanted'));
  await assert.rejects(wait, /no longer wanted/);
  await assert.rejects(heap.readFEAsync(2, { signal: controller.signal }), /no longer wanted/);
  heap.setTag(2, 'full');
  assert.strictEqual(heap.readFE(2, 0), 'kept');
  const other = client.heap('native');
  const open = other.dequeueAsync();
  other.close();
  await assert.rejects(open, { code: 'EMS_ECANCELLED' });
  assert.throws(() => other.read(0), /closed/);
});

test('queue and stack', async () => {
  assert.strictEqual(heap.enqueue('a'), 1);
  assert.strictEqual(heap.dequeue(), 'a');
  assert.strictEqual(heap.dequeue(), undefined);
  const item = heap.dequeueAsync();
  assert.strictEqual(await heap.enqueueAsync({ b: 1 }), 1);
  assert.deepStrictEqual(await item, { b: 1 });
  assert.strictEqual(heap.push(1), 1);
  assert.strictEqual(await heap.popAsync(), 1);
});

test('leases', () => {
  heap.enqueue('job');
  let lease = heap.dequeueLease();
  assert.strictEqual(lease.value, 'job');
  assert.strictEqual(heap.dequeueLease(), undefined);
  assert.strictEqual(lease.end(), true);
  assert.strictEqual(lease.end(), false);
  lease = heap.dequeueLease();
  lease.keep();
  assert.strictEqual(heap.queueLength(), 0);
  heap.writeXF(3, 1);
  lease = heap.readFELease(3);
  assert.strictEqual(heap.getTag(3), 'busy');
  lease.put(2);
  assert.strictEqual(heap.readFF(3), 2);
});

test('transactions', () => {
  heap.writeXF(4, 10);
  heap.writeXF(5, 20);
  client.transact([[heap, 4], [heap, 5]], (both) => {
    both.write(0, both.read(0) - 1);
    both.write(1, both.read(1) + 1);
  });
  assert.deepStrictEqual([heap.read(4), heap.read(5)], [9, 21]);
  assert.throws(() => client.transact([[heap, 4]], (one) => {
    one.write(0, 'x');
    throw new Error('given up');
  }), /given up/);
  assert.strictEqual(heap.read(4), 9);
  const readOnly = client.transaction([[heap, 4, true]]);
  assert.throws(() => readOnly.write(0, 1), { code: 'EMS_EREADONLY' });
  readOnly.abort();
  assert.throws(() => readOnly.read(0), /ended/);
});

test('keys and iteration', () => {
  const map = client.heap('native/map', { elements: 100, map: true });
  for (const key of ['a', 5, 1.5, true]) map.writeXF(key, `${key}`);
  assert.deepStrictEqual([...map].sort(), [[1.5, '1.5'], [5, '5'], ['a', 'a'], [true, 'true']].sort());
  assert.strictEqual(map.has('a'), true);
  assert.strictEqual(map.delete('a'), true);
  assert.strictEqual(map.delete('a'), false);
  assert.strictEqual(map.has('a'), false);
  client.drop('native/map');
});

test('ranges and regions', () => {
  const numbers = Float64Array.from({ length: 100 }, (_, i) => i / 2);
  heap.writeRange(100, numbers);
  assert.strictEqual(heap.read(103), 1.5);
  assert.deepStrictEqual(heap.readRange(100, new Float64Array(100)), numbers);
  heap.writeRange(100, BigInt64Array.from([2n ** 62n]));
  assert.strictEqual(heap.read(100), 2n ** 62n);

  const one = new Float64Array(client.region('native/region', { size: 8000 }));
  const two = new Float64Array(client.region('native/region'));
  one[7] = 3.5;
  assert.strictEqual(two[7], 3.5);
  const copy = new Float64Array(client.region('native/region', { how: 'open', readOnly: true }));
  copy[7] = 1;
  assert.strictEqual(two[7], 3.5);
  client.drop('native/region');
});

test('worker threads have clients of their own', async () => {
  heap.writeXF(6, 0);
  const program = `
    const { connect } = require('ems');
    const heap = connect().heap('native', { how: 'open' });
    for (let i = 0; i < 1000; i++) heap.faa(6, 1);
    heap.readFFAsync(6).then(() => {});
    heap.writeXE(7, 1); heap.readFEAsync(7).catch(() => {}); process.exit(0);`;
  await Promise.all([1, 2, 3].map(() => new Promise((resolve, reject) => {
    new Worker(program, { eval: true }).on('exit', resolve).on('error', reject);
  })));
  assert.strictEqual(heap.read(6), 3000);
});

test('what is open goes away with its objects', async () => {
  client.drop('native');
  client.close();
  client.close();
});
