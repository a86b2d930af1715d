// Compiled by tests/node/types, never run: everything that the native interface and that of EMS have, as their types say.
import ems = require('ems');

async function native(): Promise<void> {
  const client = ems.connect({ socket: '/run/x' });
  const heap = client.heap('a', { elements: 10, map: true, fill: 0, persistent: true, checkpointMs: 100, how: 'create' });
  // wrong: client.heap('a', { how: 'no' });
  // wrong: client.heap(1);
  const name: string = heap.name;
  const controller = new AbortController();
  const options = { timeout: 10, signal: controller.signal };
  heap.write(0, { a: [1n] });
  heap.writeXF(true, Buffer.from([1]));
  // wrong: heap.read();
  // wrong: heap.write(undefined, 1);
  const left: number = heap.releaseRW('k');
  const tag: 'full' | 'empty' | 'readers' | 'busy' = heap.getTag(1);
  const items: number = await heap.enqueueAsync(name, options);
  const gone: boolean = await heap.deleteAsync(1);
  await heap.readRWAsync('k', options);
  const lease = await heap.readFELeaseAsync(0, options);
  const done: boolean = lease.put(1) && lease.keep() && lease.end();
  const job = heap.dequeueLease();
  // wrong: job.keep();
  job?.keep();
  (await heap.dequeueLeaseAsync()).end();
  heap.grow(100);
  heap.sync(10);
  await heap.syncAsync(options);
  const doubles: Float64Array = heap.readRange(0, new Float64Array(3));
  // wrong: heap.readRange(0, new Int8Array(3));
  for (const [key, value] of heap) heap.write(key, value);

  const sum: number = client.transact([[heap, 0], [heap, 1, true]], (both) => both.read(0) as number);
  const later: string = await client.transactAsync([[heap, 0]], async (one) => {
    one.write(0, 1);
    return 'x';
  }, options);
  const transaction = await client.transactionAsync([[heap, 0]], options);
  transaction.commit();
  client.transaction([[heap, 0]]).abort();
  // wrong: client.transaction([heap, 0]);
  const values: any[] = client.snapshot([[heap, 0]]).concat(await client.snapshotAsync([[heap, 0]], options));

  const region = client.openRegion('r', { size: 10, maxSize: 100, populate: true, lock: 50 });
  const bytes: ArrayBuffer = region.buffer;
  const why: string = region.info.locked.why;
  region.grow(20);
  region.flush({ wait: false });
  await region.flushAsync({ offset: 0, size: 10 });
  client.openFile(3, { size: 10 }).close();
  const counters = region.counters(3);
  const old: number | bigint = counters.add(0, 5n);
  // wrong: counters.add('0');
  const blocks = region.blocks({ blockSize: 10 });
  const stored: number = blocks.store(new Uint8Array(10));
  const block: Buffer | undefined = blocks.read(stored);
  const mended: number = await blocks.repair();
  for (const number of blocks) blocks.free(number);

  const team = await client.team('t', { size: 2, timeout: 10 });
  await team.barrier(options);
  const mine: boolean = await team.single();
  const inside: number = await team.critical('c', (died) => (died ? 1 : 0), options);
  for await (const [first, last] of team.loop(0, 10, { schedule: 'static' })) console.log(first, last);
  // wrong: team.loop(0, 10, { schedule: 'none' });
  await team.parForEach(0, 10, async (i) => { heap.faa(i, 1); }, { chunk: 2 });
  const deaths: number = team.deaths.length + team.count + team.member + team.size;
  await team.leave();
  client.close();
  console.log(left, tag, items, gone, done, doubles, sum, later, values, bytes, why, old, block, mended, mine, inside, deaths);
}

function classic(): void {
  const all = ems(4, false, 'bsp', 'name');
  const array = all.new({ dimensions: [10], useMap: true, doDataFill: true, dataFill: 0 });
  const left: number = all.barrier(10);
  all.parForEach(0, 10, (index) => array.faa(index, 1), 'guided', 1);
  // wrong: ems(4, false, 'threads');
  const value: string = all.critical(() => 'x', 10);
  all.tmEnd(all.tmStart([[array, 0, true]]), true);
  console.log(all.myID, left, value);
}

void native();
classic();
