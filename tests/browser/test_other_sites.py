"""What a page of another site can do to the service through the browser of its visitor: nothing."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import synth
from server_process import Server
from watched import put

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

# Each way in which a page can send something to another site without asking it first.
ATTACK = """async ([target, sound]) => {
  const bytes = Uint8Array.from(atob(sound), (c) => c.charCodeAt(0));
  const form = new FormData();
  form.append("audio", new Blob([bytes]), "a.wav");
  const simple = { method: "POST", mode: "no-cors" };
  for (const body of [form, new Blob([bytes])]) {
    await fetch(`${target}/clips`, { ...simple, body }).catch(() => null);
  }
  navigator.sendBeacon(`${target}/clips`, form);
  const outcomes = {};
  const mine = "/clips/mine";
  for (const [method, path] of [["DELETE", mine], ["PUT", mine], ["GET", mine]]) {
    const answer = fetch(target + path, { method, body: method === "PUT" ? form : null });
    outcomes[method] = await answer.then(() => "answered", () => "failed");
  }
  const load = (kind, path, event) => new Promise((resolve) => {
    const element = document.createElement(kind);
    element.addEventListener(event, () => resolve("loaded"));
    element.addEventListener("error", () => resolve("failed"));
    element.src = target + path;
    document.body.append(element);
  });
  outcomes.picture = await load("img", "/clips/mine/spectrogram", "load");
  outcomes.sound = await load("audio", "/clips/mine/audio", "canplay");
  outcomes.script = await load("script", "/page/main.js", "load");
  return outcomes;
}"""
SUBMIT = """(target) => {
  const form = document.createElement("form");
  form.method = "POST";
  form.enctype = "multipart/form-data";
  form.action = target + "/clips";
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from([1])], "a.wav"));
  const input = document.createElement("input");
  input.type = "file";
  input.name = "audio";
  input.files = data.files;
  form.append(input);
  document.body.append(form);
  form.submit();
}"""


class _Blank(BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Another site</title><body></body>")

    def log_message(self, format: str, *values: Any) -> None:
        """Log nothing."""


@pytest.fixture
def site() -> Iterator[int]:
    """The port of another site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Blank) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Page]:
    # The other site sets no policy of its own, so the one of refusals must not hold it back.
    context = browser.new_context(bypass_csp=True)
    yield context.new_page()
    context.close()


def ids(server: Server) -> list[str]:
    return [clip["clip_id"] for clip in server.client.get("/clips").json()["clips"]]


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1"])
def test_a_page_of_another_site_reads_and_changes_nothing(
    visit: Page, server: Server, site: int, name: str
) -> None:
    put(server, "mine", synth.tone(300))
    target = f"http://127.0.0.1:{server.port}"
    visit.goto(f"http://{name}:{site}/")

    sound = base64.b64encode(synth.encode(synth.noise(1))).decode()
    outcomes = visit.evaluate(ATTACK, [target, sound])
    with visit.expect_navigation() as submitted:
        visit.evaluate(SUBMIT, target)

    assert set(outcomes.values()) == {"failed"}, outcomes
    assert submitted.value.status == 403
    assert ids(server) == ["mine"]


def test_a_page_under_a_rebound_name_reads_and_changes_nothing(visit: Page, server: Server) -> None:
    put(server, "mine", synth.tone(300))
    answer = visit.goto(f"http://evil.example:{server.port}/")
    codes = visit.evaluate(
        """async () => {
          const mine = "/clips/mine";
          const asked = [["GET", "/clips"], ["GET", `${mine}/audio`], ["DELETE", mine]];
          const answers = asked.map(([method, path]) => fetch(path, { method }));
          return Promise.all(answers.map(async (it) => (await (await it).json()).code));
        }"""
    )

    assert answer is not None
    assert answer.status == 403
    assert codes == ["host_forbidden"] * 3
    assert ids(server) == ["mine"]


def test_a_link_of_another_site_opens_the_page(visit: Page, server: Server, site: int) -> None:
    visit.goto(f"http://evil.example:{site}/")
    target = f"http://127.0.0.1:{server.port}/"
    visit.evaluate(
        "(target) => { const link = document.createElement('a'); link.href = target;"
        " link.textContent = 'x'; document.body.append(link); }",
        target,
    )
    visit.click("a")

    visit.wait_for_selector("html[data-ready]")
    assert visit.url.startswith(target)
