'use strict';
// The interface of EMS 1.6, for programs that were written for it: require('ems')(nThreads, pin, type, context).
//
// All of it is synchronous, as there. What processes do together is in the addon (contrib/compat); here is what is
// JavaScript's: starting processes, functions as text, proxies, arguments as EMS takes them.

const path = require('path');
const { spawn } = require('child_process');
const { Module } = require('module');
const addon = require('./addon.js');

const KINDS = { bsp: 0, fj: 1, user: 2 };
const SCHEDULES = { guided: 0, dynamic: 1, static: 2 };
const BARRIER = 500000; // milliseconds
const CRITICAL = 500000;
const START = 120000; // until all processes are there

const handles = new WeakMap(); // of arrays: the addon's
const locked = new WeakMap(); // of transactions' handles: the addon's

// ---- arrays ----

class EMSarray {
  sync() { addon.arraySync(handles.get(this)); return true; }

  destroy(unlinkFile) {
    addon.arrayDestroy(handles.get(this), unlinkFile);
    return true;
  }
}

// With ES6proxies. Built-in names and symbols are never keys; without a map, names are indexes.
function proxied(array) {
  const keyOf = array.useMap ? (name) => name : (name) => (/^\d+$/.test(name) ? Number(name) : undefined);
  const own = (name) => typeof name === 'symbol' || name in array || keyOf(name) === undefined;
  const proxy = new Proxy(array, {
    get: (target, name) => (own(name) ? target[name] : target.read(keyOf(name))),
    set(target, name, value) {
      if (own(name)) target[name] = value;
      else target.write(keyOf(name), value);
      return true;
    },
  });
  handles.set(proxy, handles.get(array));
  return proxy;
}

const listed = (given) => (Array.isArray(given) ? given : [given]);

// A descriptor with EMS's defaults, from what `new` was called with.
function describe(arg0, heapSize, filename) {
  const given = typeof arg0 === 'object' && arg0 !== null && !Array.isArray(arg0)
    ? arg0 : { dimensions: arg0, heapSize, filename };
  const dimensions = given.dimensions === undefined ? [] : listed(given.dimensions).map(Number);
  return {
    dimensions,
    heapSize: Number(listed(given.heapSize ?? 0)[0] ?? 0),
    mlock: given.mlock ?? 0,
    useMap: !!given.useMap,
    useExisting: !!given.useExisting,
    existing: given.useExisting === undefined ? 0 : given.useExisting ? 1 : 2,
    persist: given.persist === undefined ? true : !!given.persist,
    doDataFill: !!given.doDataFill,
    dataFill: given.dataFill,
    doSetFEtags: !!given.doSetFEtags,
    empty: given.setFEtags === 'empty',
    filename: given.filename === undefined || given.filename === null ? '' : String(given.filename),
    ES6proxies: !!given.ES6proxies,
  };
}

function emsNew(context, arg0, heapSize, filename) {
  const wish = describe(arg0, heapSize, filename);
  const array = new EMSarray();
  const handle = addon.arrayOpen(context, array, wish);
  if (handle === undefined) return undefined;
  Object.assign(array, {
    heapSize: wish.heapSize, mlock: wish.mlock, filename: wish.filename, persist: wish.persist,
    useExisting: wish.useExisting, ES6proxies: wish.ES6proxies,
  });
  // So that a proxy, and whoever enumerates the array, does not take the operations for keys.
  for (const name of Object.keys(array)) {
    Object.defineProperty(array, name, { enumerable: typeof array[name] !== 'function' });
  }
  handles.set(array, handle);
  return wish.ES6proxies ? proxied(array) : array;
}

// ---- transactions ----

function tmStart(elements) {
  const list = elements.map((element) => [handles.get(element[0]), element[1], element[2] === true]);
  const taken = addon.lockAll(list);
  const handle = taken.map(([which, readOnly, value]) => [elements[which][0], elements[which][1], readOnly, value]);
  locked.set(handle, taken.locks);
  return handle;
}

function tmEnd(handle, commit) {
  const locks = locked.get(handle);
  if (locks === undefined) throw new TypeError('tmEnd: not a handle of tmStart, or ended already');
  locked.delete(handle);
  addon.lockEnd(locks, commit === true);
}

// ---- fork-join ----

// Functions travel as source and are evaluated, in sloppy mode, where `ems`, `require` and `module` are to be seen, as are what
// they assign without declaring it: that is global.
function evaluated(source, ems, main) {
  const module = new Module(main);
  module.filename = main;
  module.paths = Module._nodeModulePaths(path.dirname(main));
  const requires = Module.createRequire(main);
  const names = ['ems', 'require', 'module', 'exports', '__filename', '__dirname'];
  const values = [ems, requires, module, module.exports, main, path.dirname(main)];
  return new Function(...names, `return (${source}\n)`)(...values);
}

// Methods (`f() {}`) are no expressions by themselves.
function sourceOf(func) {
  const text = Function.prototype.toString.call(func);
  try {
    new Function(`return (${text}\n)`);
    return text;
  } catch (e) {
    return `({${text}})[${JSON.stringify(func.name)}]`;
  }
}

function parallel(ems, context, args) {
  const func = args.pop();
  if (typeof func !== 'function') throw new TypeError('parallel: the last argument is a function');
  if (ems.threadingType !== 'fj' || addon.inRegion(context)) return void func(...args);
  if (ems.nThreads > 1) {
    addon.regionSend(context, JSON.stringify({ source: sourceOf(func), args, main: mainScript() }));
  }
  region(context, ems.nThreads, func, args);
}

// One region, in the parent and in the others; its barrier is passed although the function throws, so that nobody waits for ever.
function region(context, size, func, args) {
  addon.regionEnter(context);
  try {
    func(...args);
  } finally {
    addon.regionLeave(context);
  }
}

// What a started process of fork-join does, until there are no more regions.
function serve(ems, context) {
  let text;
  while ((text = addon.regionReceive(context)) !== undefined) {
    const { source, args, main } = JSON.parse(text);
    region(context, ems.nThreads, evaluated(source, ems, main), args);
  }
}

// ---- processes ----

const mainScript = () => (require.main && require.main.filename) || path.resolve(process.argv[1] ?? '.');

// One started process ended badly: so does the parent.
function startOthers(size, run, type, name) {
  const script = type === 'fj' ? [path.join(__dirname, 'worker.js'), mainScript(), JSON.stringify(name ?? null)]
    : [process.argv[1] === undefined ? mainScript() : process.argv[1]];
  const children = [];
  for (let member = 1; member < size; member++) {
    const child = spawn(process.execPath, [...process.execArgv, ...script, ...process.argv.slice(2)], {
      stdio: 'inherit',
      env: {
        ...process.env, EMS_Subtask: String(member), EMS_Ntasks: String(size), EMS_Run: run,
        EMS_Parent: String(process.pid),
      },
    });
    child.on('exit', (code) => { if (code !== 0) process.exitCode = process.exitCode || code || 1; });
    children.push(child);
  }
  return children;
}

// At the parent's end. Event loop or not: children that are still there are waited for here.
function finish(context, type, children, code) {
  if (type === 'fj' && children.length) addon.regionFinish(context);
  // One that fails is dead to the others, who are told so instead of waiting.
  if (code === 0) addon.leave(context);
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    if (code !== 0) child.kill('SIGKILL');
    const status = addon.waitFor(child.pid);
    if (code === 0 && status) process.exitCode = status;
  }
}

function startedBy(type) {
  if (type === 'user' || process.env.EMS_Subtask === undefined) return undefined;
  const member = Number(process.env.EMS_Subtask);
  return member > 0 && process.env.EMS_Run ? member : undefined;
}

// ---- the module ----

function contextStart(type, name, size) {
  const member = startedBy(type);
  let run = process.env.EMS_Run;
  let children = [];
  if (member === undefined) {
    run = addon.runName();
    if (type !== 'user' && size > 1) children = startOthers(size, run, type, name);
  } else if (!addon.followParent(Number(process.env.EMS_Parent))) {
    process.exit(1);
  }
  const total = member === undefined ? size : Number(process.env.EMS_Ntasks);
  try {
    const context = addon.start(KINDS[type], name === undefined ? '' : String(name), run, member ?? 0, total, START);
    return { context, member: member ?? 0, total: type === 'user' ? 1 : total, children };
  } catch (error) {
    for (const child of children) child.kill('SIGKILL');
    throw error;
  }
}

// fj: the event loop of a parent that has nothing else to do must not wait for processes that wait for it.
function arrangeEnd(context, type, children) {
  if (type === 'fj') for (const child of children) child.unref();
  process.on('exit', (code) => finish(context, type, children, code));
}

function critical(context, func, timeout = CRITICAL) {
  addon.criticalEnter(context, timeout);
  try {
    return func();
  } finally {
    addon.criticalLeave(context);
  }
}

function single(context, func) {
  let result;
  try {
    if (addon.single(context)) result = func();
  } finally {
    addon.barrier(context, BARRIER);
  }
  return result;
}

function parForEach(context, first, last, func, schedule = 'guided', minChunk = 1) {
  const kind = SCHEDULES[schedule];
  if (kind === undefined) throw new TypeError(`parForEach: no schedule "${schedule}" (guided, dynamic, static)`);
  const loop = addon.loopBegin(context, first, last, kind, minChunk);
  const pair = [0, 0];
  try {
    while (addon.loopNext(loop, pair)) for (let i = pair[0]; i < pair[1]; i++) func(i);
  } finally {
    addon.loopEnd(context, loop);
  }
}

function begin(nThreads = 1, pinThreads = false, threadingType = 'bsp', contextName = undefined) {
  const type = threadingType === undefined || threadingType === null ? 'bsp' : threadingType;
  const size = nThreads === undefined ? 1 : Number(nThreads);
  if (!(type in KINDS)) throw new TypeError(`ems: no threading type "${type}" (bsp, fj, user)`);
  if (!Number.isInteger(size) || size < 1 || size > 1024) throw new RangeError(`ems: ${nThreads} processes (1 to 1024)`);
  const { context, member, total, children } = contextStart(type, contextName, size);
  arrangeEnd(context, type, children);
  const ems = {
    nThreads: total,
    myID: member,
    threadingType: type,
    pinThreads: !!pinThreads,
    domainName: addon.domain(context),
    tasks: children,
    get inParallelContext() { return addon.inRegion(context); },
    new: (arg0, heapSize, filename) => emsNew(context, arg0, heapSize, filename),
    parallel: (...args) => parallel(ems, context, args),
    parForEach: (...args) => parForEach(context, ...args),
    barrier: (timeout = BARRIER) => addon.barrier(context, timeout),
    critical: (func, timeout) => critical(context, func, timeout),
    single: (func) => single(context, func),
    master: (func) => (member === 0 ? func() : undefined),
    diag: (text) => console.log(`EMS${member}: ${text}`),
    tmStart,
    tmEnd,
  };
  ems.initialize = initialize;
  return { ems, context };
}

function initialize(...args) {
  return begin(...args).ems;
}

module.exports = { initialize, begin, serve };
