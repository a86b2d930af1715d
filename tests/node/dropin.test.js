'use strict';
// The interface of EMS 1.6: programs in bsp, fj and user mode; and what single operations give.
const test = require('node:test');
const assert = require('node:assert');
const path = require('path');
const { spawnSync, spawn } = require('child_process');
const fs = require('fs');
const os = require('os');

const program = (name) => path.join(__dirname, 'programs', name);
const run = (name, ...args) => spawnSync(process.execPath, [program(name), ...args], { encoding: 'utf8', timeout: 200000 });

for (const n of [1, 2, 4, 8]) {
  test(`bsp with ${n} processes`, () => {
    const { status, stdout, stderr } = run('bsp.js', n);
    assert.strictEqual(stderr, '');
    assert.strictEqual(stdout, `started${Array.from({ length: n }, (_, i) => `+${i}`).join('')}\n`);
    assert.strictEqual(status, 0);
  });
  test(`fork-join with ${n} processes`, () => {
    const { status, stdout, stderr } = run('fj.js', n);
    assert.strictEqual(stderr, '');
    assert.strictEqual(stdout, `${n} done\n`);
    assert.strictEqual(status, 0);
  });
}

test('a process that fails fails the parent, and nobody hangs', () => {
  for (const how of ['kill', 'throw', 'exit']) {
    const { status, signal } = run('fails.js', how);
    assert.notStrictEqual(status, 0, how);
    assert.strictEqual(signal, null, how);
  }
});

test('processes die with a killed parent', async () => {
  const child = spawn(process.execPath, [program('fails.js'), 'parent'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (data) => { text += data; });
  // 'close' comes when nobody holds the pipe any more, which the started processes do.
  const [, signal] = await new Promise((resolve) => child.on('close', (...all) => resolve(all)));
  assert.strictEqual(signal, 'SIGKILL');
  for (const [, pid] of text.matchAll(/process (\d+)/g)) assert(!fs.existsSync(`/proc/${pid}/exe`), pid);
});

const ems = require('ems')(1, false, 'user', 'a context: ü/∀, any text');

test('user processes share arrays by name, and the critical section', async () => {
  const wish = { dimensions: [10], heapSize: 10000, useMap: true, useExisting: true, persist: false, filename: 'programs/user.ems' };
  assert.strictEqual(ems.new(wish), undefined);
  const shared = ems.new({ ...wish, useExisting: false });
  shared.writeXF('sum', 0);
  const all = [1, 2, 3].map(() => new Promise((resolve) => {
    spawn(process.execPath, [program('user.js'), 'a context: ü/∀, any text', '300'], { stdio: 'inherit' }).on('exit', resolve);
  }));
  assert.deepStrictEqual(await Promise.all(all), [0, 0, 0]);
  assert.strictEqual(shared.read('sum'), 900);
  let items = 0;
  while (shared.dequeue() !== undefined) items++;
  assert.strictEqual(items, 3);
  shared.destroy(true);
  assert.strictEqual(ems.new(wish), undefined);
});

test('arrays in files', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ems-'));
  const before = process.cwd();
  process.chdir(folder);
  try {
    const wish = { dimensions: [10], heapSize: 10000, persist: true, filename: 'array.ems' };
    assert.strictEqual(ems.new({ ...wish, useExisting: true }), undefined);
    assert(!fs.existsSync('array.ems'));
    fs.writeFileSync('array.ems', 'not a heap');
    assert.throws(() => ems.new({ ...wish, useExisting: true }), /no file of emsd/);
    const first = ems.new({ ...wish, useExisting: false, doDataFill: true, dataFill: 5 });
    assert.strictEqual(first.read(3), 5);
    first.write(3, 'kept');
    first.sync();
    first.destroy(false);
    assert(fs.existsSync('array.ems'));
    const again = ems.new({ ...wish, useExisting: true });
    assert.deepStrictEqual([again.read(3), again.read(4)], ['kept', 5]);
    // Another geometry replaces it; who has the old one keeps that.
    const other = ems.new({ ...wish, useExisting: false, dimensions: [30], useMap: true });
    other.writeXF('key', 1);
    assert.deepStrictEqual([again.read(3), other.read('key')], ['kept', 1]);
    again.destroy(true); // the file at that path is another's
    assert(fs.existsSync('array.ems'));
    other.destroy(true);
    assert(!fs.existsSync('array.ems'));
    assert.throws(() => ems.new({ ...wish, useExisting: false, filename: 'none/array.ems' }), /none/);
  } finally {
    process.chdir(before);
    fs.rmSync(folder, { recursive: true });
  }
});

test('values come back as they were', () => {
  const array = ems.new({ dimensions: [4], heapSize: 40000000 });
  const values = [undefined, null, true, false, 0, -1, 2 ** 53 - 1, -(2 ** 53) + 1, 1.5, -0, Infinity, -Infinity, NaN, 5e-324, '',
    'a\0b', '𝄞 ü', 'x'.repeat(20000000), {}, [], [null, { a: ['\ud800'] }], { a: { b: [1, 'two'] } }];
  for (const value of values) {
    array.writeXF(1, value);
    assert.deepStrictEqual(array.readFF(1), value);
  }
  assert.throws(() => array.write(1, '\ud800'), { code: 'EMS_EINVALID' });
  assert.throws(() => array.write(1, () => 1), TypeError);
  array.destroy(true);
});

test('fetch and add, compare and swap', () => {
  const array = ems.new({ dimensions: [10], heapSize: 10000 });
  const sum = (left, right) => {
    array.writeXF(0, left);
    assert.deepStrictEqual(array.faa(0, right), left);
    return array.readFF(0);
  };
  assert.strictEqual(sum(1, 2), 3);
  assert.strictEqual(sum(1, 0.5), 1.5);
  assert.strictEqual(sum(true, true), 2);
  assert.ok(Number.isNaN(sum(undefined, 1)));
  assert.strictEqual(sum('a', 1), 'a1');
  assert.strictEqual(sum('a', 0.1), 'a0.100000');
  assert.strictEqual(sum(0.1, 'a'), '0.100000a');
  assert.strictEqual(sum(NaN, 'a'), 'nana');
  assert.strictEqual(sum('a', 'b'), 'ab');
  assert.throws(() => array.faa(0, {}), { code: 'EMS_ETYPE' });
  array.writeXF(1, 5);
  assert.strictEqual(array.cas(1, 4, 6), 5);
  assert.strictEqual(array.cas(1, 5, { six: 6 }), 5);
  assert.throws(() => array.cas(1, { six: 6 }, 7), { code: 'EMS_ETYPE' });
  assert.deepStrictEqual(array.read(1), { six: 6 });
  // In a transaction of its own.
  array.writeXF(2, 0.5);
  const handle = ems.tmStart([[array, 2]]);
  array.faa(2, 'x');
  assert.strictEqual(array.read(2), '0.500000x');
  ems.tmEnd(handle, false);
  assert.strictEqual(array.read(2), 0.5);
  array.destroy(true);
});

test('stack and queue, full and empty', () => {
  const array = ems.new({ dimensions: [3], heapSize: 1000 });
  assert.deepStrictEqual([1, 'b', { c: 3 }, 4].map((x) => array.push(x)), [1, 2, 3, -1]);
  assert.deepStrictEqual([1, 2, 3, 4].map(() => array.pop()), [{ c: 3 }, 'b', 1, undefined]);
  assert.deepStrictEqual([1, 'b', 3, 4].map((x) => array.enqueue(x)), [1, 2, 3, -1]);
  assert.deepStrictEqual([1, 2, 3, 4].map(() => array.dequeue()), [1, 'b', 3, undefined]);
  array.destroy(true);
});

test('dimensions, keys, proxies', () => {
  const matrix = ems.new({ dimensions: [3, 4, 5], heapSize: 0, doDataFill: true, dataFill: 7 });
  assert.deepStrictEqual([matrix.nElements, matrix.dimensions, matrix.dimStride], [60, [3, 4, 5], [1, 3, 12]]);
  matrix.write([2, 3, 4], 1);
  assert.strictEqual(matrix.read(2 + 3 * 3 + 4 * 12), 1);
  assert.strictEqual(matrix.read([0, 0, 0]), 7);
  assert.throws(() => matrix.read([3, 0, 0]), RangeError);
  assert.throws(() => matrix.read(60), RangeError);

  const map = ems.new({ dimensions: [10], heapSize: 1000, useMap: true, ES6proxies: true });
  map.colour = 'red';
  map[5] = 'a string key';
  assert.strictEqual(map.read('colour'), 'red');
  assert.strictEqual(map.read(5), undefined);
  assert.strictEqual(map.read('5'), 'a string key');
  assert.strictEqual(map.nothing, undefined);
  assert.strictEqual(map.nElements, 10);
  for (let i = 0; i < 8; i++) map.writeXF(`k${i}`, i);
  assert.throws(() => map.writeXF('one too many', 1), { code: 'EMS_EFULL' });
  const keys = Array.from({ length: 10 }, (_, i) => map.index2key(i));
  assert.deepStrictEqual(keys.sort(), ['5', 'colour', 'k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7']);

  const list = ems.new({ dimensions: [10], heapSize: 100, ES6proxies: true });
  list[3] = 9;
  assert.strictEqual(list.read(3), 9);
  assert.strictEqual(list[3], 9);
  for (const array of [matrix, map, list]) array.destroy(true);
});

test('what is large and stays empty is cheap', () => {
  const map = ems.new({ dimensions: [100000000], heapSize: 800000000, useMap: true });
  map.write('a', 'b');
  assert.strictEqual(map.read('a'), 'b');
  map.destroy(true);
});
