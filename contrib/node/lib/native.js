'use strict';
// The native interface: connect() → Client → Heap, with promises for what waits. Types and words: index.d.ts, doc/node.md.

const addon = require('./addon.js');

const HOW = { open: 0, create: 1, 'open-or-create': 2, replace: 3 };
// As in <ems.h>: enum ems_operation_code.
const CODES = {
  readFF: 1, readFE: 2, write: 3, writeXF: 4, writeXE: 5, writeEF: 6, setTag: 7, faa: 8, cas: 9, swap: 10,
  and: 11, or: 12, xor: 13, min: 14, max: 15, delete: 16, enqueue: 18, dequeue: 19, push: 20, pop: 21,
};
const KEYLESS = new Set(['enqueue', 'dequeue', 'push', 'pop']);
const VALUELESS = new Set(['readFF', 'readFE', 'delete', 'dequeue', 'pop']);
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
  constructor(client, name, how, options) {
    secret.set(this, addon.heapOpen(secret.get(client), this, name, howOf(how), options));
  }

  get elements() { return addon.heapElements(secret.get(this)); }

  readRange(first, array) { return addon.range(secret.get(this), first, array, false); }

  writeRange(first, array) { addon.range(secret.get(this), first, array, true); }

  entries() { return addon.entries(secret.get(this)); }

  [Symbol.iterator]() { return this.entries()[Symbol.iterator](); }

  readFELease(key, timeout) { return new Lease(addon.leaseTake(secret.get(this), key, timeout)); }

  dequeueLease(timeout = 0) {
    const taken = addon.leaseTake(secret.get(this), null, timeout);
    return taken && new Lease(taken);
  }

  close() { addon.heapClose(secret.get(this)); }

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
      return wait(this, code, key, VALUELESS.has(name) ? undefined : args[0], expected, options);
    },
  });
}

class Client {
  #heaps = new Set();

  constructor({ socket } = {}) { secret.set(this, addon.connect(socket)); }

  // One that says how large it shall be is made when it is not there.
  heap(name, { how, ...options } = {}) {
    const usual = options.elements === undefined && !options.map ? 'open' : 'open-or-create';
    const heap = new Heap(this, name, how ?? usual, options);
    this.#heaps.add(heap);
    return heap;
  }

  // An ArrayBuffer over the shared memory; with readOnly, a copy of it.
  region(name, { how, size, readOnly = false } = {}) {
    const usual = size === undefined ? 'open' : 'open-or-create';
    return addon.regionOpen(secret.get(this), name, howOf(how ?? usual), size, readOnly);
  }

  drop(name) { return addon.heapDrop(secret.get(this), name); }

  transaction(elements, { timeout } = {}) {
    const list = elements.map(([heap, key, readOnly]) => [secret.get(heap), key, readOnly]);
    return new Transaction(addon.transactionBegin(list, timeout));
  }

  // What is committed when the function returns, and given up when it throws.
  transact(elements, func, options) {
    const transaction = this.transaction(elements, options);
    try {
      const result = func(transaction);
      transaction.commit();
      return result;
    } catch (error) {
      transaction.abort();
      throw error;
    }
  }

  close() {
    for (const heap of this.#heaps) heap.close();
    this.#heaps.clear();
  }

  [dispose]() { this.close(); }
}

module.exports = { connect: (options) => new Client(options), version: addon.version };
