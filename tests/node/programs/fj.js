// Fork-join: the number of processes is the argument.
const assert = require('assert');
const ems = require('ems')(Number(process.argv[2]), false, 'fj', 'programs/fj');
const n = ems.nThreads;

assert.strictEqual(ems.myID, 0);
ems.barrier(); // outside a region it does nothing
ems.parallel(function () {
  shared = ems.new({ dimensions: [100], heapSize: 100000, doDataFill: true, dataFill: 0 });
  path = require('path');
});
ems.parallel('hello', { list: [1, 2] }, (text, object) => {
  if (text !== 'hello' || object.list[1] !== 2) throw new Error('arguments');
  shared.faa(ems.myID, 1 + path.join('a', 'b').length);
  ems.barrier();
  ems.parForEach(50, 100, (i) => { shared.faa(i, 1); });
});
for (let i = 0; i < n; i++) assert.strictEqual(shared.read(i), 4);
for (let i = 50; i < 100; i++) assert.strictEqual(shared.read(i), 1);
// Outside, the caller has all of it.
ems.parForEach(50, 100, (i) => { shared.faa(i, 1); });
for (let i = 50; i < 100; i++) assert.strictEqual(shared.read(i), 2);
const alone = ems.new(10);
alone.write(3, 'mine');
assert.strictEqual(alone.read(3), 'mine');
console.log(`${n} done`);
