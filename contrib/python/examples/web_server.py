#!/usr/bin/env python3
"""web_server.py: a key-value store with HTTP; several processes serve one heap.

    web_server.py [-n PROCESSES] [--port PORT] [--heap NAME]

    GET /KEY        200 and the value, or 404            PUT /KEY        stores the body: 204
    POST /KEY       adds the number in the body: 200 and the number before
    DELETE /KEY     204, or 404                          GET /           the keys, one a line

All processes accept on the same socket, and all see every change at once, as the data is in memory that they share: there is no
process that owns it. One that dies takes along its connections, and no data; another is started in its place. X-Worker in an
answer is the process that gave it. Ctrl-C ends them.
"""

import argparse
import http.server
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import socketserver
import sys
import urllib.parse

import ems


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet
    heap = None

    def key(self):
        return urllib.parse.unquote(self.path[1:])

    def answer(self, status, text=""):
        data = text.encode()
        self.send_response(status)
        self.send_header("X-Worker", str(os.getpid()))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()

    def serve(self, function):
        try:
            function()
        except (UnicodeError, ValueError) as error:
            self.answer(400, f"{error}\n")
        except KeyError:
            self.answer(404, "there is no such key\n")
        except ems.Error as error:
            self.answer(507, f"{error}\n")

    def get(self):
        if self.path == "/":
            return self.answer(200, "".join(f"{key}\n" for key in self.heap))
        value = self.heap.read(self.key())
        if value is None:
            raise KeyError
        self.answer(200, str(value))

    def put(self):
        self.heap.write(self.key(), self.body())
        self.answer(204)

    def add(self):
        number = int(self.body())
        self.heap.compare_set(self.key(), None, 0)
        self.answer(200, str(self.heap.faa(self.key(), number)))

    def delete(self):
        self.heap.delete(self.key())
        self.answer(204)

    def do_GET(self):
        self.serve(self.get)

    def do_PUT(self):
        self.serve(self.put)

    def do_POST(self):
        self.serve(self.add)

    def do_DELETE(self):
        self.serve(self.delete)

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self, listener):
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener


SIGNALS = signal.SIGTERM, signal.SIGINT


def work(listener, heap):
    Handler.heap = heap
    for one in SIGNALS:
        signal.signal(one, lambda *_: sys.exit())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    Server(listener).serve_forever()


def start(listener, heap):
    worker = multiprocessing.Process(target=work, args=(listener, heap))
    worker.start()
    return worker


def supervise(workers, begin):
    """Until a signal comes: another worker in place of one that has ended. Signals are blocked but for the waiting."""
    def end(*_):
        raise KeyboardInterrupt

    for one in SIGNALS:
        signal.signal(one, end)
    try:
        while True:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            multiprocessing.connection.wait([one.sentinel for one in workers])
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            for number, one in enumerate(workers):
                if not one.is_alive():
                    one.join()
                    workers[number] = begin()
    except KeyboardInterrupt:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for one in workers:
        one.terminate()
        one.join()


def main():
    parser = argparse.ArgumentParser(description="a key-value store with HTTP")
    parser.add_argument("-n", type=int, default=os.cpu_count(), metavar="PROCESSES")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--heap", default="~/web", metavar="NAME")
    options = parser.parse_args()

    heap = ems.connect().heap(options.heap, map=True)
    listener = socket.create_server(("127.0.0.1", options.port), backlog=512)
    listener.setblocking(False)  # several wait for one connection
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # of the workers as well, until they are ready for them
    workers = [start(listener, heap) for _ in range(options.n)]
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/ by {options.n} processes", flush=True)
    supervise(workers, lambda: start(listener, heap))


if __name__ == "__main__":
    main()
