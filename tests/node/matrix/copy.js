'use strict';
// The copying of matrix.h in JavaScript.
const { connect } = require('ems');

const [, from, to, ...numbers] = process.argv.slice(2);
const [count, keys] = numbers.map(Number);
const client = connect();
const heaps = (operation) => [from, to].map((stage) => client.heap(`matrix/${stage}/${operation}`));
const each = (operation, func) => {
  const [source, target] = heaps(operation);
  for (let i = 0; i < count; i++) func(source, target, i);
};

each('write', (source, target, i) => target.write(i, source.read(i)));
each('full', (source, target, i) => target.writeXF(i, source.readFF(i)));
each('empty', (source, target, i) => {
  const value = source.readFE(i);
  target.writeEF(i, value);
  source.writeEF(i, value);
});
each('lease', (source, target, i) => {
  const lease = source.readFELease(i);
  target.writeXF(i, lease.value);
  lease.put(lease.value);
});
each('queue_lease', (source, target) => {
  const lease = source.dequeueLease();
  target.enqueue(lease.value);
  lease.keep();
});
each('queue', (source, target) => target.enqueue(source.dequeue()));
each('stack', (source, target) => target.push(source.pop()));
each('swap', (source, target, i) => target.write(count + i, target.swap(i, source.read(i))));
each('cas', (source, target, i) => target.write(count + i, target.cas(i, source.read(i), source.read((i + 1) % count))));
each('faa', (source, target, i) => {
  let old;
  try {
    old = target.faa(i, source.read(i));
  } catch (error) {
    old = error.code;
  }
  target.write(count + i, old);
});
each('transaction', (source, target, i) => {
  client.transact([[source, i, true], [target, i]], (both) => both.write(1, both.read(0)));
});
const [source, target] = heaps('map');
const names = client.heap('matrix/keys/values');
for (let i = 0; i < keys; i++) {
  const key = names.read(i);
  target.write(key, source.read(key));
}
