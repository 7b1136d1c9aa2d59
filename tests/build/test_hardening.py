"""What the compiler and the linker made of the options for hardening, read from the binary."""

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

BINARY = os.environ["SURVEYD_BIN"]
PROJECT = Path(__file__).resolve().parents[2]


def readelf(*options, binary=BINARY):
    return subprocess.run(["readelf", *options, binary], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


class Hardening(unittest.TestCase):
    def test_is_loaded_at_a_random_address(self):
        self.assertRegex(readelf("-hW"), r"Type:\s+DYN \(Position-Independent Executable file\)")
        self.assertRegex(readelf("-dW"), r"FLAGS_1\).*\bPIE\b")

    def test_resolves_symbols_at_the_start_and_then_writes_to_no_table(self):
        self.assertRegex(readelf("-dW"), r"\(FLAGS_1\).*\bNOW\b")
        segments = readelf("-lW")
        self.assertRegex(segments, r"\n\s+GNU_RELRO\s")
        # With every symbol bound at the start, the whole table is in that segment.
        relro = re.search(r"\n\s+GNU_RELRO.*", segments).group().split()
        protected = range(int(relro[2], 16), int(relro[2], 16) + int(relro[5], 16))
        got = re.search(r"\s\.got\s+PROGBITS\s+(\w+)\s+\w+\s+(\w+)", readelf("-SW"))
        self.assertIn(int(got[1], 16), protected)
        self.assertIn(int(got[1], 16) + int(got[2], 16) - 1, protected)
        self.assertNotRegex(readelf("-SW"), r"\s\.got\.plt\s")

    def test_has_no_stack_that_can_be_executed_and_no_page_that_is_written_and_executed(self):
        segments = readelf("-lW")
        flags = re.search(r"\n\s+GNU_STACK(?:\s+0x\w+){5}\s+([RWE ]+?)\s+0x", segments)[1]
        self.assertEqual(flags, "RW")
        for one in re.findall(r"\n\s+LOAD(?:\s+0x\w+){5}\s+([RWE ]+?)\s+0x", segments):
            self.assertFalse("W" in one and "E" in one, segments)
        self.assertNotIn("TEXTREL", readelf("-dW"))

    def test_protects_the_stack(self):
        self.assertRegex(readelf("--dyn-syms", "-W"), r"UND __stack_chk_fail@")

    def test_checks_sizes_in_calls_of_the_c_library(self):
        checked = set(re.findall(r"UND (__\w+_chk)@", readelf("--dyn-syms", "-W")))
        expected = {"__memcpy_chk", "__vsnprintf_chk"}
        # The headers pass variable arguments on with __va_arg_pack, which only g++ has.
        if "clang" not in readelf("-p", ".comment"):
            expected |= {"__memmove_chk", "__snprintf_chk"}
        self.assertLessEqual(expected, checked)

    def test_checks_the_bounds_of_containers(self):
        self.assertRegex(readelf("--dyn-syms", "-W"), r"UND _ZSt\d+__glibcxx_assert_failPKc")

    def test_looks_for_libraries_where_the_system_has_them_only(self):
        self.assertNotRegex(readelf("-dW"), r"\((RPATH|RUNPATH)\)")

    def test_is_installed_without_a_search_path_too(self):
        build = Path(BINARY).parent
        with tempfile.TemporaryDirectory() as prefix:
            subprocess.run(["cmake", "--install", build, "--prefix", prefix], check=True,
                           stdout=subprocess.DEVNULL)
            installed = Path(prefix, "bin/surveyd")
            self.assertNotRegex(readelf("-dW", binary=installed), r"\((RPATH|RUNPATH)\)")
            self.assertEqual(installed.read_bytes(), Path(BINARY).read_bytes())

    def test_marks_where_indirect_calls_may_go(self):
        if os.uname().machine != "x86_64":
            self.skipTest("endbr64 is an instruction of x86-64")
        main = subprocess.run(["objdump", "-d", "--disassemble=main", BINARY], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        first = re.search(r"<main>:\n(.*)\n", main)[1]
        self.assertIn("endbr64", first)

    def test_names_no_directory_of_the_machine_that_built_it(self):
        self.assertNotIn(os.fsencode(PROJECT), Path(BINARY).read_bytes())


if __name__ == "__main__":
    unittest.main()
