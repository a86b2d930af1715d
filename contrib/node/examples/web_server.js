#!/usr/bin/env node
'use strict';
// web_server.js: a key-value store with HTTP; several processes serve one heap.
//
//     web_server.js [-n PROCESSES] [--port PORT] [--heap NAME]
//
//     GET /KEY        200 and the value, or 404            PUT /KEY        stores the body: 204
//     POST /KEY       adds the number in the body: 200 and the number before
//     DELETE /KEY     204, or 404                          GET /           the keys, one a line
//
// All processes accept on the same socket, and all see every change at once, as the data is in memory that they share: there is no
// process that owns it. One that dies takes along its connections, and no data; another is started in its place. X-Worker in an answer
// is the process that gave it. Ctrl-C ends them.
const cluster = require('cluster');
const http = require('http');
const os = require('os');
const { parseArgs } = require('util');
const { connect } = require('ems');

const { values } = parseArgs({
  options: {
    n: { type: 'string', short: 'n', default: String(os.cpus().length) },
    port: { type: 'string', default: '8080' },
    heap: { type: 'string', default: '~/web' },
  },
});

function answer(heap, method, key, body) {
  const missing = [404, 'there is no such key\n'];
  switch (method) {
    case 'GET': {
      if (key === '') return [200, [...heap].map(([one]) => `${one}\n`).join('')];
      const value = heap.read(key);
      return value === undefined ? missing : [200, String(value)];
    }
    case 'PUT':
      heap.write(key, body);
      return [204, ''];
    case 'POST':
      if (!/^[+-]?\d{1,15}$/.test(body)) return [400, 'that is no number\n'];
      heap.cas(key, undefined, 0); // a new key is there with 0, once
      return [200, String(heap.faa(key, Number(body)))];
    case 'DELETE':
      return heap.delete(key) ? [204, ''] : missing;
    default:
      return [405, 'GET, PUT, POST and DELETE\n'];
  }
}

function work() {
  const heap = connect().heap(values.heap);
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      let status;
      let text;
      try {
        [status, text] = answer(heap, request.method, decodeURIComponent(request.url.slice(1)), Buffer.concat(parts).toString());
      } catch (error) {
        [status, text] = [error instanceof URIError ? 400 : 507, `${error.message}\n`];
      }
      response.writeHead(status, { 'X-Worker': process.pid, ...(status !== 204 && { 'Content-Length': Buffer.byteLength(text) }) });
      response.end(text);
    });
  });
  server.listen(Number(values.port), '127.0.0.1', 512);
}

function main() {
  const heap = connect().heap(values.heap, { map: true }); // kept, so that it is there for who comes later
  let ending = false;
  let waiting = Number(values.n);
  cluster.schedulingPolicy = cluster.SCHED_NONE; // whoever is free accepts
  cluster.on('listening', (worker, { port }) => {
    if (--waiting === 0) console.log(`http://127.0.0.1:${port}/ by ${values.n} processes`);
  });
  cluster.on('exit', () => {
    if (!ending) cluster.fork();
    else if (!Object.keys(cluster.workers).length) heap.close();
  });
  for (let n = Number(values.n); n > 0; n--) cluster.fork();
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      ending = true;
      for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGTERM');
    });
  }
}

if (cluster.isPrimary) main();
else work();
