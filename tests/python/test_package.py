"""The wheel and the source package install offline; stubs and docstrings are complete."""

import ast
import builtins
import glob
import inspect
import os
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile

import ems

BUILD = os.path.join(os.environ["EMS_BUILD_DIR"], "contrib", "python")
PUBLIC = [name for name in ems.__all__ if isinstance(getattr(ems, name), type)]


class Stubs(unittest.TestCase):
    """What the stubs say is what there is, with the same parameters."""

    def stub(self, file):
        with open(os.path.join(os.path.dirname(ems.__file__), file), encoding="utf-8") as text:
            return ast.parse(text.read())

    def parameters(self, function):
        args = function.args
        return [one.arg for one in args.posonlyargs + args.args + args.kwonlyargs]

    def names(self, node):
        found = {}
        for one in node.body:
            if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found[one.name] = one
            elif isinstance(one, ast.AnnAssign):
                found[one.target.id] = one
        return found

    def compare(self, stub, real, where):
        if not isinstance(stub, (ast.FunctionDef, ast.AsyncFunctionDef)) or stub.decorator_list or stub.name.startswith("_"):
            return
        self.assertEqual(self.parameters(stub), list(inspect.signature(real).parameters), where)
        self.assertEqual(isinstance(stub, ast.AsyncFunctionDef), inspect.iscoroutinefunction(real), where)

    def test_modules(self):
        stubs = self.names(self.stub("__init__.pyi"))
        for name in ems.__all__:
            self.assertTrue(name in stubs or name in ems.errors.__all__, name)
        for name in stubs:
            self.assertTrue(hasattr(ems, name) or name in ("Key", "Value", "How", "Schedule", "Elements", "list_"), name)
        errors = self.names(self.stub("errors.pyi"))
        self.assertEqual(sorted(set(errors) - {"make"}), sorted(ems.errors.__all__))
        for name in ems.errors.__all__:
            self.assertEqual([ast.unparse(one).removeprefix("builtins.") for one in errors[name].bases],
                             [one.__name__ for one in getattr(ems, name).__bases__], name)

    def test_classes(self):
        stubs = self.names(self.stub("__init__.pyi"))
        for name in ("Client", "Heap", "Element", "Lease", "Transaction", "Region", "Counters", "Blocks", "Team"):
            real = getattr(ems, name)
            members = self.names(stubs[name])
            public = {one for one in vars(real) if not one.startswith("_")}
            self.assertEqual(public, {one for one in members if not one.startswith("_")}, name)
            for member, stub in members.items():
                if member not in ("__init__", "__buffer__"):  # slots
                    self.assertTrue(hasattr(real, member), f"{name}.{member}")
                    self.compare(stub, getattr(real, member), f"{name}.{member}")
        for name in ("connect", "snapshot", "transaction"):
            self.assertEqual(self.parameters(stubs[name]), list(inspect.signature(getattr(ems, name)).parameters), name)

    def test_the_interface_of_ems(self):
        stubs = self.names(self.stub("_classic.pyi"))
        for name in ("initialize", "parallel", "parForEach", "barrier", "critical", "master", "single", "diag", "new", "tmStart",
                     "tmEnd"):
            real = inspect.signature(getattr(ems, name)).parameters
            self.assertEqual(self.parameters(stubs[name]), [one for one in real if one != "args"], name)
            self.assertTrue(getattr(ems, name).__doc__, name)
        for name in ("Array", "ArrayElement"):
            real = getattr(ems._classic, name)
            self.assertEqual({one for one in vars(real) if not one.startswith("_")},
                             {one for one in self.names(stubs[name]) if not one.startswith("_")}, name)

    def test_everything_has_a_docstring(self):
        for name in ems.__all__:
            self.assertTrue(getattr(ems, name).__doc__, name)
        for name in PUBLIC:
            for member, value in vars(getattr(ems, name)).items():
                if not member.startswith("_") and not hasattr(builtins, member) and name not in ems.errors.__all__ + ["Json"]:
                    self.assertTrue(value.__doc__, f"{name}.{member}")


class Reference(unittest.TestCase):
    """doc/python.md has each function, with its parameters and the first sentence of its docstring."""

    KINDS = ("Client", "Heap", "Lease", "Transaction", "Region", "Counters", "Blocks", "Team")

    def entry(self, name, function):
        signature = str(inspect.signature(function)) if callable(function) else ""
        for beginning in ("self", "/"):
            signature = re.sub(rf"\({beginning}(, )?", "(", signature)
        sentence = re.split(r"(?<=[.:]) ", function.__doc__.split("\n\n")[0].replace("\n", " "))[0].rstrip(".:")
        return f"`{name}{signature}`  \n{sentence}.\n"

    def entries(self):
        for name in ("connect", "transaction", "snapshot"):
            yield self.entry("ems." + name, getattr(ems, name))
        for kind in self.KINDS:
            for name, value in vars(getattr(ems, kind)).items():
                if name.endswith("_async"):
                    yield f"`{name}`"
                elif not name.startswith("_"):
                    yield self.entry(name, value)

    def test_it_is_complete(self):
        with open(os.path.join(os.environ["top_srcdir"], "doc", "python.md"), encoding="utf-8") as file:
            text = file.read()
        missing = [one for one in self.entries() if one not in text]
        self.assertEqual(missing, [], "lacking in doc/python.md:\n" + "\n".join(missing))

    def test_the_tutorial_runs(self):
        """Its blocks, up to the one that starts processes, as one script; and that of Coming from EMS."""
        with open(os.path.join(os.environ["top_srcdir"], "doc", "python.md"), encoding="utf-8") as file:
            blocks = re.findall(r"```python\n(.*?)```", file.read(), re.S)
        with tempfile.TemporaryDirectory() as folder:
            for number, script in enumerate(("\n".join(blocks[:-1]), blocks[-1])):
                path = os.path.join(folder, f"script{number}.py")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(script)
                done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=120,
                                      stdin=subprocess.DEVNULL)
                self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
                if number == 1:
                    self.assertEqual(done.stdout, "499500\n")
                else:
                    for line in ("{'born': 1815}", "True ['ada']", "2", "hello", "[70, 130]", "job", "from the same loop"):
                        self.assertIn(line, done.stdout.splitlines())


class Abi(unittest.TestCase):
    def test_nothing_but_the_stable_one(self):
        """Debian's own list of the stable ABI is not at hand, but what is not in it has a leading underscore."""
        try:
            symbols = subprocess.run(["nm", "-D", "--undefined-only", os.path.join(BUILD, "ems", "_native.abi3.so")],
                                     capture_output=True, text=True, check=True).stdout.split()
        except FileNotFoundError:
            self.skipTest("no nm")
        private = [one for one in symbols if one.startswith("_Py") and not one.endswith("_SizeT") and one not in ("_Py_Dealloc", "_Py_NoneStruct",
                   "_Py_TrueStruct", "_Py_FalseStruct", "_Py_IncRef", "_Py_DecRef", "_Py_NegativeRefcount")]
        self.assertEqual(private, [])
        self.assertTrue(any(one.startswith("ems_heap_open") for one in symbols))


class Packages(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def run_it(self, *command, **variables):
        environment = {**os.environ, **variables}
        environment.pop("PYTHONPATH", None)
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=self.folder.name, timeout=250,
                              stdin=subprocess.DEVNULL)

    def only(self, pattern):
        found = glob.glob(os.path.join(BUILD, "dist", pattern))
        self.assertEqual(len(found), 1, found)
        return found[0]

    CODE = "import ems; h = ems.connect().heap('test/wheel', map=True, until_detached=True); h['k'] = 1; print(h.read('k'), ems.__file__)"

    def test_wheel_is_whole(self):
        with zipfile.ZipFile(self.only("*.whl")) as wheel:
            self.assertIsNone(wheel.testzip())
            names = wheel.namelist()
            info = os.path.basename(wheel.filename).split("-cp")[0] + ".dist-info"
            record = wheel.read(f"{info}/RECORD").decode().splitlines()
            self.assertEqual(sorted(line.rsplit(",", 2)[0] for line in record), sorted(names))
            self.assertIn("ems/py.typed", names)
            self.assertIn("cp311-abi3", wheel.read(f"{info}/WHEEL").decode())
            wheel.extractall(self.folder.name)
        environment = {**os.environ, "PYTHONPATH": self.folder.name}
        done = subprocess.run([sys.executable, "-c", self.CODE], capture_output=True, text=True, env=environment, timeout=60)
        self.assertEqual(done.stdout.split()[0], "1", done.stderr)
        self.assertIn(self.folder.name, done.stdout)

    @unittest.skipIf(os.environ.get("EMS_SANITIZERS", "no") != "no", "pip is slow, and leaks, under a sanitizer")
    def test_pip_installs_both_offline(self):
        if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode != 0:
            self.skipTest("this Python has no pip (Debian package python3-pip)")
        include = os.path.join(os.environ["EMS_DEVENV_DIR"], "include")
        for package in (self.only("*.whl"), self.only("*.tar.gz")):
            target = os.path.join(self.folder.name, os.path.basename(package))
            done = self.run_it(sys.executable, "-m", "pip", "install", "--no-index", "--disable-pip-version-check",
                               "--root-user-action=ignore", "--no-compile", "--target", target, package,
                               CFLAGS=f"-I{include} -O0", PKG_CONFIG_PATH="/nowhere", PKG_CONFIG_LIBDIR="/nowhere")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            environment = {**os.environ, "PYTHONPATH": target}
            done = subprocess.run([sys.executable, "-c", self.CODE], capture_output=True, text=True, env=environment, timeout=60)
            self.assertEqual(done.stdout.split()[0], "1", done.stderr)
            self.assertIn(target, done.stdout)
