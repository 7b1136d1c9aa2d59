"""The list of what the binary consists of: its shape by SPDX 2.3, and that nothing is left out."""

import json
import os
import re
import subprocess
import unittest
from pathlib import Path

BINARY = Path(os.environ["SURVEYD_BIN"]).resolve()
PROJECT = Path(__file__).resolve().parents[2]
IDENTIFIER = re.compile(r"SPDXRef-[A-Za-z0-9.-]+")
RELATIONS = {"DESCRIBES", "DYNAMIC_LINK", "STATIC_LINK", "DEPENDS_ON", "BUILD_DEPENDENCY_OF"}
LICENCES = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "MIT", "Zlib",
    *(f"{name}-{which}" for name in ("GPL-2.0", "GPL-3.0", "LGPL-2.0", "LGPL-2.1", "LGPL-3.0")
      for which in ("only", "or-later"))}


def run(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


class Sbom(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = run(PROJECT / "scripts/sbom", BINARY.parent)
        cls.document = json.loads(cls.text)
        cls.packages = {one["name"]: one for one in cls.document["packages"]}

    def related(self, *kinds):
        names = {one["SPDXID"]: one["name"] for one in self.document["packages"]}
        return {names[end] for one in self.document["relationships"]
                if one["relationshipType"] in kinds
                for end in (one["spdxElementId"], one["relatedSpdxElement"])
                if names.get(end, "surveyd") != "surveyd"}

    def test_is_a_document_of_spdx_2_3(self):
        document = self.document
        self.assertEqual((document["spdxVersion"], document["dataLicense"], document["SPDXID"]),
                         ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"))
        self.assertRegex(document["documentNamespace"], r"^[a-z][a-z0-9+.-]*:[^#]+$")
        self.assertRegex(document["creationInfo"]["created"],
                         r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        for creator in document["creationInfo"]["creators"]:
            self.assertRegex(creator, r"^(Tool|Organization|Person): \S")

    def test_gives_every_package_what_spdx_asks_for(self):
        for name, package in self.packages.items():
            with self.subTest(name):
                self.assertRegex(package["SPDXID"], IDENTIFIER)
                self.assertTrue(package["versionInfo"])
                self.assertEqual(package["downloadLocation"], "NOASSERTION")
                self.assertIs(package["filesAnalyzed"], False)
                for reference in package.get("externalRefs", []):
                    self.assertEqual(reference["referenceCategory"], "PACKAGE-MANAGER")
                    self.assertRegex(reference["referenceLocator"], r"^pkg:deb/debian/[^@\s]+@\S+$")
        identifiers = [one["SPDXID"] for one in self.packages.values()]
        self.assertEqual(len(identifiers), len(set(identifiers)))
        self.assertEqual(len(self.packages), len(self.document["packages"]))

    def test_relates_what_is_there(self):
        known = {one["SPDXID"] for one in self.packages.values()} | {"SPDXRef-DOCUMENT"}
        related = set()
        for one in self.document["relationships"]:
            self.assertIn(one["relationshipType"], RELATIONS)
            ends = {one["spdxElementId"], one["relatedSpdxElement"]}
            self.assertLessEqual(ends, known)
            related |= ends
        self.assertEqual(related, known)

    def test_names_licences_of_spdx_or_gives_their_text(self):
        texts = {one["licenseId"]: one["extractedText"]
                 for one in self.document["hasExtractedLicensingInfos"]}
        self.assertTrue(all(texts.values()))
        used = set()
        for name, package in self.packages.items():
            if name == "surveyd":
                continue
            terms = re.split(r" (?:AND|OR) ", package["licenseDeclared"])
            self.assertLessEqual(set(terms), LICENCES | set(texts), name)
            used |= set(terms)
        self.assertLessEqual(set(texts), used)
        expected = {"libboost1.81-dev": "BSL-1.0", "nlohmann-json3-dev": "MIT",
                    "libcli11-dev": "BSD-3-Clause", "libsystemd0": "LGPL-2.1-or-later"}
        for name, licence in expected.items():
            self.assertEqual(self.packages[name]["licenseDeclared"], licence)

    def test_has_the_version_that_is_installed(self):
        for name, package in self.packages.items():
            if name != "surveyd":
                installed = run("dpkg-query", "-W", "-f", "${Version}\n", name).splitlines()
                self.assertIn(package["versionInfo"], installed)

    def test_leaves_no_library_out(self):
        names = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-dW", BINARY))
        self.assertGreaterEqual(len(names), 6)
        packages = self.related("DYNAMIC_LINK")
        for line in run("ldd", BINARY).splitlines():
            if not (match := re.match(r"\s*(\S+) => (/\S+)", line)):
                continue
            path = os.path.realpath(match[2])
            owners = subprocess.run(["dpkg-query", "-S", path, path.removeprefix("/usr")], text=True,
                                    capture_output=True).stdout
            owner = owners.split(":")[0]
            self.assertIn(owner, packages if match[1] in names else self.packages, line)

    def test_knows_what_is_compiled_in(self):
        # Nothing of these is loaded: they are headers, or code that is linked in.
        self.assertLessEqual({"libboost1.81-dev", "nlohmann-json3-dev", "libcli11-dev",
                              "libspdlog-dev", "libstdc++-12-dev"},
                             self.related("BUILD_DEPENDENCY_OF"))
        self.assertLessEqual({"libgcc-12-dev", "libc6-dev"}, self.related("STATIC_LINK"))

    def test_is_the_same_for_the_same_binary(self):
        self.assertEqual(self.text, run(PROJECT / "scripts/sbom", BINARY.parent))


if __name__ == "__main__":
    unittest.main()
