"""What is laid over the root directory of a guest of tests/vm/micro."""

import compileall
import os
import py_compile
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from unittest import SkipTest

from in_guest import libraries_of

SAY_IMPORTED = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
for module in list(sys.modules.values()):
    if getattr(module, "__file__", None):
        print(module.__file__)
"""
# Busybox's shell would rather run its own programs than those of PATH.
SHELL = "sh"


class GuestRoot:
    """Files of this machine where they are here, and /job, which runs the tests that the kernel's
    argument `tests` names, separated by commas."""

    def __init__(self, directory, environment):
        self._root = Path(directory)
        self._exports = [f"export {name}={value}" for name, value in environment.items()]
        self.add_program(SHELL)

    def add_program(self, name, place=None):
        path = shutil.which(name)
        if path is None:
            raise SkipTest(f"{name} is not installed")
        self.add_binary(path, place)

    def add(self, path, place=None, ignore=None):
        """A file or a directory, there where it is here unless `place` says otherwise."""
        target = self._root / str(place or path).lstrip("/")
        if Path(path).is_dir():
            shutil.copytree(path, target, dirs_exist_ok=True, ignore=ignore)
        elif not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)

    def add_binary(self, path, place=None):
        """With the shared libraries that it needs."""
        self.add(path, place)
        for library in libraries_of(path):
            self.add(library)

    def add_tests(self, directories, modules):
        """`modules` of tests, and of the interpreter that runs this what they import."""
        python = Path(sys.executable).resolve()
        library = Path(sysconfig.get_path("stdlib"))
        self.add_binary(python)
        found = subprocess.run(
            [python, "-S", "-c", SAY_IMPORTED, "in_guest", *modules],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, directories))},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.splitlines()
        for path in map(Path, found):
            if path.is_relative_to(library):
                self._add_of_library(library, path)
        sources = shutil.ignore_patterns("__pycache__", "*.[ch]pp")
        for directory in directories:
            self.add(directory, f"/tests/{directory.name}", sources)
        # Here, because an emulated processor takes seconds for it.
        compileall.compile_dir(
            self._root / "tests",
            quiet=1,
            stripdir=self._root,
            prependdir="/",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        path = ":".join(f"/tests/{directory.name}" for directory in directories)
        self._write_job(f'PYTHONPATH={path} exec {python} -B -S -m in_guest "$tests"')

    def _add_of_library(self, library, path):
        if path.suffix == ".so":
            self.add_binary(path)
            return
        # Whole packages: what is imported late is there as well.
        top = library / path.relative_to(library).parts[0]
        self.add(top, ignore=shutil.ignore_patterns("test", "*.opt-?.pyc"))
        compiled = library / "__pycache__" / f"{top.stem}.{sys.implementation.cache_tag}.pyc"
        if compiled.exists():
            self.add(compiled)

    def _write_job(self, command):
        job = self._root / "job"
        job.write_text("\n".join(["#!/bin/sh", *self._exports, command, ""]), encoding="utf-8")
        job.chmod(0o755)
