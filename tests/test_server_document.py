"""The server's OpenAPI document: every route is in it, and no answer is another than it says; its pages stay at home."""

from __future__ import annotations

import html.parser
import pathlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from replay.cli import main
from replay.queries import shipped
from replay.server.keys import add_key
from tests import lakes
from tests.server import Local, Running, Time, running

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
OPERATIONS = {
    "/v1/flow/zero-dte/heatmap/{symbol}": {"get"},
    "/v1/flow/zero-dte/series/{symbol}": {"get"},
    "/v1/flow/zero-dte/strike-flow/{symbol}": {"get"},
    "/health": {"get"},
    "/replay/clock": {"get", "post"},
    "/replay/sessions": {"get"},
    "/replay/stream/{symbol}": {"get"},
    "/replay/table/{symbol}": {"get"},
    "/replay/tape/{symbol}": {"get"},
    "/replay/tape/{symbol}/levels": {"get"},
    "/replay/runs": {"get"},
    "/replay/runs/{name}": {"get"},
}
PLAIN = {"GET /health", "GET /replay/clock", "GET /replay/runs"}  # they take nothing that could be wrong
LABELS = [f"{method.upper()} {path}" for path, methods in OPERATIONS.items() for method in sorted(methods)]
ENDLESS = "/replay/stream/{symbol}"
bounded = settings(
    max_examples=12, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def server(nasty: lakes.Nasty) -> Iterator[Running]:
    with running(nasty.root, "--access-log", "off", at="2026-07-24T10:10") as started:
        yield started


@pytest.fixture(scope="module")
def schema(server: Running) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        yield made


@pytest.fixture(scope="module")
def document(server: Running) -> Any:
    return server.get("/openapi.json").json()


def operation(schema: Any, label: str) -> Any:
    method, path = label.split()
    return schema[path][method]


def validated(case: Any, session: requests.Session) -> int:
    """The status of a case's answer, which the document is to allow."""
    answer = case.call(session=session, timeout=20)
    case.validate_response(answer, checks=CHECKS)
    return int(answer.status_code)


# --- any request there is


@pytest.mark.parametrize(
    ("label", "mode"),
    [(label, mode) for label in LABELS for mode in GenerationMode if label not in PLAIN or mode.is_positive],
    ids=str,
)
def test_no_answer_is_another_than_documented(
    schema: Any, session: requests.Session, label: str, mode: GenerationMode
) -> None:
    asked = operation(schema, label)
    seen = Counter[int]()

    @bounded
    @given(case=asked.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        if case.path == ENDLESS and mode is GenerationMode.POSITIVE:
            case.query = {**(case.query or {}), "since": "never"}  # what is right is never over
        if case.path == ENDLESS:
            case.query = {**(case.query or {}), "metric": "none"}
        seen[validated(case, session)] += 1

    check()
    assert set(seen) <= {200, 400, 404, 405}
    assert seen, label


@pytest.mark.parametrize(
    "label", [each for each in LABELS if "zero-dte" in each or "/tape/" in each or "/table/" in each]
)
def test_answers_with_data_are_as_documented(
    schema: Any, session: requests.Session, nasty: lakes.Nasty, label: str
) -> None:
    asked = operation(schema, label)
    seen = Counter[int]()
    texts = ["2026-07-24T10:10", "2026-07-24", "2026-11-27T11:00", "2026-07-24T14:03:01Z", "2026-07-25"]
    query = {
        "metric": st.sampled_from(["gex", "oi", "signed_flow"]), "mode": st.sampled_from(["raw", "delta"]),
        "minutes": st.integers(-5, 400), "as_of": st.sampled_from(texts), "known_at": st.sampled_from([*texts, "latest"]),
        "gaps": st.sampled_from(["true", "false"]), "date": st.sampled_from(["2026-07-24", "2026-11-27"]),
    }  # fmt: skip
    if "/series/" in label:
        query["bar"] = st.sampled_from(["30s", "1m", "5m", "15m"])
    names = {each["name"] for each in asked.definition.raw["parameters"]}
    required = {"date": query.pop("date")} if "date" in names else {}
    optional = {name: each for name, each in query.items() if name in names}

    @bounded
    @given(st.sampled_from(sorted(nasty.cases)), st.fixed_dictionaries(required, optional=optional))
    def check(symbol: str, given_query: dict[str, Any]) -> None:
        seen[validated(asked.Case(path_parameters={"symbol": symbol}, query=given_query), session)] += 1

    check()
    assert seen[200] > 10
    assert set(seen) <= {200, 400}


def test_answers_about_runs_and_keys_are_as_documented(tmp_path: pathlib.Path, session: requests.Session) -> None:
    root, runs, keys = shipped("fixtures") / "lake", tmp_path / "runs", tmp_path / "keys.toml"
    day = ["--from", "2026-07-24", "--to", "2026-07-24"]
    traded = ["backtest", "coin", "--lake", str(root), "--symbol", "SPY", *day, "--out", str(runs / "first")]
    assert CliRunner().invoke(main, traded).exit_code == 0
    made = {plan: add_key(keys, plan, plan) for plan in ("free", "growth", "alpha")}
    options = ("--runs", str(runs), "--keys", str(keys), "--access-log", "off")
    with running(root, *options) as server:
        schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        seen: dict[str, set[int]] = {}
        for label in LABELS:
            asked = operation(schema, label)
            for key in (None, "nobody", made["free"], made["growth"], made["alpha"]):
                if asked.path == ENDLESS and key == made["alpha"]:
                    continue
                query = (
                    {"date": "2026-07-24", "symbol": "SPY"}
                    if {"/runs/{", "/tape/"} & {*re.findall(r"/runs/\{|/tape/", label)}
                    else {}
                )
                path = {"symbol": "SPY"} if "{symbol}" in label else {"name": "first"} if "{name}" in label else {}
                body = {"step": "1m"} if label.startswith("POST") else {}
                more = {"body": body, "media_type": "application/json"} if body else {}
                case = asked.Case(
                    path_parameters=path, query=query, headers={} if key is None else {"X-Api-Key": key}, **more
                )
                seen.setdefault(label, set()).add(validated(case, session))
    assert seen["GET /replay/runs/{name}"] == {200, 401, 403, 429}
    for label, statuses in seen.items():
        if label != "GET /health":
            assert 401 in statuses, label
            assert statuses & {403, 429} or label in ("GET /replay/clock", "GET /replay/sessions"), label
        assert 200 in statuses or ENDLESS in label, label


# --- what is in it


def test_every_route_is_in_the_document(nasty: lakes.Nasty, document: Any) -> None:
    assert {path: set(each) for path, each in document["paths"].items()} == OPERATIONS
    with Local(nasty.root, time=Time()) as local:
        app: Any = local.app
        found: dict[str, set[str]] = {}

        def walk(routes: list[Any]) -> None:
            for each in routes:
                inner = getattr(each, "original_router", None)
                if inner is not None:
                    walk(inner.routes)
                else:
                    methods = {name.lower() for name in each.methods} - {"head"}
                    found.setdefault(re.sub(r":\w+}", "}", each.path), set()).update(methods)

        walk(app._app.routes)
    pages = {path: {"get"} for path in ("/", "/page/{name}", "/docs", "/docs/", "/docs/{name}", "/openapi.json")}
    assert found == OPERATIONS | pages


def test_the_document_says_what_each_endpoint_takes(document: Any) -> None:
    def names(path: str) -> list[str]:
        return [each["name"] for each in document["paths"][path]["get"]["parameters"] if each["in"] == "query"]

    moment = ["as_of", "at", "known_at", "tier"]
    assert names("/v1/flow/zero-dte/heatmap/{symbol}") == [
        *("metric", "mode", "bar", "minutes", *moment, "gaps", "oi", "share", "conventions"),
    ]
    assert names("/v1/flow/zero-dte/series/{symbol}") == ["bar", "minutes", *moment]
    assert names("/v1/flow/zero-dte/strike-flow/{symbol}") == ["bar", "minutes", *moment, "gaps"]
    parameters = {
        each["name"]: each for each in document["paths"]["/v1/flow/zero-dte/heatmap/{symbol}"]["get"]["parameters"]
    }
    assert parameters["metric"]["schema"]["enum"] == ["gex", "dex", "vex", "chex", "oi", "signed_flow"]
    defaults = {name: parameters[name]["schema"].get("default") for name in ("metric", "mode", "bar", "minutes")}
    assert defaults == {"metric": "gex", "mode": "raw", "bar": "1m", "minutes": 60}
    assert parameters["symbol"]["required"] is True
    for path, methods in document["paths"].items():
        for method, each in methods.items():
            assert each["summary"], path
            assert each["operationId"]
            statuses = set(each["responses"])
            assert "200" in statuses
            assert ("503" in statuses) == (
                method != "get" or path not in ("/replay/clock", "/replay/runs", "/replay/runs/{name}")
            )
            assert ("304" in statuses) == path.startswith(("/v1/", "/replay/tape/", "/replay/table/"))
            assert "422" not in statuses
            if path == "/health":
                assert "security" not in each
                assert "401" not in statuses
            else:
                assert {"401", "403", "429"} <= statuses
                assert each["security"] == [{"header": []}, {"query": []}, {}], (path, method)
    schemes = document["components"]["securitySchemes"]
    assert [(each["in"], each["name"]) for each in schemes.values()] == [("header", "X-Api-Key"), ("query", "apiKey")]


# --- pages


class References(html.parser.HTMLParser):
    """What a page loads, and whether it holds scripts or styles of its own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given_ = dict(attrs)
        if tag in ("script", "link", "img", "iframe", "object", "embed", "source", "audio", "video", "form", "base"):
            self.found += [str(value) for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]
        if tag == "script" and "src" not in given_:
            self.inline.append(tag)
        self.inline += [name for name, _ in attrs if name.startswith("on")]


POLICY: dict[str, Callable[[list[str]], bool]] = {
    "default-src": lambda each: each == ["'none'"],
    "script-src": lambda each: each == ["'self'"],
    "style-src": lambda each: set(each) <= {"'self'", "'unsafe-inline'"},
    "connect-src": lambda each: each == ["'self'"],
    "img-src": lambda each: set(each) <= {"'self'", "data:", "blob:"},
}


@pytest.mark.parametrize("path", ["/docs", "/"])
def test_pages_load_nothing_from_elsewhere(server: Running, path: str) -> None:
    got = server.get(path)
    assert got.status == 200
    assert got.headers["content-type"].startswith("text/html")
    policy = dict(each.strip().partition(" ")[::2] for each in got.headers["content-security-policy"].split(";"))
    for name, right in POLICY.items():
        assert right(policy[name].split()), name
    assert not {name for name in policy if name.endswith("-src")} - set(POLICY)
    assert policy["frame-ancestors"] == "'none'"
    page = References(got.body.decode())
    assert page.inline == []
    assert page.found
    for each in page.found:
        if each.startswith("data:"):
            continue
        assert re.match(r"/[^/]", each), each
        part = server.get(each)
        assert part.status == 200, each
        assert part.headers["x-content-type-options"] == "nosniff"
        again = server.get(each, {"If-None-Match": part.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
    own = b"".join(
        server.get(each).body for each in page.found if "swagger" not in each and not each.startswith("data:")
    )
    assert not re.findall(rb"(?:fetch|import|src|href|url)\W{1,4}(?:https?:)?//[a-z]", own)


@pytest.mark.parametrize(
    "path",
    [
        *("/page/none.js", "/page/", "/page/../app.py", "/page/..%2Fapp.py", "/page/%2e%2e/app.py", "/docs/index.htm"),
        *(
            "/docs/..%2f..%2fkeys.py",
            "/page//etc/passwd",
            "/page/%00",
            "/docs/%2Fetc%2Fpasswd",
            "/redoc",
            "/page/.index.html",
        ),
    ],
)
def test_no_other_file_is_read_through_a_page(server: Running, path: str) -> None:
    got = server.get(path)
    assert (got.status, got.json()["status"], got.error) == (404, "ERROR", "not_found")
