'use strict';
// The native interface: connect() → Client → Heap, with promises for what waits. Types and words: index.d.ts, doc/node.md.

const addon = require('./addon.js');

const HOW = { open: 0, create: 1, 'open-or-create': 2, replace: 3 };
// As in <ems.h>: enum ems_operation_code.
const CODES = {
  readFF: 1, readFE: 2, write: 3, writeXF: 4, writeXE: 5, writeEF: 6, setTag: 7, faa: 8, cas: 9, swap: 10,
  and: 11, or: 12, xor: 13, min: 14, max: 15, delete: 16, enqueue: 18, dequeue: 19, push: 20, pop: 21, readRW: 22,
  readFELease: 23, dequeueLease: 24,
};
const KEYLESS = new Set(['enqueue', 'dequeue', 'push', 'pop', 'dequeueLease']);
const VALUELESS = new Set(['readFF', 'readFE', 'readRW', 'delete', 'dequeue', 'pop', 'readFELease', 'dequeueLease']);
const dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');
const secret = new WeakMap(); // the addon's handles of clients and heaps

function howOf(how) {
  if (!(how in HOW)) throw new TypeError(`how: one of ${Object.keys(HOW).join(', ')}`);
  return HOW[how];
}

// A wait that an AbortSignal may end.
function wait(heap, code, key, value, expected, { timeout, signal } = {}, full = false) {
  if (signal?.aborted) return Promise.reject(signal.reason);
  const handle = secret.get(heap);
  const [promise, id] = addon.waitBegin(handle, code, key, value, expected, timeout, full);
  if (!signal) return promise;
  const cancel = () => addon.waitCancel(handle, id);
  signal.addEventListener('abort', cancel, { once: true });
  return promise.catch((error) => {
    throw signal.aborted && error.code === 'EMS_ECANCELLED' ? signal.reason : error;
  }).finally(() => signal.removeEventListener('abort', cancel));
}

// Tries until it succeeds; in between waits until each element is full, without blocking the event loop.
async function retry(elements, { timeout, signal } = {}, attempt) {
  const end = timeout === undefined ? Infinity : performance.now() + timeout;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return attempt();
    } catch (error) {
      if (!['EMS_ETIMEOUT', 'EMS_EBUSY'].includes(error.code) || performance.now() >= end) throw error;
    }
    for (const [heap, key] of elements) {
      await heap.readFFAsync(key, { signal, timeout: end === Infinity ? undefined : Math.max(0, end - performance.now()) });
    }
  }
}

const handlesOf = (elements) => elements.map(([heap, key, readOnly]) => [secret.get(heap), key, readOnly]);

class Transaction {
  #held;

  constructor(held) { this.#held = held; }

  read(which) { return addon.transactionRead(this.#held, which); }

  write(which, value) { addon.transactionWrite(this.#held, which, value); }

  commit() { addon.transactionEnd(this.#held, true); }

  abort() { addon.transactionEnd(this.#held, false); }

  [dispose]() { this.abort(); }
}

class Lease {
  #held;

  constructor([held, value]) {
    this.#held = held;
    this.value = value;
  }

  put(value) { return addon.leaseEnd(this.#held, 2, value); }

  keep() { return addon.leaseEnd(this.#held, 1); }

  end() { return addon.leaseEnd(this.#held, 0); }

  [dispose]() { this.end(); }
}

class Heap {
  #open; // of its client: what is to be closed with it

  constructor(client, open, name, how, options) {
    secret.set(this, addon.heapOpen(secret.get(client), this, name, howOf(how), options));
    this.#open = open.add(this);
  }

  get elements() { return addon.heapElements(secret.get(this)); }

  grow(elements) { addon.heapGrow(secret.get(this), elements); }

  sync(timeout) { addon.sync(secret.get(this), timeout); }

  syncAsync({ timeout, signal } = {}) { return unlessAborted(() => addon.syncAsync(secret.get(this), timeout), signal); }

  readRange(first, array) { return addon.range(secret.get(this), first, array, false); }

  writeRange(first, array) { addon.range(secret.get(this), first, array, true); }

  entries() { return addon.entries(secret.get(this)); }

  [Symbol.iterator]() { return this.entries()[Symbol.iterator](); }

  readFELease(key, timeout) { return new Lease(addon.leaseTake(secret.get(this), key, timeout)); }

  dequeueLease(timeout = 0) {
    const taken = addon.leaseTake(secret.get(this), null, timeout);
    return taken && new Lease(taken);
  }

  close() {
    addon.heapClose(secret.get(this));
    this.#open.delete(this);
  }

  [dispose]() { this.close(); }
}

// readFFAsync(key, options), writeEFAsync(key, value, options), enqueueAsync(value, options), …
for (const [name, code] of Object.entries(CODES)) {
  const arity = (KEYLESS.has(name) ? 0 : 1) + (VALUELESS.has(name) ? 0 : 1) + (name === 'cas' ? 1 : 0);
  Object.defineProperty(Heap.prototype, `${name}Async`, {
    value(...args) {
      if (args.length < arity) throw new TypeError(`${name}Async: ${arity} arguments and options`);
      const options = args[arity];
      const key = KEYLESS.has(name) ? undefined : args.shift();
      if (name === 'setTag') return wait(this, code, key, undefined, undefined, options, args[0] === 'full' || args[0] === true);
      const expected = name === 'cas' ? args.shift() : undefined;
      const result = wait(this, code, key, VALUELESS.has(name) ? undefined : args[0], expected, options);
      return name.endsWith('Lease') ? result.then((taken) => new Lease(taken)) : result;
    },
  });
}

// What cannot be called back goes on, and is not waited for any more.
function unlessAborted(begin, signal) {
  if (!signal) return begin();
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    begin().then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

class Counters {
  #held;

  constructor(region, count) { this.#held = addon.countersOpen(region, count); }

  get count() { return addon.countersCount(this.#held); }

  get(number) { return addon.counterGet(this.#held, number); }

  set(number, value) { return addon.counterSet(this.#held, number, value); }

  add(number, amount = 1) { return addon.counterAdd(this.#held, number, amount); }

  sub(number, amount = 1) { return addon.counterSub(this.#held, number, amount); }

  close() { addon.setClose(this.#held); }

  [dispose]() { this.close(); }
}

class Blocks {
  #held;

  constructor(region, options) {
    this.#held = addon.blocksOpen(region, options);
    Object.assign(this, addon.blocksInfo(this.#held)); // blockSize, capacity
  }

  store(bytes) { return addon.blockStore(this.#held, bytes); }

  read(number) { return addon.blockRead(this.#held, number); }

  free(number) { return addon.blockFree(this.#held, number); }

  // The numbers of those stored, highest first.
  * [Symbol.iterator]() {
    for (let below, numbers; below !== 0;) {
      [numbers, below] = addon.blocksList(this.#held, below);
      yield* numbers;
    }
  }

  // In pieces, between which others have their turn. How many were mended.
  async repair({ piece = 65536 } = {}) {
    let mended = 0;
    for (let from = 0, more; from < this.capacity; mended += more) {
      [from, more] = addon.blocksRepair(this.#held, from, piece);
      await new Promise(setImmediate);
    }
    return mended;
  }

  close() { addon.setClose(this.#held); }

  [dispose]() { this.close(); }
}

class Region {
  #held;
  #open;

  constructor(open, held) {
    this.#held = held;
    this.#open = open.add(this);
  }

  // Of what there is now: after a growth, ask again.
  get buffer() { return addon.regionBuffer(this.#held); }

  get info() { return addon.regionInfo(this.#held); }

  grow(size) { addon.regionGrow(this.#held, size); }

  flush({ offset = 0, size = 0, wait = true } = {}) { addon.flush(this.#held, offset, size, wait); }

  flushAsync({ offset = 0, size = 0, signal } = {}) {
    return unlessAborted(() => addon.flushAsync(this.#held, offset, size), signal);
  }

  counters(count = 0) { return new Counters(this.#held, count); }

  blocks(options = {}) { return new Blocks(this.#held, options); }

  // Its buffers, counters and blocks keep the memory.
  close() {
    addon.regionClose(this.#held);
    this.#open.delete(this);
  }

  [dispose]() { this.close(); }
}

// As in native/team.c.
const TEAM = { join: 0, barrier: 1, single: 2, enter: 3, leaveSection: 4, loopBegin: 5, loopNext: 6, loopEnd: 7, leave: 8 };
const SCHEDULES = { guided: 0, dynamic: 1, static: 2 };

class Team {
  #held;
  #open;
  #sections = new Map(); // name → when the last one of this process to enter has left

  static async join(client, open, name, { timeout, signal, ...options } = {}) {
    const team = new Team();
    team.#held = addon.teamNew(client, name, options);
    team.#open = open;
    await team.#do(TEAM.join, { timeout, signal });
    const { member, size } = addon.teamInfo(team.#held);
    Object.assign(team, { member, size, master: member === 0 });
    open.add(team);
    return team;
  }

  #do(action, { timeout, signal } = {}, name, loop) {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const [promise, id] = addon.teamDo(this.#held, action, timeout, name, loop);
    if (!signal) return promise;
    const cancel = () => addon.teamCancel(this.#held, id);
    signal.addEventListener('abort', cancel, { once: true });
    return promise.catch((error) => {
      throw signal.aborted && error.code === 'EMS_ECANCELLED' ? signal.reason : error;
    }).finally(() => signal.removeEventListener('abort', cancel));
  }

  get count() { return addon.teamInfo(this.#held).count; }

  get deaths() { return addon.teamInfo(this.#held).deaths; }

  barrier(options) { return this.#do(TEAM.barrier, options); }

  // Is it this member that does it?
  single(options) { return this.#do(TEAM.single, options); }

  // func(ownerDied) inside the section, also when it takes its time; its value.
  async critical(name, func, options) {
    const former = this.#sections.get(name);
    let left;
    this.#sections.set(name, new Promise((resolve) => { left = resolve; }));
    try {
      await former;
      const ownerDied = await this.#do(TEAM.enter, options, name);
      try {
        return await func(ownerDied);
      } finally {
        await this.#do(TEAM.leaveSection, {}, name);
      }
    } finally {
      left();
    }
  }

  // for await (const [first, last] of team.loop(0, 1000)): what this member is to do.
  async* loop(first, last, { schedule = 'guided', chunk, timeout, signal } = {}) {
    if (!(schedule in SCHEDULES)) throw new TypeError(`schedule: one of ${Object.keys(SCHEDULES).join(', ')}`);
    await this.#do(TEAM.loopBegin, { timeout, signal }, undefined, { first, last, chunk, schedule: SCHEDULES[schedule] });
    try {
      for (let part; (part = await this.#do(TEAM.loopNext, { signal }));) yield part;
    } finally {
      await this.#do(TEAM.loopEnd);
    }
  }

  async parForEach(first, last, func, options) {
    for await (const [from, to] of this.loop(first, last, options)) {
      for (let i = from; i < to; i++) await func(i);
    }
  }

  async leave() {
    this.#open.delete(this);
    await this.#do(TEAM.leave);
  }

  close() { this.leave().catch(() => {}); }
}

class Client {
  #open = new Set(); // heaps, regions, teams

  constructor({ socket } = {}) { secret.set(this, addon.connect(socket)); }

  // One that says how large it shall be is made when it is not there.
  heap(name, { how, ...options } = {}) {
    const usual = options.elements === undefined && !options.map ? 'open' : 'open-or-create';
    return new Heap(this, this.#open, name, how ?? usual, options);
  }

  openRegion(name, { how, ...options } = {}) {
    const usual = options.size === undefined ? 'open' : 'open-or-create';
    return new Region(this.#open, addon.regionOpen(secret.get(this), name, howOf(how ?? usual), options));
  }

  // Of an open file's descriptor, which stays the caller's.
  openFile(fd, options = {}) { return new Region(this.#open, addon.regionFile(secret.get(this), fd, options)); }

  // An ArrayBuffer over the shared memory; with readOnly, a copy of it.
  region(name, options) {
    const region = this.openRegion(name, options);
    try {
      return region.buffer;
    } finally {
      region.close();
    }
  }

  drop(name) { return addon.heapDrop(secret.get(this), name); }

  transaction(elements, { timeout } = {}) { return new Transaction(addon.transactionBegin(handlesOf(elements), timeout, false)); }

  // Any number of these may be open at once.
  transactionAsync(elements, options) {
    const handles = handlesOf(elements);
    return retry(elements, options, () => new Transaction(addon.transactionBegin(handles, 0, true)));
  }

  // What is committed when the function returns, and given up when it throws.
  transact(elements, func, options) {
    const transaction = this.transaction(elements, options);
    try {
      const result = func(transaction);
      if (typeof result?.then === 'function') throw new TypeError('the function is not done when it returns: use transactAsync');
      transaction.commit();
      return result;
    } catch (error) {
      transaction.abort();
      throw error;
    }
  }

  // The same with a function that may take its time.
  async transactAsync(elements, func, options) {
    const transaction = await this.transactionAsync(elements, options);
    try {
      const result = await func(transaction);
      transaction.commit();
      return result;
    } catch (error) {
      transaction.abort();
      throw error;
    }
  }

  // Their values at one moment.
  snapshot(elements, { timeout } = {}) { return addon.snapshot(handlesOf(elements), timeout); }

  snapshotAsync(elements, options) { return retry(elements, options, () => addon.snapshot(handlesOf(elements), 0)); }

  // Without a name, the one that `emsctl run` has told of; alone when there is none.
  team(name, options) { return Team.join(secret.get(this), this.#open, name, options); }

  close() {
    for (const one of this.#open) one.close();
    addon.clientClose(secret.get(this));
  }

  [dispose]() { this.close(); }
}

module.exports = { connect: (options) => new Client(options), version: addon.version };
