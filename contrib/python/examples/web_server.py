#!/usr/bin/env python3
"""web_server.py: a key-value store with HTTP; several processes serve one heap.

    web_server.py [-n PROCESSES] [--port PORT] [--heap NAME]

    GET /KEY        200 and the value, or 404            PUT /KEY        stores the body: 204
    POST /KEY       adds the number in the body: 200 and the number before
    DELETE /KEY     204, or 404                          GET /           the keys, one a line

All processes accept on the same socket, and all see every change at once, as the data is in memory that they share: there is no
process that owns it. Ctrl-C ends them.
"""

import argparse
import http.server
import multiprocessing
import os
import signal
import socket
import socketserver
import sys
import urllib.parse

import ems


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    heap = None

    def key(self):
        return urllib.parse.unquote(self.path[1:])

    def answer(self, status, text=""):
        data = text.encode()
        self.send_response(status)
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


def work(listener, heap):
    Handler.heap = heap
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        Server(listener).serve_forever()
    except KeyboardInterrupt:
        pass


def main():
    parser = argparse.ArgumentParser(description="a key-value store with HTTP")
    parser.add_argument("-n", type=int, default=os.cpu_count(), metavar="PROCESSES")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--heap", default="~/web", metavar="NAME")
    options = parser.parse_args()

    heap = ems.connect().heap(options.heap, map=True)
    listener = socket.create_server(("127.0.0.1", options.port), backlog=512)
    listener.setblocking(False)  # several wait for one connection
    workers = [multiprocessing.Process(target=work, args=(listener, heap)) for _ in range(options.n)]
    for one in workers:
        one.start()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/ by {options.n} processes", flush=True)

    def end(*_):
        for one in workers:
            one.terminate()

    signal.signal(signal.SIGTERM, end)
    try:
        for one in workers:
            one.join()
    except KeyboardInterrupt:
        end()


if __name__ == "__main__":
    main()
