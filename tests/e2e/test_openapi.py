"""GET /openapi.json describes what the daemon does: its routes, and its answers."""

import json
import os
import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import Daemon, DaemonCase  # noqa: E402
from openapi import METHODS, Description, validator  # noqa: E402

PROJECT = Path(__file__).resolve().parents[2]
ENDPOINT = re.compile(
    r"""Endpoint\{\.method\ =\ verb::(\w+?)_?,\s*\.pattern\ =\ "([^"]+)"
        (?:,\s*\.restricted\ =\ true)?(?:,\s*\.parameter\ =\ "(\w+)")?""",
    re.VERBOSE,
)
OF_SUBJECT = re.compile(r'of_subject\("([^"]+)"')
# What the page consists of besides itself is nobody's interface.
PAGE_FILES = {"/style.css", "/app.js", "/icon.svg"}
CONTAINER = f"surveyd-openapi-{os.getpid()}"
IDS = {"/findings/{id}": "is_root", "/cgroups/containers/{id}": CONTAINER}
PROBLEM = {"$ref": "#/components/schemas/Problem"}


def source(path):
    return (PROJECT / path).read_text(encoding="utf-8")


def sources_of_http():
    files = (PROJECT / "src/http").glob("*.cpp")
    return "".join(path.read_text(encoding="utf-8") for path in files)


def enumerators(path, name):
    """The names of an enum of a public header; the documents use the same."""
    body = re.search(rf"enum class {name} {{(.*?)}};", source(path), re.DOTALL)[1]
    return re.findall(r"\w+", re.sub(r"//.*", "", body))


def endpoints():
    """(method, path, query parameter or "") of each in the router's table."""
    text = source("src/http/router.cpp")
    found = [(method.upper(), path, name) for method, path, name in ENDPOINT.findall(text)]
    assert len(found) == text.count("Endpoint{"), "an endpoint is written in another way"
    return found + [("GET", path, "pid") for path in OF_SUBJECT.findall(text)]


class DescriptionCase(DaemonCase):
    @classmethod
    def make_daemon(cls):
        cls.storage = Path(cls.directory) / "storage"
        cls.storage.mkdir()
        arguments = ("--interval", "3600", "--cgroup-name", CONTAINER, "--storage", cls.storage)
        return Daemon(*map(str, arguments), unix_socket=cls.socket_path)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.description = Description(cls.daemon)
        cls.document = cls.description.document
        cls.schemas = cls.document["components"]["schemas"]

    def request(self, method, path, query="", body=None, one=None):
        target = path.replace("{id}", one or IDS.get(path, ""))
        return self.daemon.request(method, target + query, body=body)

    def assert_described(self, method, path, answer):
        self.assertEqual(self.description.faults(method, path, answer), [], answer.body)


class Document(DescriptionCase):
    def test_it_is_openapi_3_1_of_this_version(self):
        self.assertRegex(self.document["openapi"], r"^3\.1\.\d+$")
        [build] = self.daemon.metrics().label_sets("surveyd_build_info")
        self.assertEqual(self.document["info"]["version"], build["version"])

    def test_every_reference_leads_somewhere_and_nothing_is_left_over(self):
        references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(self.document)))
        components = {
            f"#/components/{kind}/{name}"
            for kind, named in self.document["components"].items()
            for name in named
            if kind != "securitySchemes"
        }
        self.assertEqual(references, components)

    def test_the_schemas_are_schemas(self):
        for name, schema in self.schemas.items():
            with self.subTest(name):
                validator(schema).check_schema(schema)

    def test_operations_have_names_of_their_own(self):
        names = [
            item[method]["operationId"]
            for item in self.document["paths"].values()
            for method in METHODS
            if method in item and method != "head"
        ]
        self.assertEqual(len(names), len(set(names)))


class Routes(DescriptionCase):
    def test_they_are_those_of_the_router(self):
        routes = {(method, path) for method, path, _ in endpoints() if path not in PAGE_FILES}
        routes |= {("HEAD", path) for method, path in routes if method == "GET"}
        self.assertEqual(set(self.description.operations()), routes)

    def test_query_parameters_are_those_of_the_router(self):
        described = {
            (path, name)
            for path in self.document["paths"]
            for name in self.description.parameters(path, "query")
        }
        self.assertEqual(described, {(path, name) for _, path, name in endpoints() if name})

    def test_a_path_takes_the_methods_that_are_described(self):
        for path in self.document["paths"]:
            with self.subTest(path):
                answer = self.request("PATCH", path)
                self.assertEqual(answer.status, 405)
                described = {method for method, of in self.description.operations() if of == path}
                self.assertEqual(set(answer.header("Allow").split(", ")), described)

    def test_every_operation_is_answered(self):
        for method, path in self.description.operations():
            with self.subTest(f"{method} {path}"):
                # A change is not made: its body is wrong.
                body = b'{"": 0}' if method in ("POST", "DELETE") else None
                answer = self.request(method, path, body=body)
                self.assertNotIn(answer.status, (404, 405, 500))
                if method != "HEAD":
                    self.assert_described(method, path, answer)

    def test_head_is_described_as_get_is(self):
        for method, path in self.description.operations():
            if method == "HEAD":
                with self.subTest(path):
                    described = {"default": {"$ref": "#/components/responses/AsGet"}}
                    self.assertEqual(self.description.responses(method, path), described)

    def test_what_has_a_tag_is_said(self):
        for method, path in self.description.operations():
            if method != "GET":
                continue
            with self.subTest(path):
                tag = self.request(method, path).header("ETag")
                responses = self.description.responses(method, path)
                success = self.description.resolve(responses["200"])
                knows = "If-None-Match" in self.description.parameters(path, "header")
                said = ("ETag" in success.get("headers", {}), "304" in responses, knows)
                self.assertEqual(said, (tag is not None,) * 3)


class ClosedSets(DescriptionCase):
    def test_modes_statuses_and_bases_are_those_of_the_code(self):
        for schema, path, name in (
            (self.schemas["Mode"], "include/surveyd/mode.hpp", "Mode"),
            (self.schemas["Status"], "include/surveyd/finding.hpp", "Status"),
            (
                self.schemas["Finding"]["properties"]["basis"],
                "include/surveyd/finding.hpp",
                "Basis",
            ),
        ):
            with self.subTest(name):
                self.assertEqual(sorted(schema["enum"]), sorted(enumerators(path, name)))

    def test_reason_codes_are_those_of_the_code(self):
        codes = re.findall(r"(?m)^REASON\((\w+),", source("include/surveyd/reason_codes.def"))
        self.assertEqual(self.schemas["ReasonCode"]["enum"], codes)

    def test_problems_are_those_of_the_code(self):
        text = sources_of_http()
        pairs = re.findall(r'\bproblem\(\s*(\d{3}),\s*"([a-z0-9-]+)"', text)
        pairs += re.findall(r'return \{(\d{3}), "([a-z0-9-]+)"\};', text)
        written = re.findall(r"(?<=urn:surveyd:problem:)[a-z0-9-]+", text)
        names = {name for _, name in pairs} | set(written)
        properties = self.schemas["Problem"]["properties"]
        self.assertEqual(
            sorted(properties["type"]["enum"]),
            sorted(f"urn:surveyd:problem:{name}" for name in names),
        )
        self.assertEqual(properties["status"]["enum"], sorted({int(status) for status, _ in pairs}))

    def test_reasons_of_controllers_are_those_of_the_code(self):
        ensured = self.description.responses("POST", "/cgroups/ensure")["200"]["content"]
        schema = ensured["application/json"]["schema"]["properties"]["controllers"]
        refused = schema["additionalProperties"]["oneOf"][1]["properties"]["reason"]["enum"]
        text = source("src/cgroup/ensure.cpp")
        reason_of = re.search(r"reason_of\(const Error& error\) \{(.*?)\n\}", text, re.DOTALL)[1]
        reasons = {*re.findall(r'return "(\w+)"', reason_of)}
        reasons |= {*re.findall(r'record\(\w+, \w+, "(\w+)"', text)}
        self.assertEqual(sorted(refused), sorted(reasons))


class Answers(DescriptionCase):
    def assert_answer(self, status, method, path, *arguments, **named):
        answer = self.request(method, path, *arguments, **named)
        self.assertEqual(answer.status, status, answer.body)
        self.assert_described(method, path, answer)
        return answer.json()

    def test_reads_are_as_described(self):
        for path in (
            "/capabilities",
            "/findings",
            "/findings/{id}",
            "/changes",
            "/healthz",
            "/readyz",
            "/api/v1/daemon/capabilities",
            "/openapi.json",
        ):
            with self.subTest(path):
                self.assert_answer(200, "GET", path)

    def test_every_finding_alone_is_as_described(self):
        for finding in self.daemon.request("GET", "/findings").json()["findings"]:
            with self.subTest(finding["id"]):
                self.assert_answer(200, "GET", "/findings/{id}", one=finding["id"])

    def test_answers_about_another_process_are_as_described(self):
        query = f"?pid={os.getpid()}"
        for path in ("/capabilities", "/findings", "/findings/{id}"):
            with self.subTest(path):
                self.assert_answer(200, "GET", path, query)
                self.assert_answer(404, "GET", path, "?pid=4194304")
                self.assert_answer(400, "GET", path, "?pid=0")

    def test_a_survey_and_what_it_changes_are_as_described(self):
        self.storage.rmdir()
        self.assert_answer(200, "POST", "/survey")
        self.assertTrue(self.assert_answer(200, "GET", "/changes")["changes"])

    def test_refusals_are_as_described(self):
        container = "/cgroups/containers/{id}"
        for status, method, path, named in (
            (400, "GET", "/capabilities", {"query": "?colour=red"}),
            (400, "GET", "/", {"query": "?colour=red"}),
            (404, "GET", "/findings/{id}", {"one": "nothing"}),
            (400, "POST", "/survey", {"body": b"{"}),
            (400, "POST", "/cgroups/ensure", {"body": b'{"placement": 1}'}),
            (400, "DELETE", container, {"one": "memory.max"}),
            (400, "DELETE", container, {"query": "?force=1"}),
        ):
            with self.subTest(f"{status} {method} {path}"):
                self.assert_answer(status, method, path, **named)

    def test_a_browser_is_refused_as_described(self):
        answer = self.daemon.request("POST", "/survey", {"Origin": "http://localhost"})
        self.assertEqual(answer.status, 403)
        self.assert_described("POST", "/survey", answer)

    def test_what_is_no_operation_is_a_problem_too(self):
        for status, method, target in (
            (404, "GET", "/nothing"),
            (405, "POST", "/capabilities"),
            (501, "BREW", "/capabilities"),
        ):
            with self.subTest(f"{method} {target}"):
                answer = self.daemon.request(method, target)
                self.assertEqual(answer.status, status)
                self.assertEqual(self.description.faults_of(PROBLEM, answer.json()), [])

    def test_ids_of_containers_are_those_that_are_taken(self):
        [parameter] = self.document["paths"]["/cgroups/containers/{id}"]["parameters"][:1]
        pattern = re.compile(parameter["schema"]["pattern"])
        for one in ("a", "0", "A.b_c-d", "a" * 128, "cpu", "cpux.max", "cgroups.x"):
            with self.subTest(one):
                self.assertTrue(pattern.search(one))
                answer = self.request("DELETE", "/cgroups/containers/{id}", one=one)
                self.assertNotEqual(answer.status, 400)
        for one in ("", ".", "..", "-a", "a" * 129, "a/b", "cpu.max", "cgroup.", "perf_event.x"):
            with self.subTest(one):
                self.assertFalse(pattern.search(one))
                answer = self.daemon.request("DELETE", f"/cgroups/containers/{one}")
                self.assert_problem(answer, 400, "invalid-container-id")

    def test_what_is_not_described_is_a_fault(self):
        good = self.daemon.capabilities()
        schema = {"$ref": "#/components/schemas/Capabilities"}
        self.assertEqual(self.description.faults_of(schema, good), [])
        without = {name: value for name, value in good.items() if name != "rootfs"}
        deeper = {**good, "survey": {**good["survey"], "more": 1}}
        for bad in ({**good, "more": 1}, {**good, "is_root": 1}, without, deeper):
            self.assertEqual(len(self.description.faults_of(schema, bad)), 1)


if __name__ == "__main__":
    unittest.main()
