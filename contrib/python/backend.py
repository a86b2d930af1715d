#!/usr/bin/env python3
"""backend.py: makes the wheel and the source package of ems, with Python and a C compiler alone.

It is what pip calls (PEP 517; see pyproject.toml) and what make calls:

    backend.py wheel VERSION DIRECTORY EXTENSION     of an extension that is built already
    backend.py sdist VERSION DIRECTORY

A source package is this folder, with the version in PKG-INFO, and the C sources where they are in the tree.
"""

import base64
import hashlib
import io
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE if (HERE / "contrib").is_dir() else HERE.parents[1]
PACKAGE = HERE / "src" / "ems"
C_FOLDERS = "contrib/python/native", "contrib/compat"  # the latter is shared with other bindings
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same files make the same archive


def version():
    """In a source package it is written down; in a checkout configure.ac has it."""
    info = HERE / "PKG-INFO"
    if info.exists():
        return re.search(r"^Version: (.+)$", info.read_text(), re.M).group(1)
    configure = ROOT / "configure.ac"
    return re.search(r"AC_INIT\(\[emsd\], \[([^]]+)\]\)", configure.read_text()).group(1)


def metadata(of):
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    return (f"Metadata-Version: 2.1\nName: ems\nVersion: {of}\n"
            "Summary: Named, typed shared memory: the Python face of emsd\nLicense: BSD-3-Clause\n"
            "Requires-Python: >=3.11\nDescription-Content-Type: text/markdown\n\n" + readme)


# ---- the extension ----

def c_files(pattern):
    return [one for folder in C_FOLDERS for one in sorted((ROOT / folder).glob(pattern))]


def pkg_config(*what):
    try:
        return shlex.split(subprocess.run(["pkg-config", *what, "ems"], check=True, capture_output=True,
                                          text=True).stdout)
    except (OSError, subprocess.CalledProcessError):
        return []


def compile_extension(target):
    """Against the installed libems: that of pkg-config, or of the compiler's own paths."""
    compiler = shlex.split(os.environ.get("CC") or "cc")
    libdir = pkg_config("--variable=libdir")
    command = [*compiler, "-std=gnu11", "-O2", "-fPIC", "-fvisibility=hidden", "-pthread", "-shared",
               *shlex.split(os.environ.get("CFLAGS", "")), "-isystem", sysconfig.get_path("include"), f"-I{ROOT}",
               *pkg_config("--cflags"), *map(str, c_files("*.c")), "-o", str(target),
               *shlex.split(os.environ.get("LDFLAGS", "")), *(pkg_config("--libs") or ["-lems"]),
               *(f"-Wl,--enable-new-dtags,-rpath,{one}" for one in libdir)]
    if subprocess.run(command).returncode != 0:
        raise SystemExit("ems: the extension was not compiled. It needs a C compiler, and libems with <ems.h>.")


# ---- wheels ----

def record_line(name, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def write_wheel(of, directory, extension):
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    tag = f"cp311-abi3-{platform}"
    info = f"ems-{of}.dist-info"
    files = [(f"ems/{one.name}", one.read_bytes()) for one in sorted(PACKAGE.iterdir()) if one.is_file()]
    files.append(("ems/_native.abi3.so", Path(extension).read_bytes()))
    files.append((f"{info}/METADATA", metadata(of).encode()))
    files.append((f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: ems\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()))
    record = "".join(record_line(*one) for one in files) + f"{info}/RECORD,,\n"
    files.append((f"{info}/RECORD", record.encode()))
    name = f"ems-{of}-{tag}.whl"
    with zipfile.ZipFile(Path(directory) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in files:
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.external_attr = (0o755 if path.endswith(".so") else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, data)
    return name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with tempfile.TemporaryDirectory() as folder:
        extension = Path(folder) / "_native.abi3.so"
        compile_extension(extension)
        return write_wheel(version(), wheel_directory, extension)


# ---- source packages ----

def source_files():
    yield "README.md", HERE / "README.md"
    yield "backend.py", HERE / "backend.py"
    yield "pyproject.toml", HERE / "pyproject.toml"
    for one in c_files("*.[ch]"):
        yield str(one.relative_to(ROOT)), one
    for one in sorted(PACKAGE.iterdir()):
        if one.is_file():
            yield f"src/ems/{one.name}", one


def write_sdist(of, directory):
    name = f"ems-{of}.tar.gz"

    def add(archive, path, data):
        entry = tarfile.TarInfo(f"ems-{of}/{path}")
        entry.size, entry.mode, entry.mtime = len(data), 0o644, 315532800
        archive.addfile(entry, io.BytesIO(data))

    with tarfile.open(Path(directory) / name, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        add(archive, "PKG-INFO", metadata(of).encode())
        for path, file in source_files():
            add(archive, path, file.read_bytes())
    return name


def build_sdist(sdist_directory, config_settings=None):
    return write_sdist(version(), sdist_directory)


def main(arguments):
    if len(arguments) == 4 and arguments[0] == "wheel":
        print(write_wheel(*arguments[1:]))
    elif len(arguments) == 3 and arguments[0] == "sdist":
        print(write_sdist(*arguments[1:]))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
