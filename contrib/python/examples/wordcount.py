#!/usr/bin/env python3
"""wordcount.py: several processes count the words of all files in a folder, in one shared heap.

    wordcount.py [-n PROCESSES] [--top N] FOLDER|FILE…

A word is a longest run of the letters A-Z and a-z, in lower case. Each word is a key of the heap, and each one that is met is an
atomic addition to its count; the names of the files are in the heap's queue, from which each process takes the next. A file whose
process dies is taken by another (a lease), but then counted from its beginning, so what was counted of it is kept apart
until the file is done.
"""

import argparse
import collections
import multiprocessing
import os
import re
import sys

import ems

WORD = re.compile(rb"[A-Za-z]+")


def files_of(paths):
    for path in paths:
        if os.path.isdir(path):
            for folder, _, names in sorted(os.walk(path)):
                yield from (os.path.join(folder, name) for name in sorted(names))
        else:
            yield path


def count_file(words, path):
    with open(path, "rb") as file:
        counts = collections.Counter(word.lower().decode() for word in WORD.findall(file.read()))
    for word, count in counts.items():
        words.compare_set(word, None, 0)  # a new key is there with 0, once
        words.faa(word, count)
    return sum(counts.values())


def work(words, total):
    while True:
        try:
            lease = total.dequeue_lease()
        except ems.EmptyError:
            return
        with lease:
            total.faa(0, count_file(words, lease.value))


def main():
    parser = argparse.ArgumentParser(description="count words with several processes")
    parser.add_argument("-n", type=int, default=os.cpu_count(), metavar="PROCESSES")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="how many words to print; 0: all")
    parser.add_argument("paths", nargs="+", metavar="FOLDER|FILE")
    options = parser.parse_args()

    client = ems.connect()
    paths = list(files_of(options.paths))
    words = client.heap(f"wordcount/{os.getpid()}/words", elements=10_000_000, map=True, until_detached=True)
    total = client.heap(f"wordcount/{os.getpid()}/files", elements=max(len(paths), 1), until_detached=True)
    total.write(0, 0)
    for path in paths:
        total.enqueue(path)
    workers = [multiprocessing.Process(target=work, args=(words, total)) for _ in range(options.n)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    if total.queue_length():
        sys.exit(f"{total.queue_length()} files were not counted: all processes have ended")

    counts = sorted(words.items(), key=lambda item: (-item[1], item[0]))
    for word, count in counts[:options.top or None]:
        print(f"{count:8} {word}")
    print(f"{total.read(0)} words, {len(counts)} different, in {len(paths)} files, by {options.n} processes", file=sys.stderr)
    if any(one.exitcode for one in workers):
        sys.exit("a process has failed")


if __name__ == "__main__":
    main()
