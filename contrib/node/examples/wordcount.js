#!/usr/bin/env node
'use strict';
// wordcount.js: several processes count the words of all files in a folder, in one shared heap.
//
//     wordcount.js [-n PROCESSES] [--top N] FOLDER|FILE…
//
// A word is a longest run of the letters A-Z and a-z, in lower case. Each word is a key of the heap, and its count grows by atomic
// additions. The names of the files are in a heap's queue, from which each process leases the next one.
const fs = require('fs');
const os = require('os');
const path = require('path');
const { fork } = require('child_process');
const { parseArgs } = require('util');
const { connect } = require('ems');

function* filesOf(paths) {
  for (const one of paths) {
    if (fs.statSync(one).isDirectory()) yield* filesOf(fs.readdirSync(one).sort().map((name) => path.join(one, name)));
    else yield one;
  }
}

function countFile(words, file) {
  const counts = new Map();
  let sum = 0;
  for (const [word] of fs.readFileSync(file, 'latin1').matchAll(/[A-Za-z]+/g)) {
    const key = word.toLowerCase();
    counts.set(key, (counts.get(key) ?? 0) + 1);
    sum++;
  }
  for (const [word, count] of counts) {
    words.cas(word, undefined, 0); // a new key is there with 0, once
    words.faa(word, count);
  }
  return sum;
}

function work(prefix) {
  const client = connect();
  const words = client.heap(`${prefix}/words`);
  const files = client.heap(`${prefix}/files`);
  for (let lease; (lease = files.dequeueLease());) {
    files.faa(0, countFile(words, lease.value));
    lease.keep();
  }
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { n: { type: 'string', short: 'n', default: String(os.cpus().length) }, top: { type: 'string', default: '20' } },
  });
  if (!positionals.length) throw new Error('usage: wordcount.js [-n PROCESSES] [--top N] FOLDER|FILE…');

  const prefix = `wordcount/${process.pid}`;
  const client = connect();
  const words = client.heap(`${prefix}/words`, { elements: 10_000_000, map: true, untilDetached: true });
  const paths = [...filesOf(positionals)];
  const files = client.heap(`${prefix}/files`, { elements: Math.max(paths.length, 1), untilDetached: true });
  files.write(0, 0);
  for (const one of paths) files.enqueue(one);

  const workers = Array.from({ length: Number(values.n) }, () => fork(__filename, ['--work', prefix]));
  const codes = await Promise.all(workers.map((one) => new Promise((resolve) => one.on('exit', resolve))));
  if (codes.some((code) => code !== 0) || files.queueLength()) throw new Error('not all files were counted');

  const counts = [...words].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  for (const [word, count] of counts.slice(0, Number(values.top) || undefined)) {
    console.log(`${String(count).padStart(8)} ${word}`);
  }
  console.error(`${files.read(0)} words, ${counts.length} different, in ${paths.length} files, by ${workers.length} processes`);
}

if (process.argv[2] === '--work') work(process.argv[3]);
else main();
