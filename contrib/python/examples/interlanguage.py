#!/usr/bin/env python3
"""interlanguage.py: the half of a conversation that is held in Python; contrib/node/examples/interlanguage.js is the other.

    interlanguage.py [HEAP]

Start both, in any order. They share one heap, and wait for each other by its elements' tags alone.
"""

import sys

import ems

ROUNDS = 1000


def main():
    client = ems.connect()
    heap = client.heap(sys.argv[1] if len(sys.argv) > 1 else "~/interlanguage", elements=100, map=True, initial_tag="empty",
                       until_detached=True)

    # A question, which is a dict here; read_fe waits for it.
    question = heap.read_fe("question")
    print(f"python: node asks me: {question['text']}", flush=True)
    heap.write_ef("answer", {"sum": sum(question["numbers"]), "language": "python"})

    # Both add to one number at the same time.
    for _ in range(ROUNDS):
        heap.faa("count", 1)
    heap.write_ef("python has counted", True)
    heap.read_fe("node has counted")
    print(f"python: we have counted to {heap.read('count')}", flush=True)

    # A poem goes line by line; an empty line is its end.
    for line in ("Tyger Tyger, burning bright,", "In the forests of the night;", ""):
        heap.enqueue(line)

    # Both change two things at once, again and again; whoever looks sees ten apples.
    for _ in range(ROUNDS):
        with ems.transaction([(heap, "apples")]) as transaction:
            apples = transaction[0]
            if apples["python"] > 0:
                transaction[0] = {"node": apples["node"] + 1, "python": apples["python"] - 1}
    heap.write_ef("python has given", True)
    heap.read_fe("node has given")
    apples = heap.read("apples")
    print(f"python: together we have {apples['node'] + apples['python']} apples", flush=True)
    print(f"python: node says {heap.read_fe('bye')!r}", flush=True)


if __name__ == "__main__":
    main()
