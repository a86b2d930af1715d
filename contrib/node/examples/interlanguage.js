#!/usr/bin/env node
'use strict';
// interlanguage.js: the half of a conversation that is held in JavaScript; contrib/python/examples/interlanguage.py is the other.
//
//     interlanguage.js [HEAP]
//
// Start both, in any order. They share one heap, and wait for each other by its elements' tags alone.
const { connect } = require('ems');

const ROUNDS = 1000;
const client = connect();
const heap = client.heap(process.argv[2] ?? '~/interlanguage', { elements: 100, map: true, empty: true, untilDetached: true });

async function main() {
  // A question, as an object. Python takes it when it comes, and its answer ends our wait, which blocks nothing.
  heap.writeXF('count', 0);
  heap.writeXF('apples', { node: 10, python: 0 });
  heap.writeEF('question', { text: 'what is the sum?', numbers: [1, 2.5, 2 ** 53 - 1] });
  const { sum, language } = await heap.readFEAsync('answer');
  console.log(`node: ${language} says that the sum is ${sum}`);

  // Both add to one number at the same time.
  for (let i = 0; i < ROUNDS; i++) heap.faa('count', 1);
  heap.writeEF('node has counted', true);
  await heap.readFEAsync('python has counted');
  console.log(`node: we have counted to ${heap.read('count')}`);

  // A poem comes line by line; an empty line is its end.
  for (let line; (line = await heap.dequeueAsync()) !== '';) console.log(`node: I was sent "${line}"`);

  // Both change two things at once, again and again; whoever looks sees ten apples.
  for (let i = 0; i < ROUNDS; i++) {
    client.transact([[heap, 'apples']], (transaction) => {
      const { node, python } = transaction.read(0);
      transaction.write(0, node > 0 ? { node: node - 1, python: python + 1 } : { node, python });
    });
  }
  heap.writeEF('node has given', true);
  await heap.readFEAsync('python has given');
  const { node, python } = heap.read('apples');
  console.log(`node: together we have ${node + python} apples`);
  heap.writeEF('bye', Buffer.from([0, 255]));
}

main().finally(() => client.close());
