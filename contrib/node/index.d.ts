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
  new(elements?: number | number[] | EMSdescriptor, heapSize?: number, filename?: string): any;
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
  entries(): [Key, any][];
  [Symbol.iterator](): Iterator<[Key, any]>;
  close(): void;
}

declare class Client {
  heap(name: string, options?: HeapOptions): Heap;
  region(name: string, options?: { how?: HeapOptions['how']; size?: number; readOnly?: boolean }): ArrayBuffer;
  drop(name: string): boolean;
  transaction(elements: [Heap, Key, boolean?][], options?: { timeout?: number }): Transaction;
  transact<T>(elements: [Heap, Key, boolean?][], func: (transaction: Transaction) => T, options?: { timeout?: number }): T;
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
