#!/usr/bin/env python3
"""stream.py: how fast memory is: copy, scale, add and triad, over private memory and over a region.

    stream.py [--elements N] [--rounds N] [--plain]

With numpy, if that is installed (and --plain is not given), an operation goes over the memory itself. Without it, slices of memoryviews are copied, and
numbers go through Python, which is then what is measured. Times are the best of all rounds; the last column is a ratio.
"""

import argparse
import array
import os
import sys
import time

import ems

try:
    import numpy
except ImportError:
    numpy = None


def with_numpy(a, b, c):
    a, b, c = (numpy.frombuffer(one) for one in (a, b, c))
    return {"copy": lambda: numpy.copyto(c, a), "scale": lambda: numpy.multiply(c, 3.0, out=b),
            "add": lambda: numpy.add(a, b, out=c), "triad": lambda: numpy.add(b, 3.0 * c, out=a)}


def without_numpy(a, b, c):
    a, b, c = (memoryview(one).cast("B").cast("d") for one in (a, b, c))

    def copy():
        c[:] = a

    def scale():
        b[:] = array.array("d", [3.0 * one for one in c])

    def add():
        c[:] = array.array("d", [one + two for one, two in zip(a, b)])

    def triad():
        a[:] = array.array("d", [one + 3.0 * two for one, two in zip(b, c)])
    return {"copy": copy, "scale": scale, "add": add, "triad": triad}


def best(function, rounds):
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def main():
    parser = argparse.ArgumentParser(description="the speed of memory")
    parser.add_argument("--elements", type=int, help="default: 10 million with numpy, else 500,000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plain", action="store_true", help="without numpy")
    options = parser.parse_args()

    use_numpy = numpy is not None and not options.plain
    make = with_numpy if use_numpy else without_numpy
    options.elements = options.elements or (10_000_000 if use_numpy else 500_000)
    private = [array.array("d", [value]) * options.elements for value in (1.0, 2.0, 0.0)]
    with ems.connect() as client:
        region = client.region(f"stream/{os.getpid()}", how="create", size=24 * options.elements, populate=True,
                               until_detached=True)
        view, part = region.view(), 8 * options.elements
        shared = [view[one * part:(one + 1) * part] for one in range(3)]
        for one, other in zip(shared, private):
            one.cast("d")[:] = other
        print(f"{options.elements} doubles, {'with' if use_numpy else 'without'} numpy")
        print(f"{'':8}{'private GB/s':>14}{'region GB/s':>14}{'ratio':>8}")
        here, there = make(*private), make(*shared)
        for name, arrays in (("copy", 2), ("scale", 2), ("add", 3), ("triad", 3)):
            one, other = best(here[name], options.rounds), best(there[name], options.rounds)
            size = arrays * part / 1e9
            print(f"{name:8}{size / one:14.2f}{size / other:14.2f}{one / other:8.2f}")
        if [bytes(one) for one in shared] != [one.tobytes() for one in private]:
            sys.exit("the results differ")


if __name__ == "__main__":
    main()
