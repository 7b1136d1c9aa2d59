"""The API description that the daemon serves, and whether its answers are as described."""

import unittest

try:
    from jsonschema import Draft202012Validator
except ImportError:
    Draft202012Validator = None

METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")


def validator(schema):
    """Skips a test that needs the library when it is not installed."""
    if Draft202012Validator is None:
        raise unittest.SkipTest("python3-jsonschema is not installed")
    return Draft202012Validator(schema)


def closed(node):
    """The same schemas, and no member that they do not name: clients have to live with additional
    ones, this project has to describe them."""
    if isinstance(node, list):
        return [closed(one) for one in node]
    if not isinstance(node, dict):
        return node
    rest = {"additionalProperties": False} if "properties" in node else {}
    return rest | {name: closed(value) for name, value in node.items()}


class Description:
    def __init__(self, daemon):
        self.document = daemon.request("GET", "/openapi.json").json()
        self.paths = self.document["paths"]
        self._components = closed(self.document["components"])

    def operations(self):
        """(method, path) of each."""
        for path, item in self.paths.items():
            for method in METHODS:
                if method in item:
                    yield method.upper(), path

    def responses(self, method, path):
        return self.paths[path][method.lower()]["responses"]

    def parameters(self, path, place):
        """The names of those that are in the query, the path or a header."""
        all_of_them = map(self.resolve, self.paths[path].get("parameters", []))
        return [one["name"] for one in all_of_them if one["in"] == place]

    def resolve(self, node):
        while "$ref" in node:
            target = self.document
            for name in node["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            node = target
        return node

    def faults(self, method, path, answer):
        """In what an answer differs from the description of its operation. `default` stands for
        what ends a request before its operation is looked at, and does not count here."""
        response = self.responses(method, path).get(str(answer.status))
        if response is None:
            return [f"the status {answer.status} is not described"]
        kind = (answer.header("Content-Type") or "").partition(";")[0]
        content = self.resolve(response).get("content", {"": {}})
        if kind not in content:
            return [f'the content type "{kind}" is not described']
        if not kind.endswith("json"):
            return []
        return self.faults_of(content[kind]["schema"], answer.json())

    def faults_of(self, schema, value):
        """In what a value differs from a schema of this document."""
        whole = {**closed(schema), "components": self._components}
        errors = validator(whole).iter_errors(value)
        return [f"{'/'.join(map(str, one.absolute_path))}: {one.message}" for one in errors]
