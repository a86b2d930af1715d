'use strict';
// The examples do what they say.
const test = require('node:test');
const assert = require('node:assert');
const fs = require('fs');
const http = require('http');
const path = require('path');
const { once } = require('events');
const { spawn, spawnSync } = require('child_process');

const TOP = path.join(__dirname, '..', '..');
const example = (name) => path.join(TOP, 'contrib', 'node', 'examples', name);
const python = process.env.EMS_PYTHON;

function run(name, ...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [example(name), ...args.map(String)], { encoding: 'utf8' });
  assert.strictEqual(status, 0, stderr);
  return { lines: stdout.trimEnd().split('\n'), stderr };
}

test('word count', () => {
  const folder = path.join(TOP, 'doc');
  const expected = new Map();
  let [sum, files] = [0, 0];
  const visit = (one) => {
    if (fs.statSync(one).isDirectory()) return fs.readdirSync(one).forEach((name) => visit(path.join(one, name)));
    files++;
    for (const word of fs.readFileSync(one, 'latin1').toLowerCase().split(/[^a-z]+/)) {
      if (word) expected.set(word, (expected.get(word) ?? 0) + 1);
      sum += word !== '';
    }
  };
  visit(folder);
  for (const processes of [1, 3]) {
    const { lines, stderr } = run('wordcount.js', '-n', processes, '--top', 0, folder);
    assert.deepStrictEqual(new Map(lines.map((line) => line.trim().split(' ').reverse()).map(([word, count]) => [word, +count])),
      new Map(expected));
    assert.strictEqual(stderr, `${sum} words, ${expected.size} different, in ${files} files, by ${processes} processes\n`);
  }
});

test('work queue', () => {
  for (const options of [[], ['--kill']]) {
    assert.deepStrictEqual(run('work_queue.js', '--orders', 800, '--accounts', 10, ...options).lines,
      ['800 of 800 orders carried out; the accounts hold 10000']);
  }
});

test('stream', () => {
  const { lines } = run('stream.js', '--elements', 2000, '--rounds', 2);
  assert.deepStrictEqual(lines.slice(2).map((line) => line.split(' ')[0]), ['copy', 'scale', 'add', 'triad']);
});

// Everything that a process writes, and its end.
async function ended(child) {
  const texts = [child.stdout, child.stderr].map(async (stream) => {
    let text = '';
    for await (const part of stream.setEncoding('utf8')) text += part;
    return text;
  });
  const [status] = await once(child, 'exit');
  return [status, ...await Promise.all(texts)];
}

test('a conversation with Python', { skip: python ? false : 'no Python here' }, async () => {
  const script = path.join(TOP, 'contrib', 'python', 'examples', 'interlanguage.py');
  const stdio = ['ignore', 'pipe', 'pipe'];
  const both = [spawn(process.execPath, [example('interlanguage.js'), 'examples/both'], { stdio }),
    spawn(python, [script, 'examples/both'], { stdio })];
  const [here, there] = await Promise.all(both.map(ended));
  assert.deepStrictEqual(here, [0, [
    'node: python says that the sum is 9007199254740994', 'node: we have counted to 2000',
    'node: I was sent "Tyger Tyger, burning bright,"', 'node: I was sent "In the forests of the night;"',
    'node: together we have 10 apples', ''].join('\n'), '']);
  assert.deepStrictEqual(there, [0, [
    'python: node asks me: what is the sum?', 'python: we have counted to 2000', 'python: together we have 10 apples',
    "python: node says b'\\x00\\xff'", ''].join('\n'), '']);
});

// A web server of three processes while the function runs, which gets its port.
async function served(heap, func) {
  const server = spawn(process.execPath, [example('web_server.js'), '-n', '3', '--port', '0', '--heap', heap],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  const end = once(server, 'exit');
  try {
    let line = '';
    for await (const part of server.stdout.setEncoding('utf8')) if ((line += part).endsWith('\n')) break;
    await func(Number(/:(\d+)\//.exec(line)[1]));
  } finally {
    server.kill('SIGTERM');
    assert.deepStrictEqual(await end, [0, null]);
  }
}

// → { status, text, worker }, or undefined when the connection broke.
function request(agent, port, method, url, body = '') {
  return new Promise((resolve, reject) => {
    const one = http.request({ agent, port, host: '127.0.0.1', method, path: url }, async (response) => {
      let text = '';
      try {
        for await (const part of response.setEncoding('utf8')) text += part;
        resolve({ status: response.statusCode, text, worker: Number(response.headers['x-worker']) });
      } catch {
        resolve(undefined);
      }
    });
    one.on('error', (error) => (['ECONNRESET', 'EPIPE', 'ECONNREFUSED'].includes(error.code) ? resolve(undefined) : reject(error)));
    one.end(body);
  });
}

test('web server', async () => {
  const agent = new http.Agent({ keepAlive: true });
  await served('examples/web', async (port) => {
    const missing = { status: 404, text: 'there is no such key\n' };
    for (const [args, expected] of [
      [['PUT', '/k%20%C3%BC', 'vü'], { status: 204, text: '' }], [['GET', '/k%20%C3%BC'], { status: 200, text: 'vü' }],
      [['GET', '/none'], missing], [['DELETE', '/none'], missing], [['GET', '/%ff'], { status: 400, text: 'URI malformed\n' }],
      [['POST', '/n', 'x'], { status: 400, text: 'that is no number\n' }], [['POST', '/n', '5'], { status: 200, text: '0' }],
      [['POST', '/n', '1'], { status: 200, text: '5' }], [['GET', '/n'], { status: 200, text: '6' }],
      [['DELETE', '/k%20%C3%BC'], { status: 204, text: '' }], [['GET', '/'], { status: 200, text: 'n\n' }],
    ]) {
      const { worker, ...rest } = await request(agent, port, ...args);
      assert.deepStrictEqual(rest, expected, args.join(' '));
      assert.ok(worker > 0);
    }
  });
  agent.destroy();
});

test('web server, one of its processes killed under load', async () => {
  await served('examples/load', async (port) => {
    const workers = new Map();
    const answers = [];
    let [killed, unanswered] = [false, 0];

    // The process that has answered a hundred times is killed.
    const seen = (worker) => {
      workers.set(worker, (workers.get(worker) ?? 0) + 1);
      if (killed || workers.get(worker) < 100) return;
      process.kill(worker, 'SIGKILL');
      killed = true;
    };
    // Requests until some were made after the kill. What had no answer may have been done; writing it again changes nothing.
    const load = async (one) => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      let number = 0;
      for (let after = 0; after < 40; after += killed) {
        const added = await request(agent, port, 'POST', '/hits', '1');
        if (added) {
          assert.strictEqual(added.status, 200, added.text);
          answers.push(Number(added.text));
          seen(added.worker);
        } else {
          unanswered++;
        }
        let put;
        while (!put) put = await request(agent, port, 'PUT', `/${one}-${number}`, `${one}.${number}`);
        assert.strictEqual(put.status, 204, put.text);
        number++;
      }
      return [agent, number];
    };
    const results = await Promise.all(Array.from({ length: 8 }, (_, one) => load(one)));

    // Each answer is counted once; of those that did not come, each at most once.
    const total = Number((await request(undefined, port, 'GET', '/hits')).text);
    assert.strictEqual(new Set(answers).size, answers.length);
    assert.ok(answers.length <= total && total <= answers.length + unanswered, `${answers.length} ${total} ${unanswered}`);
    for (const [one, [agent, numbers]] of results.entries()) {
      for (let n = 0; n < numbers; n++) assert.strictEqual((await request(agent, port, 'GET', `/${one}-${n}`)).text, `${one}.${n}`);
      agent.destroy();
    }
  });
});
