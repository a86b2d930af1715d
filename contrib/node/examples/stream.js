#!/usr/bin/env node
'use strict';
// stream.js: how fast memory is: copy, scale, add and triad, over private memory and over a region.
//
//     stream.js [--elements N] [--rounds N]
//
// The arrays are Float64Arrays in both cases; those of the region are views of the shared memory, and no copies. Times are the best of
// all rounds; the last column is a ratio.
const { parseArgs } = require('util');
const { connect } = require('ems');

const OPERATIONS = [
  ['copy', 2, (a, b, c) => c.set(a)],
  ['scale', 2, (a, b, c) => { for (let i = 0; i < b.length; i++) b[i] = 3 * c[i]; }],
  ['add', 3, (a, b, c) => { for (let i = 0; i < c.length; i++) c[i] = a[i] + b[i]; }],
  ['triad', 3, (a, b, c) => { for (let i = 0; i < a.length; i++) a[i] = b[i] + 3 * c[i]; }],
];

function best(func, arrays, rounds) {
  let time = Infinity;
  for (let round = 0; round < rounds; round++) {
    const begin = process.hrtime.bigint();
    func(...arrays);
    time = Math.min(time, Number(process.hrtime.bigint() - begin));
  }
  return time;
}

const { values } = parseArgs({
  options: { elements: { type: 'string', default: '10000000' }, rounds: { type: 'string', default: '5' } },
});
const [elements, rounds] = [Number(values.elements), Number(values.rounds)];
const client = connect();
const name = `stream/${process.pid}`;
const memory = client.region(name, { how: 'create', size: 24 * elements });
client.drop(name); // it stays as long as somebody has it

const three = [0, 1, 2];
const here = three.map(() => new Float64Array(elements));
const there = three.map((one) => new Float64Array(memory, 8 * elements * one, elements));
for (const arrays of [here, there]) arrays.forEach((array, one) => array.fill([1, 2, 0][one]));

console.log(`${elements} doubles`);
console.log(['', 'private GB/s', 'region GB/s', 'ratio'].map((text) => text.padStart(14)).join(''));
for (const [operation, count, func] of OPERATIONS) {
  const [one, other] = [best(func, here, rounds), best(func, there, rounds)];
  const bytes = 8 * count * elements;
  console.log(operation.padEnd(14) + [bytes / one, bytes / other, one / other].map((x) => x.toFixed(2).padStart(14)).join(''));
}
if (!here.every((array, one) => Buffer.from(array.buffer).equals(Buffer.from(memory, 8 * elements * one, 8 * elements)))) {
  throw new Error('the results differ');
}
