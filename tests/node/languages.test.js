'use strict';
// Every kind of value goes from Node.js through another language and comes back as it was, as an element and as an item of a
// queue. The languages are programs/copy.*, as far as they are here: EMS_COPY_CPLUSPLUS is the compiled one.
const test = require('node:test');
const assert = require('node:assert');
const path = require('path');
const { spawn, spawnSync } = require('child_process');
const { connect } = require('ems');

const deep = (depth) => (depth ? { d: [deep(depth - 1), depth] } : null);
const values = [
  undefined, null, true, false, 0, -0, 1, -1, 2 ** 53 - 1, 2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n),
  0.1, -1.5, 5e-324, 1.7976931348623157e308, Infinity, -Infinity, NaN, 2 ** 60,
  '', 'a', 'a\0b', '\0', 'ü∀𝄞\u{10ffff}', '\ufffd', 'x'.repeat(16 * 1024 * 1024), '"\\\n',
  {}, [], [1, 'two', null, true, 0.5], { a: { b: { c: [] } }, 'ü': '𝄞' }, deep(100),
  Buffer.alloc(0), Buffer.from([0, 1, 254, 255]), Buffer.alloc(1000000, 7),
];

const languages = [
  ['Python', process.env.EMS_PYTHON, path.join(__dirname, 'programs', 'copy.py')],
  ['C++', process.env.EMS_COPY_CPLUSPLUS],
];

const client = connect();
for (const [name, program, ...script] of languages) {
  test(name, { skip: program ? false : `no ${name} here` }, () => {
    const [from, to, sums] = ['from', 'to', 'sums'].map((one) => client.heap(`languages/${one}`, { elements: 100, how: 'replace' }));
    values.forEach((value, i) => from.writeXF(i, value));
    values.forEach((value) => from.enqueue(value));
    sums.writeXF(0, 2n ** 53n);
    sums.writeXF(1, true);
    sums.writeXF(2, 0.1);
    sums.writeXF(3, 2n ** 53n + 1n);
    const run = spawnSync(program, [...script, from.name, to.name, sums.name, String(values.length)], { encoding: 'utf8' });
    assert.deepStrictEqual([run.status, run.stderr], [0, '']);
    // Python has one None, for undefined and for a JSON null that is not in an object.
    const expected = values.map((value) => (name === 'Python' && value === null ? undefined : value));
    expected.forEach((value, i) => assert.deepStrictEqual(to.readFF(i), value, `value ${i}`));
    expected.forEach((value, i) => assert.deepStrictEqual(to.dequeue(), value, `item ${i}`));
    assert.deepStrictEqual([0, 1, 2, 3].map((i) => sums.read(i)), [2n ** 53n + 1n, 1.5, '0.1x', -(2n ** 63n)]);
    for (const one of ['from', 'to', 'sums']) client.drop(`languages/${one}`);
  });
}

test('EMS in Python and in Node.js on one array', { skip: process.env.EMS_PYTHON ? false : 'no Python here' }, async () => {
  const ems = require('ems')(1, false, 'user', 'mixed');
  const shared = ems.new({
    dimensions: [10], heapSize: 1000, useMap: true, useExisting: false, persist: false, filename: 'mixed.ems',
  });
  shared.writeXF('sum', 0);
  shared.writeXE('answer', undefined);
  const python = spawn(process.env.EMS_PYTHON, [path.join(__dirname, 'programs', 'mixed.py')], { stdio: 'inherit' });
  const ended = new Promise((resolve) => python.on('exit', resolve));
  for (let i = 0; i < 500; i++) ems.critical(() => shared.write('sum', shared.read('sum') + 1));
  assert.strictEqual(await ended, 0);
  assert.deepStrictEqual(shared.readFE('answer'), { from: 'python' });
  assert.strictEqual(shared.read('sum'), 1000);
  shared.destroy(true);
});
