"""Replacement of curl with the options that the documentation uses, for machines without curl.

As a program it takes the options of curl; `request` builds the request that curl would send.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

FAILED = 22
"""Exit code of curl with --fail-with-body after a status of 400 or more."""


def request(words: Sequence[str], folder: Path = Path()) -> httpx.Request:
    """Build the request of a curl command line, without its first word.

    Args:
        words: The options and the URL.
        folder: Folder of the files in it.
    """
    return _request(_parser().parse_args(words), folder)


def main() -> int:
    """Send a request, print or save the answer, and return the exit code."""
    given = _parser().parse_args()
    sent = _request(given, Path())
    with httpx.Client(timeout=60, trust_env=False) as client:
        answer = _send(client, sent, given.retry, given.retry_delay)
    if given.output:
        Path(given.output).write_bytes(answer.content)
    else:
        if given.include:
            sys.stdout.write(f"HTTP/1.1 {answer.status_code}\n")
            sys.stdout.writelines(f"{name}: {value}\n" for name, value in answer.headers.items())
            sys.stdout.write("\n")
        sys.stdout.flush()
        sys.stdout.buffer.write(answer.content)
    return FAILED if given.fail and answer.is_error else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-s", "--silent", action="store_true")
    parser.add_argument("-S", "--show-error", action="store_true")
    parser.add_argument("-i", "--include", action="store_true")
    parser.add_argument("-G", "--get", action="store_true")
    parser.add_argument("--fail-with-body", dest="fail", action="store_true")
    parser.add_argument("-X", "--request", dest="method")
    parser.add_argument("-F", "--form", action="append", default=[])
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("--data-binary")
    parser.add_argument("--data-urlencode", action="append", default=[])
    parser.add_argument("--json")
    parser.add_argument("-o", "--output")
    parser.add_argument("--retry", type=int, default=0)
    parser.add_argument("--retry-delay", type=float, default=1.0)
    parser.add_argument("--retry-connrefused", action="store_true")
    parser.add_argument("url")
    return parser


def _request(given: argparse.Namespace, folder: Path) -> httpx.Request:
    headers = dict(header.split(": ", 1) for header in given.header)
    content = files = params = None
    if given.form:
        files = [_part(part, folder) for part in given.form]
    if given.data_binary:
        content = _content(given.data_binary, folder)
    if given.json:
        content = _content(given.json, folder)
        headers["content-type"] = "application/json"
    if given.data_urlencode:
        params = [tuple(pair.split("=", 1)) for pair in given.data_urlencode]
    method = given.method or ("GET" if given.get or not (given.form or content) else "POST")
    url = given.url if "://" in given.url else f"http://{given.url}"
    return httpx.Request(
        method, url, headers=headers, files=files, content=content, params=params or None
    )


def _part(part: str, folder: Path) -> tuple[str, tuple[str | None, bytes]]:
    name, _, value = part.partition("=")
    if value.startswith("@"):
        path = folder / value[1:]
        return name, (path.name, path.read_bytes())
    return name, (None, value.encode())


def _content(value: str, folder: Path) -> bytes:
    return (folder / value[1:]).read_bytes() if value.startswith("@") else value.encode()


def _send(
    client: httpx.Client, sent: httpx.Request, retries: int, delay_s: float
) -> httpx.Response:
    while True:
        try:
            return client.send(sent)
        except httpx.ConnectError:
            if retries == 0:
                raise
            retries -= 1
            time.sleep(delay_s)


if __name__ == "__main__":
    sys.exit(main())
