// Types of package `ems`. doc/node.md says what things do.

/// <reference types="node" />

type Value = undefined | null | boolean | number | bigint | string | Uint8Array | object;
type Key = string | number | boolean | bigint;
type Tag = boolean | 'full' | 'empty';
interface Wait {
  /** Milliseconds; for ever when left out. */
  timeout?: number;
  signal?: AbortSignal;
}

// ---- the interface of EMS 1.6 ----

type Place = Key | number[];

interface EMSarray {
  readonly dimensions: number[];
  readonly dimStride: number[];
  readonly nElements: number;
  readonly heapSize: number;
  readonly useMap: boolean;
  readonly useExisting: boolean;
  readonly persist: boolean;
  readonly filename: string;
  readonly regionN: number;
  read(place: Place): any;
  readFE(place: Place): any;
  readFF(place: Place): any;
  readRW(place: Place): any;
  releaseRW(place: Place): number;
  write(place: Place, value: Value): true;
  writeEF(place: Place, value: Value): true;
  writeXF(place: Place, value: Value): true;
  writeXE(place: Place, value: Value): true;
  setTag(place: Place, full: Tag): true;
  faa(place: Place, value: Value): any;
  cas(place: Place, old: Value, value: Value): any;
  push(value: Value): number;
  pop(): any;
  enqueue(value: Value): number;
  dequeue(): any;
  sync(): true;
  index2key(index: number): Key | undefined;
  destroy(unlinkFile?: boolean): true;
  [name: string]: any;
}

interface EMSdescriptor {
  dimensions?: number | number[];
  heapSize?: number | number[];
  mlock?: number;
  useMap?: boolean;
  useExisting?: boolean;
  persist?: boolean;
  doDataFill?: boolean;
  dataFill?: Value;
  doSetFEtags?: boolean;
  setFEtags?: 'full' | 'empty';
  filename?: string;
  ES6proxies?: boolean;
  hashFunc?: unknown;
}

type Locked = [EMSarray, Place, boolean, any][];

interface EMS {
  readonly nThreads: number;
  readonly myID: number;
  readonly threadingType: 'bsp' | 'fj' | 'user';
  readonly pinThreads: boolean;
  readonly domainName: string;
  readonly tasks: unknown[];
  'new'(elements?: number | number[] | EMSdescriptor, heapSize?: number, filename?: string): any;
  parallel(...argumentsAndFunction: any[]): void;
  parForEach(first: number, last: number, func: (index: number) => void,
    schedule?: 'guided' | 'dynamic' | 'static', minChunk?: number): void;
  barrier(timeout?: number): number;
  critical<T>(func: () => T, timeout?: number): T;
  master<T>(func: () => T): T | undefined;
  single<T>(func: () => T): T | undefined;
  diag(text: string): void;
  tmStart(elements: [EMSarray, Place, boolean?][]): Locked;
  tmEnd(handle: Locked, commit?: boolean): void;
}

// ---- the native interface ----

interface HeapOptions {
  how?: 'open' | 'create' | 'open-or-create' | 'replace';
  elements?: number;
  maxElements?: number;
  storage?: number;
  budget?: number;
  mode?: number;
  idleSeconds?: number;
  map?: boolean;
  readOnly?: boolean;
  persistent?: boolean;
  untilDetached?: boolean;
  /** Between checkpoints of a persistent one, in milliseconds; 0xffffffff: only when asked for. */
  checkpointMs?: number;
  empty?: boolean;
  fill?: Value;
}

declare class Lease {
  readonly value: any;
  put(value: Value): boolean;
  keep(): boolean;
  end(): boolean;
}

declare class Transaction {
  read(which: number): any;
  write(which: number, value: Value): void;
  commit(): void;
  abort(): void;
}

declare class Heap implements Iterable<[Key, any]> {
  readonly name: string;
  readonly map: boolean;
  readonly elements: number;
  read(key: Key): any;
  readFF(key: Key, timeout?: number): any;
  readFE(key: Key, timeout?: number): any;
  readRW(key: Key, timeout?: number): any;
  releaseRW(key: Key): number;
  write(key: Key, value: Value, timeout?: number): void;
  writeXF(key: Key, value: Value, timeout?: number): void;
  writeXE(key: Key, value: Value, timeout?: number): void;
  writeEF(key: Key, value: Value, timeout?: number): void;
  setTag(key: Key, full: Tag, timeout?: number): void;
  getTag(key: Key): 'full' | 'empty' | 'readers' | 'busy';
  faa(key: Key, value: Value, timeout?: number): any;
  cas(key: Key, expected: Value, desired: Value, timeout?: number): any;
  swap(key: Key, value: Value, timeout?: number): any;
  min(key: Key, value: number | bigint, timeout?: number): any;
  max(key: Key, value: number | bigint, timeout?: number): any;
  and(key: Key, mask: number | bigint, timeout?: number): number | bigint;
  or(key: Key, mask: number | bigint, timeout?: number): number | bigint;
  xor(key: Key, mask: number | bigint, timeout?: number): number | bigint;
  delete(key: Key, timeout?: number): boolean;
  has(key: Key): boolean;
  index2key(index: number): Key | undefined;
  push(value: Value, timeout?: number): number;
  pop(timeout?: number): any;
  enqueue(value: Value, timeout?: number): number;
  dequeue(timeout?: number): any;
  queueLength(): number;
  stackLength(): number;
  readFFAsync(key: Key, options?: Wait): Promise<any>;
  readFEAsync(key: Key, options?: Wait): Promise<any>;
  readRWAsync(key: Key, options?: Wait): Promise<any>;
  readFELeaseAsync(key: Key, options?: Wait): Promise<Lease>;
  dequeueLeaseAsync(options?: Wait): Promise<Lease>;
  writeAsync(key: Key, value: Value, options?: Wait): Promise<any>;
  writeXFAsync(key: Key, value: Value, options?: Wait): Promise<any>;
  writeXEAsync(key: Key, value: Value, options?: Wait): Promise<any>;
  writeEFAsync(key: Key, value: Value, options?: Wait): Promise<any>;
  setTagAsync(key: Key, full: Tag, options?: Wait): Promise<any>;
  faaAsync(key: Key, value: Value, options?: Wait): Promise<any>;
  casAsync(key: Key, expected: Value, desired: Value, options?: Wait): Promise<any>;
  swapAsync(key: Key, value: Value, options?: Wait): Promise<any>;
  andAsync(key: Key, mask: number | bigint, options?: Wait): Promise<any>;
  orAsync(key: Key, mask: number | bigint, options?: Wait): Promise<any>;
  xorAsync(key: Key, mask: number | bigint, options?: Wait): Promise<any>;
  minAsync(key: Key, value: number | bigint, options?: Wait): Promise<any>;
  maxAsync(key: Key, value: number | bigint, options?: Wait): Promise<any>;
  deleteAsync(key: Key, options?: Wait): Promise<boolean>;
  enqueueAsync(value: Value, options?: Wait): Promise<number>;
  dequeueAsync(options?: Wait): Promise<any>;
  pushAsync(value: Value, options?: Wait): Promise<number>;
  popAsync(options?: Wait): Promise<any>;
  readRange<T extends Float64Array | BigInt64Array>(first: number, array: T): T;
  writeRange(first: number, array: Float64Array | BigInt64Array): void;
  readFELease(key: Key, timeout?: number): Lease;
  dequeueLease(timeout?: number): Lease | undefined;
  grow(elements: number): void;
  sync(timeout?: number): void;
  syncAsync(options?: Wait): Promise<void>;
  entries(): [Key, any][];
  [Symbol.iterator](): Iterator<[Key, any]>;
  close(): void;
}

interface RegionOptions {
  how?: HeapOptions['how'];
  size?: number;
  maxSize?: number;
  budget?: number;
  mode?: number;
  idleSeconds?: number;
  /** Percent of it that is never swapped out. */
  lock?: number;
  readOnly?: boolean;
  populate?: boolean;
  interleave?: boolean;
  persistent?: boolean;
  untilDetached?: boolean;
}

interface Grant {
  readonly asked: number;
  readonly granted: number;
  readonly why: string;
}

declare class Counters {
  readonly count: number;
  /** Each gives the old value. */
  get(number: number): number | bigint;
  set(number: number, value: number | bigint): number | bigint;
  add(number: number, amount?: number | bigint): number | bigint;
  sub(number: number, amount?: number | bigint): number | bigint;
  close(): void;
}

declare class Blocks implements Iterable<number> {
  readonly blockSize: number;
  readonly capacity: number;
  store(bytes: Uint8Array): number;
  read(number: number): Buffer | undefined;
  free(number: number): boolean;
  /** The numbers of the blocks that are stored, highest first. */
  [Symbol.iterator](): Iterator<number>;
  repair(options?: { piece?: number }): Promise<number>;
  close(): void;
}

declare class Region {
  readonly buffer: ArrayBuffer;
  readonly info: {
    name: string; size: number; maxSize: number; readOnly: boolean; file: boolean; dropped: boolean;
    pages: Grant; populated: Grant; locked: Grant; interleaved: Grant;
  };
  grow(size: number): void;
  flush(options?: { offset?: number; size?: number; wait?: boolean }): void;
  flushAsync(options?: { offset?: number; size?: number; signal?: AbortSignal }): Promise<void>;
  counters(count?: number): Counters;
  blocks(options?: { blockSize?: number; capacity?: number; discard?: boolean }): Blocks;
  close(): void;
}

interface LoopOptions extends Wait {
  schedule?: 'guided' | 'dynamic' | 'static';
  chunk?: number;
}

declare class Team {
  readonly member: number;
  readonly size: number;
  readonly master: boolean;
  readonly count: number;
  readonly deaths: { member: number; pid: number; first: number | bigint; last: number | bigint }[];
  barrier(options?: Wait): Promise<void>;
  single(options?: Wait): Promise<boolean>;
  critical<T>(name: string, func: (ownerDied: boolean) => T | Promise<T>, options?: Wait): Promise<T>;
  loop(first: number, last: number, options?: LoopOptions): AsyncIterable<[number, number]>;
  parForEach(first: number, last: number, func: (index: number) => void | Promise<void>, options?: LoopOptions): Promise<void>;
  leave(): Promise<void>;
}

declare class Client {
  heap(name: string, options?: HeapOptions): Heap;
  region(name: string, options?: RegionOptions): ArrayBuffer;
  openRegion(name: string, options?: RegionOptions): Region;
  openFile(descriptor: number, options?: RegionOptions): Region;
  drop(name: string): boolean;
  transaction(elements: [Heap, Key, boolean?][], options?: { timeout?: number }): Transaction;
  transactionAsync(elements: [Heap, Key, boolean?][], options?: Wait): Promise<Transaction>;
  transact<T>(elements: [Heap, Key, boolean?][], func: (transaction: Transaction) => T, options?: { timeout?: number }): T;
  transactAsync<T>(elements: [Heap, Key, boolean?][], func: (transaction: Transaction) => T | Promise<T>, options?: Wait): Promise<T>;
  snapshot(elements: [Heap, Key][], options?: { timeout?: number }): any[];
  snapshotAsync(elements: [Heap, Key][], options?: Wait): Promise<any[]>;
  team(name?: string, options?: Wait & { size?: number; member?: number; elastic?: boolean; mode?: number }): Promise<Team>;
  close(): void;
}

interface Module {
  (nThreads?: number, pinThreads?: boolean, threadingType?: 'bsp' | 'fj' | 'user', contextName?: string): EMS;
  initialize(nThreads?: number, pinThreads?: boolean, threadingType?: 'bsp' | 'fj' | 'user', contextName?: string): EMS;
  connect(options?: { socket?: string }): Client;
  readonly version: string;
}

declare const ems: Module;
export = ems;
