'use strict';
// What processes do together, in bsp: the number of processes is the argument.
const assert = require('assert');
const ems = require('ems')(Number(process.argv[2]), false, 'bsp', 'programs/bsp');
const n = ems.nThreads;

// The n-th unnamed array is the same in all.
const counts = ems.new({ dimensions: [1000], heapSize: 100000, doDataFill: true, dataFill: 0, doSetFEtags: true, setFEtags: 'full' });
const map = ems.new({ dimensions: [100], heapSize: [10000], useMap: true, doSetFEtags: true, setFEtags: 'full', ES6proxies: true });
for (let i = 0; i < 100; i++) counts.faa(i, 1);
assert(ems.barrier() > 0);
for (let i = 0; i < 100; i++) assert.strictEqual(counts.read(i), n);
ems.barrier();

// Loops share out each iteration once.
for (const schedule of ['guided', 'dynamic', 'static']) {
  ems.parForEach(100, 1000, (i) => { counts.faa(i, 1); }, schedule, 3);
}
ems.parForEach(100, 1000, (i) => { assert.strictEqual(counts.read(i), 3); });

// One at a time, first come first served; single and master.
map.writeXF('sum', 0);
ems.barrier();
for (let i = 0; i < 200; i++) {
  assert.strictEqual(ems.critical(() => { map.sum = map.sum + 1; return 'x'; }), 'x');
}
ems.barrier();
assert.strictEqual(map.sum, 200 * n);
map.write('singles', 0);
ems.barrier();
for (let i = 0; i < 50; i++) ems.single(() => { map.write('singles', map.read('singles') + 1); });
assert.strictEqual(map.read('singles'), 50);
ems.master(() => assert.strictEqual(ems.myID, 0));

// A critical section whose function throws is left.
assert.throws(() => ems.critical(() => { throw new Error('inside'); }), /inside/);
ems.critical(() => {});

// Transactions: money is neither made nor lost.
const accounts = ems.new({ dimensions: [10], heapSize: 0, doDataFill: true, dataFill: 100 });
for (let i = 0; i < 300; i++) {
  const from = (i * 7 + ems.myID) % 10;
  const to = (i * 3 + 1) % 10;
  const asked = [[accounts, from], [accounts, to], [counts, 5, true]];
  const handle = ems.tmStart(asked);
  assert.strictEqual(asked.length, 3);
  assert.strictEqual(handle.length, from === to ? 2 : 3);
  assert(handle.every((one, k) => k === 0 || one[0] !== handle[k - 1][0] || one[1] > handle[k - 1][1]));
  if (from !== to) {
    accounts.write(from, accounts.read(from) - 1);
    accounts.write(to, accounts.read(to) + 1);
  }
  ems.tmEnd(handle, i % 3 !== 0);
}
ems.tmEnd(ems.tmStart([]), true);
ems.barrier();
let sum = 0;
for (let i = 0; i < 10; i++) sum += accounts.read(i);
assert.strictEqual(sum, 1000);
ems.barrier();

// A barrier that expires is as if it had not been called.
if (n > 1) {
  if (ems.myID === 0) assert.throws(() => ems.barrier(0), { code: 'EMS_ETIMEOUT' });
  ems.barrier();
}
// Full and empty: a relay through all.
const relay = ems.new({ dimensions: [n + 1], heapSize: 1000, doSetFEtags: true, setFEtags: 'empty' });
if (ems.myID === 0) relay.writeEF(0, 'started');
const got = relay.readFE(ems.myID);
relay.writeEF(ems.myID + 1, `${got}+${ems.myID}`);
if (ems.myID === 0) console.log(relay.readFF(n));
