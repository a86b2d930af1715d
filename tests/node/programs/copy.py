"""Copies COUNT values from heap FROM to heap TO: by elements; by its queue; and adds to those of heap SUMS."""

import sys

import ems

count = int(sys.argv[4])
client = ems.connect()
source, target, sums = (client.heap(name, "open") for name in sys.argv[1:4])
for i in range(count):
    target.write_xf(i, source.read_ff(i))
for i in range(count):
    target.enqueue(source.dequeue())
sums.faa(0, 1)
sums.faa(1, 0.5)
sums.faa(2, "x")
sums.cas(3, 2**53 + 1, -(2**63))
