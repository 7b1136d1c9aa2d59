#!/usr/bin/env python3
"""Runs one fuzzer: with the seeds beside this file, and with those that SURVEYD_CORPORA has for it.
usage: run.py [--seconds N] [--corpus DIR] FUZZER

New inputs are kept in DIR; without it they are forgotten. An input that fails is written to the
current directory."""

import argparse
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SEEDS = Path(__file__).resolve().parent / "seeds"
FIXTURES = SEEDS.parents[1] / "fixtures"
HOST = b"localhost:9847"
# The longest input that is tried: what is longer is refused before it is parsed.
LONGEST = {"head": 8192, "router": 1024, "container_id": 192, "json": 2048, "files": 512,
           "settings": 1024}
DICTIONARIES = {"head": "http.dict", "router": "url.dict", "json": "json.dict"}


def lines(path):
    return path.read_bytes().splitlines()


def vectors(corpora):
    for line in lines(corpora / "http1.jsonl"):
        yield base64.b64decode(json.loads(line)["b64"]).replace(b"@HOST@", HOST)


def files(folder):
    return (path.read_bytes() for path in sorted(folder.iterdir()))


def ids(corpora):
    for line in lines(corpora / "container-ids.jsonl"):
        row = json.loads(line)
        yield bytes.fromhex(row["tail_hex"]) if "tail_hex" in row else row["tail"].encode()


def traversal(corpora):
    """One of a hundred: they differ little."""
    for path in sorted((corpora / "traversal").iterdir()):
        yield from lines(path)[::100]


def of_head(corpora):
    yield from vectors(corpora)
    yield from files(corpora / "h2o-http1-fuzz")


def of_router(corpora):
    for target in files(corpora / "h2o-url-fuzz"):
        yield b"a" + target
    for tail in [*ids(corpora), *traversal(corpora)]:
        yield b"d/cgroups/containers/" + tail
    for request in vectors(corpora):
        words, _, fields = request.partition(b"\r\n")
        if len(words := words.split(b" ")) == 3:
            yield b"c" + words[1] + b"\n" + fields.replace(b"\r\n", b"\n")


def of_container_id(corpora):
    yield from ids(corpora)
    yield from traversal(corpora)
    yield from (text.encode() for text in json.loads((corpora / "blns.json").read_text()))


def of_json(corpora):
    for text in files(corpora / "json-parsing"):
        yield b"a" + text
        yield b"d" + text


def of_files(_):
    """What was recorded of environments, which is the project's own."""
    letters = {"proc_self_cgroup": b"f", "proc1_cgroup": b"f", "mountinfo_cgroup": b"b",
               "uid_map": b"h", "kernel": b"n", "CapEff": b"e"}
    for line in lines(FIXTURES / "environments.jsonl"):
        facts = json.loads(line)["facts"]
        for name, letter in letters.items():
            text = facts.get(name) or ""
            yield letter + ("\n".join(text) if isinstance(text, list) else text).encode()


def of_settings(corpora):
    for text in json.loads((corpora / "blns.json").read_text()):
        yield b'log-level = "' + text.encode() + b'"\n'


def write_seeds(aim, folder):
    """How many."""
    corpora = os.environ.get("SURVEYD_CORPORA")
    if not corpora and aim != "files":
        print("skipped: SURVEYD_CORPORA does not name the folder of corpora; own seeds only")
        return 0
    seeds = sorted(set(globals()["of_" + aim](Path(corpora or "."))))
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(seed)
    return len(seeds)


def dictionary(aim):
    corpora = os.environ.get("SURVEYD_CORPORA")
    own = SEEDS / f"{aim}.dict"
    if own.exists():
        return [f"-dict={own}"]
    if corpora and aim in DICTIONARIES:
        return [f"-dict={Path(corpora) / 'dict' / DICTIONARIES[aim]}"]
    return []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("fuzzer", type=Path)
    options = parser.parse_args()
    aim = options.fuzzer.name.removeprefix("fuzz_")
    with tempfile.TemporaryDirectory() as scratch:
        seeds = Path(scratch, "seeds")
        found = options.corpus or Path(scratch, "found")
        seeds.mkdir()
        found.mkdir(parents=True, exist_ok=True)
        write_seeds(aim, seeds)
        command = [options.fuzzer.resolve(), f"-max_total_time={options.seconds}",
                   f"-max_len={LONGEST[aim]}", "-timeout=10", "-rss_limit_mb=1024",
                   "-print_final_stats=1", *dictionary(aim), found, SEEDS / aim, seeds]
        # Coverage is measured of the inputs that are kept, not while looking for them.
        environment = {**os.environ, "LLVM_PROFILE_FILE": os.devnull}
        run = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True,
                             errors="replace")
        if run.returncode != 0:
            print(run.stderr)
            return run.returncode
        stats = dict(re.findall(r"stat::(\w+):\s+(\d+)", run.stderr))
        print(f"{aim}: {stats['number_of_executed_units']} executions in {options.seconds} s, "
              f"{len(list(found.iterdir()))} inputs kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())
