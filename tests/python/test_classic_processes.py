"""bsp, fj and user: scripts of EMS 1.6, each run as a program."""

import os
import select
import subprocess
import sys
import tempfile
import unittest

import ems

# Lines that several processes print stay whole.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}

STANDARD = """
import ems, sys
ems.initialize(int(sys.argv[2]), False, sys.argv[1], "standard" + sys.argv[3])
base = 1000
def region(offset, text="default"):
    global array, total
    array = ems.new({"dimensions": [10, 10], "doDataFill": True, "dataFill": 0, "useMap": False})
    names = ems.new({"dimensions": [100], "heapSize": [10000], "useMap": True, "doSetFEtags": True, "setFEtags": "empty"})
    for schedule in ("guided", "dynamic", "static"):
        ems.parForEach(0, 100, lambda index: array.faa(index, 1), schedule, 3)
    assert [array.read(index) for index in range(100)] == [3] * 100
    ems.barrier()
    def one_more():
        array.write([1, 1], array.read([1, 1]) + 1)
        return ems.myID
    for _ in range(10):
        assert ems.critical(one_more) == ems.myID
    assert ems.barrier() > 0
    assert array.read(11) == 3 + 10 * ems.nThreads, array.read(11)
    if ems.myID == 0:
        names.writeEF("news", [offset + base, text])
    assert names.readFF("news") == [1005, "given"]
    ems.single(lambda: array.push("single"))
    assert array.read(0) == 3
    total = ems.nThreads
    ems.barrier()
    handle = ems.tmStart([[array, 50], [array, [1, 5]], [array, 0, True]])
    array.write(50, array.read(50) + 1)
    array.write([1, 5], array.read([1, 5]) + 1)
    ems.tmEnd(handle, True)
    handle = ems.tmStart([[array, 50]])
    array.write(50, "aborted")
    ems.tmEnd(handle, False)
    ems.barrier()
    assert (array.readFF(50), array.readFF(51)) == (3 + ems.nThreads,) * 2
ems.parallel(region, 5, "given")
def later():
    assert total == ems.nThreads
    ems.master(ems.diag, "in the second region")
    ems.barrier()
    assert (array.pop(), array.read(0)) in (("single", 3), (None, 3))
ems.parallel(later)
print("end of", ems.myID, flush=True)
"""


class Scripts(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "script.py")

    def start(self, text, *args):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)
        process = subprocess.Popen([sys.executable, self.path, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.PIPE, text=True, env=ENVIRONMENT)
        for close in (process.stdin.close, process.stderr.close, process.stdout.close, process.wait, process.kill):
            self.addCleanup(close)
        return process

    def run_script(self, text, *args):
        process = self.start(text, *args)
        out, err = process.communicate(timeout=100)
        return process.returncode, out, err

    def test_standard(self):
        for kind in ("bsp", "fj", "user"):
            for count in (1, 2, 5):
                status, out, err = self.run_script(STANDARD, kind, count, f"{os.getpid()}{kind}{count}")
                self.assertEqual((status, err), (0, ""), (kind, count, out))
                self.assertIn("EMStask 0: in the second region", out)
                ends = sorted(line for line in out.splitlines() if line.startswith("end"))
                self.assertEqual(ends, [f"end of {one}" for one in range(count if kind == "bsp" else 1)])

    def test_eight(self):
        for kind in ("bsp", "fj"):
            status, out, err = self.run_script(STANDARD, kind, 8, f"{os.getpid()}{kind}8")
            self.assertEqual((status, err), (0, ""), (kind, out))

    def test_what_a_region_can_use(self):
        status, out, err = self.run_script("""
import ems, math as m
from os.path import join
ems.initialize(3, False, "fj")
factor = 2
class Point:
    pass
def helper(n):
    return n if n == 0 else helper(n - 1) + factor
def outer(closed):
    def region(a, *, b=helper(1)):
        global kept, count
        kept = (closed, a, b, helper(3), m.floor(2.5), join("a", "b"), ems.nThreads)
        count = ems.myID
    return region
ems.parallel(outer([1]), {"k": None})
shared = ems.new(10)
def check():
    assert kept == ([1], {"k": None}, 2, 6, 2, "a/b", 3), kept
    assert count == ems.myID
    mine = ems.new(10)
    mine.faa(0, 0)
ems.parallel(check)
def helper(n):
    return "another"
ems.parallel(lambda: print(helper(1), flush=True))
try:
    ems.parallel(print, lambda: 1, open("/dev/null"))
except TypeError:
    print("refused")
ems.parallel(lambda: ems.parallel(lambda: print("nested", flush=True)))
""")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(sorted(out.split()), ["another"] * 3 + ["nested"] * 3 + ["refused"])

    def test_barrier_that_expires(self):
        for kind in ("bsp", "fj"):
            status, out, err = self.run_script("""
import ems, sys
ems.initialize(2, False, sys.argv[1])
def region():
    if ems.myID == 0:
        assert ems.barrier(0) == 0
        assert ems.barrier(10) == 0
        print("expired", flush=True)
        tag.writeEF(0, 1)
    else:
        tag.readFF(0)
    assert ems.barrier()
def before():
    global tag
    tag = ems.new({"dimensions": [1], "doSetFEtags": True, "setFEtags": "empty"})
ems.parallel(before)
ems.parallel(region)
""", kind)
            self.assertEqual((status, out, err), (0, "expired\n", ""))

    DYING = """
import ems, os, signal, sys
ems.initialize(3, False, sys.argv[1])
def region():
    if ems.myID == 2:
        if sys.argv[2] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif sys.argv[2] == "exit":
            sys.exit(3)
        elif sys.argv[2] == "raise":
            raise KeyError("of a member")
        elif sys.argv[2] == "section":
            ems.critical(lambda: os.kill(os.getpid(), signal.SIGKILL))
    if sys.argv[2] == "section":
        ems.critical(lambda: None)
    try:
        ems.barrier(60000)
    except ems.BrokenError:
        print("broken", flush=True)
ems.parallel(region)
"""

    def test_a_member_that_dies(self):
        for kind in ("bsp", "fj"):
            for how in ("kill", "raise", "section"):
                status, out, err = self.run_script(self.DYING, kind, how)
                self.assertNotEqual(status, 0, (kind, how, out, err))
                self.assertIn("broken", out, (kind, how, err))
                if how == "raise":
                    self.assertIn("of a member", err)

    def test_a_parent_that_raises(self):
        for kind in ("bsp", "fj"):
            status, out, err = self.run_script("""
import ems, sys
ems.initialize(3, False, sys.argv[1])
if ems.myID == 0:
    raise KeyError("of the parent")
ems.new({"dimensions": [1], "doSetFEtags": True, "setFEtags": "empty"}).readFF(0)
""", kind)
            self.assertEqual(status, 1)
            self.assertIn("of the parent", err)

    def test_members_die_with_a_killed_parent(self):
        for kind in ("bsp", "fj"):
            process = self.start("""
import ems, os, sys
ems.initialize(3, False, sys.argv[1])
def region():
    print(os.getpid(), flush=True)
    if ems.myID:
        tag.readFE(0)
    else:
        sys.stdin.read()
def before():
    global tag
    tag = ems.new({"dimensions": [1], "doSetFEtags": True, "setFEtags": "empty"})
ems.parallel(before)
ems.parallel(region)
""", kind)
            pids = {int(process.stdout.readline()) for _ in range(3)}
            self.assertEqual(len(pids), 3)
            handles = [os.pidfd_open(pid) for pid in pids - {process.pid}]
            process.kill()
            process.wait()
            for handle in handles:
                # Readable when the process is gone.
                self.assertTrue(select.select([handle], [], [], 60)[0])
                os.close(handle)

    def test_a_script_in_bsp_that_was_started_otherwise(self):
        for command in (["-c", "import ems; ems.initialize(2); ems.barrier(); print('end')"],):
            done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60,
                                  stdin=subprocess.DEVNULL, env=ENVIRONMENT)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "end\nend\n", ""))

    def test_two_runs_of_one_script_do_not_meet(self):
        processes = [self.start(STANDARD, "bsp", 2, f"{os.getpid()}same") for _ in range(2)]
        for process in processes:
            out, err = process.communicate(timeout=100)
            self.assertEqual((process.returncode, err), (0, ""))
