"""The copying of matrix.h in Python."""

import sys

import ems

source_stage, target_stage, count, keys = *sys.argv[2:4], *map(int, sys.argv[4:6])
client = ems.connect()


def both(operation):
    return (client.heap(f"matrix/{stage}/{operation}", "open") for stage in (source_stage, target_stage))


source, target = both("write")
for i in range(count):
    target.write(i, source.read(i))
source, target = both("full")
for i in range(count):
    target.write_xf(i, source.read_ff(i))
source, target = both("empty")
for i in range(count):
    value = source.read_fe(i)
    target.write_ef(i, value)
    source.write_ef(i, value)
source, target = both("lease")
for i in range(count):
    lease = source.read_fe_lease(i)
    target.write_xf(i, lease.value)
    lease.put(lease.value)
source, target = both("queue_lease")
for i in range(count):
    with source.dequeue_lease() as lease:
        target.enqueue(lease.value)
source, target = both("queue")
for i in range(count):
    target.enqueue(source.dequeue())
source, target = both("stack")
for i in range(count):
    target.push(source.pop())
source, target = both("swap")
for i in range(count):
    target.write(count + i, target.swap(i, source.read(i)))
source, target = both("cas")
for i in range(count):
    target.write(count + i, target.cas(i, source.read(i), source.read((i + 1) % count)))
source, target = both("faa")
for i in range(count):
    try:
        old = target.faa(i, source.read(i))
    except ems.Error as error:
        old = error.name
    target.write(count + i, old)
source, target = both("transaction")
for i in range(count):
    with ems.transaction([(source, i, True), (target, i)]) as transaction:
        transaction[1] = transaction[0]
source, target = both("map")
names = client.heap("matrix/keys/values", "open")
for i in range(keys):
    key = names.read(i)
    target.write(key, source.read(key))
