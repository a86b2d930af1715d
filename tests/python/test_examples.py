"""The examples do what they say."""

import collections
import concurrent.futures
import http.client
import importlib.util
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

EXAMPLES = os.path.join(os.environ["top_srcdir"], "contrib", "python", "examples")
SEED = int(os.environ.get("EMS_TEST_SEED", "0"), 0) or random.randrange(1 << 31)


def run(name, *args):
    return subprocess.run([sys.executable, os.path.join(EXAMPLES, name), *map(str, args)], capture_output=True, text=True,
                          timeout=120, stdin=subprocess.DEVNULL)


class Examples(unittest.TestCase):
    def setUp(self):
        print(f"seed {SEED:#x} (EMS_TEST_SEED)", file=sys.stderr)
        self.random = random.Random(SEED)

    def test_word_count(self):
        words = ["".join(self.random.choices("abcDEF", k=self.random.randrange(1, 6))) for _ in range(300)]
        expected = collections.Counter()
        with tempfile.TemporaryDirectory() as folder:
            for path in ("a", "b", "sub/c", "empty"):
                path = os.path.join(folder, path)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                text = "" if path.endswith("empty") else "".join(
                    self.random.choice(words) + self.random.choice(" \n,.-1\xe9") for _ in range(3000))
                with open(path, "w", encoding="latin-1") as file:
                    file.write(text)
                expected.update(re.findall("[a-z]+", text.lower().replace("\xe9", " ")))
            for processes in (1, 3):
                done = run("wordcount.py", "-n", processes, "--top", 0, folder)
                self.assertEqual(done.returncode, 0, done.stderr)
                found = {word: int(count) for count, word in map(str.split, done.stdout.splitlines())}
                self.assertEqual(found, expected)
                self.assertIn(f"{sum(expected.values())} words, {len(expected)} different, in 4 files", done.stderr)

    def test_word_count_of_documents(self):
        folder = os.path.join(os.environ["top_srcdir"], "doc")
        expected = collections.Counter()
        for where, _, names in os.walk(folder):
            for name in names:
                with open(os.path.join(where, name), "rb") as file:
                    expected.update(re.findall("[a-z]+", re.sub("[^A-Za-z]", " ", file.read().decode("latin-1")).lower()))
        done = run("wordcount.py", "-n", 2, "--top", 3, folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        best = sorted(expected.items(), key=lambda item: (-item[1], item[0]))[:3]
        self.assertEqual([line.split() for line in done.stdout.splitlines()], [[str(count), word] for word, count in best])
        self.assertIn(f"{sum(expected.values())} words, {len(expected)} different", done.stderr)

    def test_work_queue(self):
        for options in ((), ("--kill",)):
            done = run("work_queue.py", "--orders", 800, "--accounts", 10, *options)
            self.assertEqual((done.returncode, done.stdout), (0, "800 of 800 orders carried out; the accounts hold 10000\n"),
                             done.stderr)

    def stream(self, *options):
        done = run("stream.py", "--elements", 2000, "--rounds", 2, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines[2:]], ["copy", "scale", "add", "triad"])
        return lines[0]

    def test_stream(self):
        self.assertEqual(self.stream("--plain"), "2000 doubles, without numpy")

    @unittest.skipUnless(importlib.util.find_spec("numpy"), "this Python has no numpy")
    def test_stream_with_numpy(self):
        self.assertEqual(self.stream(), "2000 doubles, with numpy")

    def request(self, port, requests):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        answers = []
        for method, path, body in requests:
            connection.request(method, path, body)
            answer = connection.getresponse()
            answers.append((answer.status, answer.read().decode()))
        connection.close()
        return answers

    def serve(self):
        """A web server of three processes: itself, and its port."""
        server = subprocess.Popen([sys.executable, os.path.join(EXAMPLES, "web_server.py"), "-n", "3", "--port", "0", "--heap",
                                   f"test/{self.id()}"], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.send_signal, signal.SIGTERM)
        return server, int(server.stdout.readline().split("/")[2].split(":")[1])

    def end(self, server):
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(60), 0)

    def test_web_server(self):
        server, port = self.serve()
        self.assertEqual(self.request(port, [("PUT", "/k%20%C3%BC", "v\u00fc".encode()), ("GET", "/k%20%C3%BC", None),
                                             ("GET", "/none", None), ("DELETE", "/none", None), ("POST", "/n", "x"),
                                             ("POST", "/n", "5"), ("POST", "/n", "1"), ("DELETE", "/k%20%C3%BC", None)]),
                         [(204, ""), (200, "v\u00fc"), (404, "there is no such key\n"), (404, "there is no such key\n"),
                          (400, "invalid literal for int() with base 10: 'x'\n"), (200, "0"), (200, "5"), (204, "")])
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda one: self.request(port, [("POST", "/hits", "1")] * 50 + [("PUT", f"/{one}", str(one)),
                                                                                                   ("GET", f"/{one}", None)]),
                                    range(8)))
        self.assertEqual(sorted(int(text) for one in answers for _, text in one[:50]), list(range(400)))
        self.assertEqual([one[51] for one in answers], [(200, str(one)) for one in range(8)])
        self.assertEqual(self.request(port, [("GET", "/hits", None)]), [(200, "400")])
        self.assertEqual(sorted(self.request(port, [("GET", "/", None)])[0][1].split()), sorted([*"01234567", "hits", "n"]))
        self.end(server)

    def load(self, port, one, killed, seen):
        """Requests until some were made after the kill: the answers to additions, and how many had none. A connection breaks when
        its process is killed; what is written is then written again, as that changes nothing if it had been."""
        answers, unanswered, connection, number, after = [], 0, None, 0, 0
        while after < 40:
            after += killed.is_set()
            number += 1
            for method, path, body in (("POST", "/hits", "1"), ("PUT", f"/{one}-{number}", f"{one}.{number}")):
                while True:
                    connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=120)
                    try:
                        connection.request(method, path, body)
                        answer = connection.getresponse()
                        text = answer.read().decode()
                    except (http.client.HTTPException, ConnectionError):
                        connection.close()
                        connection = None
                        unanswered += method == "POST"
                    else:
                        seen(int(answer.headers["X-Worker"]))
                        self.assertEqual(answer.status, 200 if method == "POST" else 204, text)
                        answers += [int(text)] if method == "POST" else []
                    if connection or method == "POST":
                        break
        connection.close()
        return answers, unanswered, number

    def test_web_server_with_a_killed_process(self):
        server, port = self.serve()
        killed, workers, lock = threading.Event(), collections.Counter(), threading.Lock()

        def seen(worker):
            """Kills the process that has answered a hundred times."""
            with lock:
                workers[worker] += 1
                if workers[worker] == 100 and not killed.is_set():
                    os.kill(worker, signal.SIGKILL)
                    killed.set()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda one: self.load(port, one, killed, seen), range(8)))
        answers = sorted(answer for one, _, _ in results for answer in one)
        unanswered = sum(one for _, one, _ in results)
        (_, total), = self.request(port, [("GET", "/hits", None)])
        # Each answer counted once; of those that did not come, each at most once.
        self.assertEqual(len(set(answers)), len(answers))
        self.assertTrue(len(answers) <= int(total) <= len(answers) + unanswered, (len(answers), total, unanswered))
        for one, (_, _, number) in enumerate(results):
            self.assertEqual(self.request(port, [("GET", f"/{one}-{n + 1}", None) for n in range(number)]),
                             [(200, f"{one}.{n + 1}") for n in range(number)])
        self.end(server)
