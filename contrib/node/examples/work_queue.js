#!/usr/bin/env node
'use strict';
// work_queue.js: orders move money between accounts; each is carried out once, whichever process is killed.
//
//     work_queue.js [-n PROCESSES] [--accounts N] [--orders N] [--kill]
//
// The orders are in the queue of a heap, and a process leases one at a time: if it dies, the order is in the queue again. One
// transaction moves the money and notes that the order is done; so an order that comes again is known, and none is half done. With
// --kill a worker is killed in mid-work. The end is a check: the sum of all accounts is what it was.
const { fork } = require('child_process');
const { parseArgs } = require('util');
const { connect } = require('ems');

const BALANCE = 1000;

function carryOut(client, accounts, done, order) {
  client.transact([[accounts, order.from], [accounts, order.to], [done, order.number]], (transaction) => {
    if (transaction.read(2)) return;
    const amount = Math.min(order.amount, transaction.read(0));
    transaction.write(0, transaction.read(0) - amount);
    transaction.write(1, transaction.read(1) + amount);
    transaction.write(2, true);
  });
}

// While others have leased orders these may come back.
function next(accounts) {
  for (;;) {
    const lease = accounts.dequeueLease();
    if (lease || !accounts.queueLength()) return lease;
    try {
      return accounts.dequeueLease(100);
    } catch (error) {
      if (error.code !== 'EMS_ETIMEOUT') throw error;
    }
  }
}

function work(prefix) {
  const client = connect();
  const accounts = client.heap(`${prefix}/accounts`);
  const done = client.heap(`${prefix}/done`);
  process.send('ready');
  for (let lease; (lease = next(accounts));) {
    carryOut(client, accounts, done, lease.value);
    lease.keep();
  }
  process.disconnect();
}

async function main() {
  const { values } = parseArgs({
    options: {
      n: { type: 'string', short: 'n', default: '3' },
      accounts: { type: 'string', default: '100' },
      orders: { type: 'string', default: '5000' },
      kill: { type: 'boolean', default: false },
    },
  });
  const [count, orders] = [Number(values.accounts), Number(values.orders)];
  const prefix = `work_queue/${process.pid}`;
  const client = connect();
  const accounts = client.heap(`${prefix}/accounts`, {
    elements: Math.max(count, orders), fill: BALANCE, untilDetached: true,
  });
  const done = client.heap(`${prefix}/done`, { elements: orders, untilDetached: true });
  for (let number = 0; number < orders; number++) {
    const from = Math.floor(Math.random() * count);
    const to = (from + 1 + Math.floor(Math.random() * (count - 1))) % count;
    accounts.enqueue({ number, from, to, amount: Math.floor(Math.random() * 500) });
  }

  const workers = Array.from({ length: Number(values.n) }, () => fork(__filename, ['--work', prefix]));
  if (values.kill) workers[0].on('message', () => workers[0].kill('SIGKILL')); // it has begun
  await Promise.all(workers.map((one) => new Promise((resolve) => one.on('exit', resolve))));

  let carriedOut = 0;
  let total = 0;
  for (let number = 0; number < orders; number++) carriedOut += done.read(number) === true;
  for (let number = 0; number < count; number++) total += accounts.read(number);
  console.log(`${carriedOut} of ${orders} orders carried out; the accounts hold ${total}`);
  if (carriedOut !== orders || total !== BALANCE * count) throw new Error('that is wrong');
}

if (process.argv[2] === '--work') work(process.argv[3]);
else main();
