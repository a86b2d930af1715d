"""Teams: of threads here, of processes where somebody dies."""

import subprocess
import sys
import threading

import ems
from support import Case, Thread


class Teams(Case):
    def together(self, size, function, **options):
        name = self.name()

        def member():
            with self.client.team(name, size, **options) as team:
                return function(team)

        threads = [Thread(member) for _ in range(size)]
        return [one.get() for one in threads]

    def test_from_the_environment(self):
        done = subprocess.run(["emsctl", "run", "-n", "3", sys.executable, "-c", """if True:
            import ems
            client = ems.connect()
            with client.team_from_environment(timeout=100) as team:
                heap = client.heap("test/environment", elements=4, fill=0)
                for number in team.loop(0, 100):
                    heap.faa(0, number)
                for _ in range(100):
                    with team.critical():
                        heap.write(1, heap.read(1) + 1)
                heap.faa(2, team.single())
                heap.faa(3, 10 ** team.member)
                team.barrier()
                assert (team.size, [heap.read(one) for one in range(4)]) == (3, [4950, 300, 1, 111])
                team.barrier()
                if team.is_master:
                    heap.drop()
            """], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_a_team_of_one(self):
        with self.client.team_from_environment() as team:
            self.assertEqual((team.member, team.size, team.count, team.is_master, team.single()), (0, 1, 1, True, True))
            team.barrier()
            with team.critical():
                self.assertEqual(list(team.loop(3, 6)), [3, 4, 5])

    def test_members(self):
        def work(team):
            team.barrier()
            found = team.member, team.size, team.count, team.is_master
            team.barrier()
            return found

        self.assertEqual(sorted(self.together(3, work)),
                         [(0, 3, 3, True), (1, 3, 3, False), (2, 3, 3, False)])

    def test_single(self):
        def work(team):
            mine = [team.single(timeout=60) for _ in range(5)]
            team.barrier(timeout=60)
            return sum(mine)

        self.assertEqual(sum(self.together(3, work)), 5)

    def test_critical(self):
        heap = self.heap()
        heap[0] = 0

        def work(team):
            for _ in range(100):
                with team.critical("c") as owner_died:
                    assert not owner_died
                    heap.write(0, heap.read(0) + 1)
            with team.critical():
                try:
                    team.critical_enter("critical", timeout=1)
                except ems.DeadlockError:
                    return True

        self.assertEqual(self.together(3, work), [True] * 3)
        self.assertEqual(heap.read(0), 300)

    def test_an_exception_leaves_the_section(self):
        def work(team):
            try:
                with team.critical("c"):
                    raise KeyError
            except KeyError:
                pass
            with team.critical("c", timeout=60):
                return True

        self.assertEqual(self.together(2, work), [True, True])

    def test_loops(self):
        for schedule, chunk in (("guided", 1), ("dynamic", 7), ("static", 1)):
            def work(team):
                mine = list(team.loop(-5, 1000, schedule=schedule, chunk=chunk))
                pieces = [one for first, last in team.chunks(0, 100, schedule, chunk) for one in range(first, last)]
                return mine, pieces

            results = self.together(3, work)
            self.assertEqual(sorted(one for mine, _ in results for one in mine), list(range(-5, 1000)))
            self.assertEqual(sorted(one for _, pieces in results for one in pieces), list(range(100)))

    def test_leaving_a_loop_early(self):
        def work(team):
            for one in team.loop(0, 10**12, schedule="dynamic"):
                break
            return list(team.loop(0, 4, schedule="static"))

        results = self.together(2, work)
        self.assertEqual(sorted(sum(results, [])), [0, 1, 2, 3])

    def test_timeouts(self):
        with self.assertRaises(TimeoutError):
            self.client.team(self.name(), 2, timeout=0.01)
        with self.assertRaises(TimeoutError):
            self.client.team(self.name(), 2, timeout=0)

        tried = threading.Event()

        def work(team):
            if not team.is_master:
                tried.wait()
            else:
                for timeout in (0, 0.01):
                    try:
                        team.barrier(timeout=timeout)
                    except TimeoutError:
                        continue
                    raise AssertionError("passed alone")
                tried.set()
            return team.barrier()

        self.together(2, work)

    def test_misuse(self):
        team = self.client.team(self.name(), 1)
        with self.assertRaises(ems.Error):
            Thread(team.leave).get()
        with self.assertRaises(ValueError):
            next(team.loop(0, 1, schedule="odd"))
        with self.assertRaises(ems.RangeError):
            self.client.team(self.name(), 0)
        self.assertEqual(team.deaths(), [])
        team.leave()
        team.leave()
        with self.assertRaises(ValueError):
            team.barrier()

    CHILD = """
import ems, sys
team = ems.connect().team(sys.argv[1], 2, member=1)
if sys.argv[2] == "section":
    team.critical_enter("c")
print("ready", flush=True)
if sys.argv[2] == "loop":
    for first, last in team.chunks(0, 100, "static"):
        print("took", flush=True)
        sys.stdin.read()
sys.stdin.read()
"""

    def with_victim(self, how):
        name = self.name()
        process = subprocess.Popen([sys.executable, "-c", self.CHILD, name, how], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        team = self.client.team(name, 2, member=0)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return team, process

    def test_a_death_breaks_the_barrier(self):
        team, process = self.with_victim("barrier")
        process.kill()
        with self.assertRaises(ems.BrokenError):
            team.barrier(timeout=60)
        self.assertEqual([(one["member"], one["pid"]) for one in team.deaths()], [(1, process.pid)])
        team.barrier(timeout=60)
        self.assertEqual(team.count, 1)

    def test_a_death_in_a_loop(self):
        team, process = self.with_victim("loop")
        loop = team.chunks(0, 100, "static")
        next(loop)
        self.assertEqual(process.stdout.readline(), "took\n")
        process.kill()
        with self.assertRaises(ems.BrokenError):
            list(loop)
        death = team.deaths()[0]
        self.assertEqual((death["first"], death["last"]), (50, 100))

    def test_a_death_in_a_section(self):
        team, process = self.with_victim("section")
        process.kill()
        with team.critical("c", timeout=60) as owner_died:
            self.assertTrue(owner_died)
