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

test('a function that is not done when it returns is no transaction', async () => {
  heap.writeXF(4, 1);
  assert.throws(() => client.transact([[heap, 4]], async (one) => { one.write(0, 2); }), TypeError);
  assert.strictEqual(heap.readFF(4, 0), 1);
  const sum = await client.transactAsync([[heap, 4]], async (one) => {
    await new Promise(setImmediate);
    one.write(0, one.read(0) + 1);
    return 'done';
  });
  assert.deepStrictEqual([sum, heap.readFF(4, 0)], ['done', 2]);
  await assert.rejects(client.transactAsync([[heap, 4]], async (one) => {
    one.write(0, 'x');
    throw new Error('given up');
  }), /given up/);
  assert.strictEqual(heap.readFF(4, 0), 2);
});

test('many transactions of one process, open at once and waiting for each other', async () => {
  for (let i = 10; i < 20; i++) heap.writeXF(i, 100);
  const move = (from, to) => client.transactAsync([[heap, from], [heap, to]], async (both) => {
    await new Promise(setImmediate);
    both.write(0, both.read(0) - 1);
    both.write(1, both.read(1) + 1);
  });
  await Promise.all(Array.from({ length: 100 }, (_, i) => move(10 + i % 10, 10 + (i * 7 + 3) % 10).catch((error) => {
    assert.strictEqual(i % 10, (i * 7 + 3) % 10, error); // one element twice
  })));
  let sum = 0;
  for (const value of client.snapshot(Array.from({ length: 10 }, (_, i) => [heap, 10 + i]))) sum += value;
  assert.strictEqual(sum, 1000);
  const held = client.transaction([[heap, 10]]);
  await assert.rejects(client.transactionAsync([[heap, 10]], { timeout: 5 }), { code: 'EMS_ETIMEOUT' });
  const controller = new AbortController();
  const waiting = client.transactionAsync([[heap, 10]], { signal: controller.signal });
  controller.abort(new Error('no longer wanted'));
  await assert.rejects(waiting, /no longer wanted/);
  const next = client.transactionAsync([[heap, 10]]);
  held.abort();
  (await next).abort();
  heap.writeXF(11, 'b');
  assert.deepStrictEqual((await client.snapshotAsync([[heap, 10], [heap, 11]]))[1], 'b');
});

test('locks and leases as promises', async () => {
  heap.writeXE(20, undefined);
  const reading = heap.readRWAsync(20);
  heap.writeEF(20, 'r');
  assert.strictEqual(await reading, 'r');
  assert.strictEqual(heap.getTag(20), 'readers');
  assert.strictEqual(heap.releaseRW(20), 0);

  heap.writeXE(21, undefined);
  const taking = heap.readFELeaseAsync(21);
  heap.writeEF(21, 'l');
  let lease = await taking;
  assert.deepStrictEqual([lease.value, heap.getTag(21)], ['l', 'busy']);
  lease.put('m');
  assert.strictEqual(heap.readFF(21, 0), 'm');

  const item = heap.dequeueLeaseAsync();
  heap.enqueue('job');
  lease = await item;
  assert.strictEqual(lease.value, 'job');
  lease.end();
  await assert.rejects((async () => {
    await heap.dequeueAsync();
    return heap.dequeueLeaseAsync({ timeout: 1 });
  })(), { code: 'EMS_ETIMEOUT' });

  const map = client.heap('native/locks', { elements: 10, map: true });
  map.writeXF('k', 1);
  assert.strictEqual(await map.readRWAsync('k'), 1);
  map.releaseRW('k');
  lease = await map.readFELeaseAsync('k');
  assert.strictEqual(lease.keep(), true);
  map.close();
  client.drop('native/locks');
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

test('regions grow, are files, hold counters and blocks', async () => {
  const region = client.openRegion('native/grows', { size: 4096, maxSize: 1 << 20, populate: true });
  region.grow(8192);
  assert.strictEqual(region.buffer.byteLength, 8192);
  assert.deepStrictEqual([region.info.size, region.info.maxSize, region.info.file], [8192, 1 << 20, false]);
  assert.throws(() => region.grow(2 ** 21), RangeError);
  const counters = region.counters(10);
  assert.deepStrictEqual([counters.count, counters.add(3), counters.add(3, 5), counters.sub(3, 2), counters.get(3)], [10, 0, 1, 6, 4]);
  assert.strictEqual(counters.set(3, -(2n ** 63n)), 4);
  assert.strictEqual(counters.get(3), -(2n ** 63n));
  assert.throws(() => counters.get(10), RangeError);
  const buffer = region.buffer;
  region.close();
  region.close();
  assert.throws(() => region.buffer, /closed/);
  assert.strictEqual(new BigInt64Array(buffer)[2 + 3], -(2n ** 63n)); // kept
  counters.close();
  assert.throws(() => counters.get(0), /closed/);
  client.drop('native/grows');

  const store = client.openRegion('native/blocks', { size: 1 << 20, maxSize: 1 << 26 });
  const blocks = store.blocks({ blockSize: 100, capacity: 2000 });
  const block = (i) => Buffer.alloc(100, i % 251);
  for (let i = 0; i < 1500; i++) assert.strictEqual(blocks.store(block(i)), i);
  assert.throws(() => blocks.store(Buffer.alloc(99)), { code: 'EMS_EINVALID' });
  assert.deepStrictEqual([blocks.free(7), blocks.free(7), blocks.read(7)], [true, false, undefined]);
  assert.deepStrictEqual(blocks.read(8), block(8));
  assert.deepStrictEqual([...blocks], Array.from({ length: 1500 }, (_, i) => 1499 - i).filter((i) => i !== 7));
  assert.strictEqual(await blocks.repair({ piece: 500 }), 0);
  assert.strictEqual(blocks.store(block(1)), 7);
  store.close();
  client.drop('native/blocks');

  const path = `${fs.mkdtempSync(`${require('os').tmpdir()}/ems-native.`)}/file`;
  const fd = fs.openSync(path, 'w+');
  const file = client.openFile(fd, { size: 4096 });
  fs.closeSync(fd);
  new Uint8Array(file.buffer).set(Buffer.from('written'));
  file.flush();
  await file.flushAsync({ offset: 0, size: 4096 });
  assert.strictEqual(fs.readFileSync(path).subarray(0, 7).toString(), 'written');
  assert.strictEqual(file.info.file, true);
  file.close();
  fs.rmSync(require('path').dirname(path), { recursive: true });
});

test('persistent heaps and growth', async () => {
  const kept = client.heap('native/kept', { elements: 10, maxElements: 1000, persistent: true, checkpointMs: 0xffffffff });
  kept.write(0, 'on disk');
  kept.sync();
  kept.write(1, 'as well');
  await kept.syncAsync();
  kept.grow(100);
  assert.strictEqual(kept.elements, 100);
  assert.throws(() => kept.grow(10000), RangeError);
  await assert.rejects(heap.syncAsync(), { code: 'EMS_EUNSUPPORTED' });
  const late = kept.syncAsync();
  kept.close(); // while it is at work
  await late;
  await assert.rejects(async () => kept.syncAsync(), /closed/);
  client.drop('native/kept');
});

// A member is a thread; here all are of one process, each with a client of its own.
test('teams', async () => {
  const size = 3;
  const log = [];
  const done = new Set();
  const seen = [];
  let tried;
  const hasTried = new Promise((resolve) => { tried = resolve; });
  const member = async () => {
    const own = connect();
    const team = await own.team('native/team', { size });
    assert.strictEqual(team.size, size);
    await team.barrier();
    seen.push(await team.single());
    await team.barrier();
    await Promise.all([1, 2].map(() => team.critical('log', async (died) => {
      assert.strictEqual(died, false);
      log.push('in');
      await new Promise(setImmediate);
      log.push('out');
    })));
    await team.parForEach(0, 100, (i) => {
      assert(!done.has(i));
      done.add(i);
    }, { schedule: 'dynamic', chunk: 3 });
    for await (const [first] of team.loop(0, 10)) if (first === 0) break;
    assert.deepStrictEqual([team.count, team.deaths], [size, []]);
    await team.barrier();
    if (team.master) {
      await assert.rejects(team.barrier({ timeout: 5 }), { code: 'EMS_ETIMEOUT' });
      const controller = new AbortController();
      const waiting = team.barrier({ signal: controller.signal });
      await new Promise(setImmediate);
      controller.abort(new Error('no longer wanted'));
      await assert.rejects(waiting, /no longer wanted/);
      tried();
    }
    await hasTried;
    await team.barrier();
    await team.leave();
    own.close();
    return team.member;
  };
  const members = await Promise.all(Array.from({ length: size }, member));
  assert.deepStrictEqual(members.sort(), [0, 1, 2]);
  assert.strictEqual(done.size, 100);
  assert.deepStrictEqual(seen.filter((mine) => mine).length, 1);
  for (let i = 0; i < log.length; i += 2) assert.deepStrictEqual(log.slice(i, i + 2), ['in', 'out']);
  assert.strictEqual(log.length, 2 * 2 * size);
  const alone = await client.team(); // nothing in the environment
  assert.deepStrictEqual([alone.member, alone.size], [0, 1]);
  await alone.barrier();
  await alone.leave();
});

test('a closed client', async () => {
  const own = connect();
  const one = own.heap('native');
  one.writeXE(30, undefined);
  const pending = one.readFEAsync(30);
  const region = own.openRegion('native/left', { size: 4096 });
  const numbers = new Float64Array(region.buffer);
  own.close();
  own.close();
  await assert.rejects(pending, { code: 'EMS_ECANCELLED' });
  assert.throws(() => own.heap('native'), /closed/);
  assert.throws(() => region.grow(8192), /closed/);
  numbers[0] = 1; // the memory is there as long as somebody views it
  assert.strictEqual(new Float64Array(client.region('native/left'))[0], 1);
  client.drop('native/left');
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
