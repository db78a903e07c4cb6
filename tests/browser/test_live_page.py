"""The live page in a browser whose GPU is computed on the CPU, with a microphone that plays a file."""

from __future__ import annotations

import io
import math
import socket
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests import trackers
from tests.browser.comfy_page import ComfyPage
from tests.browser.puppet_site import SOFTWARE_GPU
from tests.browser.test_live_speech import vowel
from tests.host.comfyui import ComfyUI

RATE = 48000
SIZE = 64  # a GPU that is computed on the CPU needs a minute for 512
PATIENCE = 90_000
STILL = f"size={SIZE}&idle=0&renderer=page"
SAY = """(what) => fetch("live/speech/say", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(what),
})"""

RECEIVE = """async (protocol) => {
    const port = 20000 + Math.floor(Math.random() * 10000);
    const answer = await fetch("live/main/receive", {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ protocol, port }),
    });
    if (!answer.ok) throw new Error(await answer.text());
    return port;
}"""
STOP = """() => fetch("live/main/stop", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: "{}",
}).then((answer) => answer.json())"""


class LivePage:
    """A live page that is open."""

    def __init__(self, context: BrowserContext, address: str, query: str) -> None:
        self.page, self.errors, self.hosts = context.new_page(), list[str](), set[str]()
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        self.page.goto(f"{address}/tha4/live?{query}")
        self.root = self.page.locator("#tha4-live")

    def wait_drawn(self, by: str) -> None:
        """Wait for a frame of the page or the server."""
        expect(self.root).to_have_attribute("data-by", by, timeout=PATIENCE)

    def wait_connected(self) -> None:
        expect(self.root).to_have_attribute("data-connected", "true", timeout=PATIENCE)

    def wait_pose(self, condition: str) -> None:
        """Wait until JavaScript that has the pose by names as `pose` is true."""
        self.page.wait_for_function(
            f"""() => {{
                const {{ page }} = document.getElementById("tha4-live");
                const values = page.engine.pose(performance.now() / 1000);
                const pose = Object.fromEntries(page.library.parameters.map((one, i) => [one.name, values[i]]));
                return {condition};
            }}""",
            timeout=PATIENCE,
        )

    def picture(self) -> NDArray[np.float64]:
        """The stage as it is seen, `[H, W, 4]`."""
        picture = self.page.locator(".stage").screenshot(omit_background=True)
        return np.asarray(Image.open(io.BytesIO(picture)).convert("RGBA"), np.float64)

    def change(self, **options: Any) -> None:
        """Change options as the controls do."""
        self.page.evaluate("(some) => document.getElementById('tha4-live').page.change(some)", options)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound file: half a second of "a" after half a second of silence, which the microphone repeats."""
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    samples = np.concatenate([np.zeros(RATE // 2), vowel("a", 0.5, rate=RATE)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def with_microphone(chromium: Callable[..., Browser], voice: Path) -> Browser:
    """A browser with a WebGPU adapter, and a microphone that needs no permission."""
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    return chromium(*SOFTWARE_GPU, *fake, f"--use-file-for-fake-audio-capture={voice}")


@pytest.fixture(scope="module")
def context(with_microphone: Browser) -> Iterator[BrowserContext]:
    context = with_microphone.new_context(viewport={"width": 900, "height": 600})
    context.grant_permissions(["clipboard-read", "clipboard-write", "microphone"])
    yield context
    context.close()


@pytest.fixture(scope="module")
def first_page(context: BrowserContext, web_server: ComfyUI) -> Iterator[LivePage]:
    """One page for all tests: it compiles its kernels for ten seconds. It asks no other host for anything."""
    live = LivePage(context, web_server.address, STILL)
    live.wait_drawn("page")
    yield live
    assert live.errors == []
    assert live.hosts == {web_server.address.split("/")[2]}


@pytest.fixture
def live(first_page: LivePage) -> LivePage:
    """That page as it was at first."""
    first_page.page.evaluate(
        """() => {
            const { page } = document.getElementById("tha4-live");
            page.expressions.choose(null);
            page.engine.neutral.pending = false;  // a key that was pressed waits for a face
            page.engine.settings.neutral = null;
        }"""
    )
    first_page.change(mouse=True, microphone=False, background="color", controls=True, share=False, session="main")
    return first_page


def drawn(live: LivePage) -> int:
    return int(live.root.get_attribute("data-drawn") or 0)


def test_the_character_looks_at_the_mouse_and_nothing_is_drawn_at_rest(live: LivePage) -> None:
    live.page.mouse.move(20, 300)
    live.wait_pose("pose.head_y > 0.3 && pose.iris_rotation_y > 0.5")
    left = live.picture()
    live.page.mouse.move(590, 300)
    live.wait_pose("pose.head_y < -0.3")
    live.page.wait_for_function("() => document.getElementById('tha4-live').page.pose?.[40] < -0.3", timeout=PATIENCE)
    for _ in range(20):  # the last frames of the movement
        before = drawn(live)
        live.page.wait_for_timeout(1500)
        if drawn(live) - before <= 1:
            break
    assert drawn(live) - before <= 1
    assert np.abs(live.picture() - left).mean() > 1


def test_a_transparent_background_is_transparent_and_a_colour_is_not(live: LivePage) -> None:
    live.page.select_option("select[name='background']", "none")
    alpha = live.picture()[..., 3]
    assert alpha[:20].max() == 0
    assert alpha.max() == 255
    live.page.select_option("select[name='background']", "green")
    assert live.picture()[5, 5].tolist() == [0, 0xB1, 0x40, 255]


def test_keys_switch_expressions_on_and_off(live: LivePage) -> None:
    live.page.keyboard.press("2")
    live.wait_pose("pose.eye_happy_wink_left > 0.95")
    row = live.page.locator("[data-name='happy'] .expression")
    expect(row).to_have_attribute("aria-pressed", "true")
    live.page.keyboard.press("Escape")
    live.wait_pose("pose.eye_happy_wink_left === 0")
    expect(row).to_have_attribute("aria-pressed", "false")
    live.page.locator("[data-name='sad'] .key").click()
    live.page.keyboard.press("x")
    live.page.keyboard.press("x")
    live.wait_pose("pose.mouth_lowered_corner_left > 0.95")


def test_a_voice_opens_the_mouth(live: LivePage) -> None:
    live.page.check("input[name='microphone']")
    live.wait_pose("pose.mouth_aaa > 0.4")
    live.wait_pose("pose.mouth_aaa + pose.mouth_ooo + pose.mouth_eee < 0.05")
    live.page.uncheck("input[name='microphone']")
    assert live.page.evaluate("() => document.getElementById('tha4-live').page.microphone.stream") is None


def test_the_settings_are_remembered_and_all_of_them_fit_a_url(live: LivePage, context: BrowserContext) -> None:
    live.page.check("input[name='mirror']")
    live.page.locator("input[name='scale']").fill("1.5")
    stored = "(({ mirror, scale }) => mirror && scale === 1.5)(JSON.parse(localStorage.getItem('tha4.live') ?? '{}'))"
    live.page.wait_for_function(f"() => {stored}", timeout=PATIENCE)
    live.page.locator("[data-name='copy']").click()
    expect(live.root).to_have_attribute("data-url", live.page.evaluate("() => navigator.clipboard.readText()"))
    url = live.root.get_attribute("data-url") or ""
    assert {"controls=0", "background=none", "mouse=0", "mirror=1", "scale=1.5"} <= set(url.split("?")[1].split("&"))
    live.change(mirror=False, scale=1)


def test_from_the_page_to_obs_as_docs_live_says(live: LivePage, browser: Browser, web_server: ComfyUI) -> None:
    """Its steps 2 to 5, by mouse and keys. OBS is another browser: it shares no settings, and has no permissions."""
    live.change(session="obs")
    live.wait_connected()
    page = live.page
    page.get_by_label("Student").select_option("demo")
    page.get_by_role("checkbox", name="Mouse", exact=True).check()
    page.keyboard.press("c")
    expect(page.get_by_role("alert")).to_have_text("This is the neutral face now.")
    page.get_by_role("button", name="Copy URL for OBS").click()
    expect(page.get_by_role("checkbox", name="Send my mouse, camera, microphone and keys to it")).to_be_checked()
    url = page.evaluate("() => navigator.clipboard.readText()")
    address, query = url.split("/tha4/live?")
    assert address == web_server.address
    context = browser.new_context(viewport={"width": 400, "height": 400})
    obs = LivePage(context, address, query.replace("renderer=page", "renderer=server"))
    obs.wait_drawn("server")
    obs.wait_connected()
    before = obs.picture()
    assert before.shape == (400, 400, 4)
    assert (before[[0, 0, -1, -1], [0, -1, 0, -1], 3] == 0).all()
    assert before[..., 3].max() == 255
    for element in (".panel", ".notice"):
        expect(obs.page.locator(element)).to_be_hidden()
    page.mouse.move(20, 300)
    page.mouse.move(25, 310)
    page.keyboard.press("1")
    obs.wait_pose("pose.head_y > 0.3 && pose.mouth_raised_corner_left > 0.9")
    obs.page.wait_for_function("() => document.getElementById('tha4-live').page.pose?.[40] > 0.3", timeout=PATIENCE)
    assert np.abs(obs.picture() - before).mean() > 1
    assert obs.errors == []
    context.close()


def test_what_the_server_says_is_spoken(live: LivePage) -> None:
    live.change(session="speech")
    live.wait_connected()
    live.page.evaluate(SAY, {"timings": "WEBVTT\n\n00:00.000 --> 01:00.000\naaaaa\n"})
    live.wait_pose("pose.mouth_aaa > 0.5")
    live.page.evaluate(SAY, {"id": None})
    live.wait_pose("pose.mouth_aaa < 0.05")


LOST = """(how) => {
    const root = document.getElementById("tha4-live");
    const { page } = root;
    const seen = () => [root.dataset.connected, root.querySelector(".receivers").textContent];
    if (how === "session") {
        const { socket } = page.session;
        page.change({ session: "another" });
        const late = JSON.stringify({ type: "state", receivers: [], pages: 9 });
        socket.dispatchEvent(new MessageEvent("message", { data: late }));
        return seen();
    }
    const { onState } = page.session;
    return new Promise((resolve) => {
        page.session.onState = (state) => {
            onState(state);
            page.session.onState = onState;
            resolve(seen());
        };
        page.session.socket.close();
    });
}"""


@pytest.mark.parametrize("how", ["session", "server"])
def test_a_page_without_its_session_says_so_and_comes_back(live: LivePage, how: str) -> None:
    live.wait_connected()
    assert live.page.evaluate(LOST, how) == ["false", "Not connected to the server."]
    live.wait_connected()
    expect(live.root.locator(".receivers")).to_have_text("", timeout=PATIENCE)


SHAPES, ANGLES = {"jawOpen": 0.8}, (0.0, -25.0, 0.0)
TURNED = (0.0, math.sin(math.radians(12.5)), 0.0, math.cos(math.radians(12.5)))
TRACKERS = {
    "ifacialmocap": trackers.ifacialmocap(SHAPES, ANGLES),
    "facemotion3d": trackers.facemotion3d(SHAPES, ANGLES),
    "vtube_studio": trackers.vtube_studio(SHAPES, ANGLES),
    "live_link": trackers.live_link(SHAPES, ANGLES),
    "openseeface": trackers.openseeface_face(euler=(180.0, 25.0, 90.0), features=[*[0.0] * 12, 0.8, 0.0]),
    "vmc": trackers.bundle(trackers.vmc_bone("Head", *TURNED), *trackers.vmc_values({"A": 0.8})),
}
MOUTHS = ("mouth_aaa", "mouth_iii", "mouth_uuu", "mouth_eee", "mouth_ooo")
OPEN = " + ".join(f"pose.{name}" for name in MOUTHS) + " > 0.3"


@pytest.mark.parametrize("protocol", list(TRACKERS))
def test_a_tracker_on_the_network_turns_the_head_and_opens_the_mouth(live: LivePage, protocol: str) -> None:
    live.change(mouse=False)
    live.wait_pose(f"!({OPEN}) && Math.abs(pose.head_y) < 0.1")
    live.page.wait_for_timeout(300)
    before = live.picture()
    port = live.page.evaluate(RECEIVE, protocol)
    with sending(TRACKERS[protocol], port):
        live.wait_pose(f"({OPEN}) && Math.abs(pose.head_y) > 0.2")
        live.page.wait_for_function(
            "() => Math.abs(document.getElementById('tha4-live').page.pose?.[40]) > 0.2", timeout=PATIENCE
        )
        assert np.abs(live.picture() - before).mean() > 1
    live.page.evaluate(STOP)


@contextmanager
def sending(datagram: bytes, port: int) -> Iterator[None]:
    """A tracker sends the datagram 30 times a second meanwhile."""
    done = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tracker:
            while not done.wait(1 / 30):
                tracker.sendto(datagram, ("127.0.0.1", port))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_comfyui_opens_the_page_with_the_nodes_student(comfy: ComfyPage) -> None:
    loader, render = comfy.add("THA4LoadStudent"), comfy.add("THA4StudentRender", 400)
    comfy.connect(loader, 0, render, "student")
    opened = comfy.page.evaluate(
        """async (nodes) => {
            const urls = [];
            const { open } = window;
            window.open = (url) => urls.push(url);
            const { getNodeMenuItems } = app.extensions.find(({ name }) => name === "THA4.Live");
            for (const id of nodes) getNodeMenuItems(app.graph.getNodeById(id)).at(-1).callback();
            await app.extensionManager.command.execute("THA4.OpenLive");
            window.open = open;
            return urls;
        }""",
        [loader, render],
    )
    assert [url.split("/tha4/")[1] for url in opened] == ["live?student=demo", "live?student=demo", "live"]


def test_without_webgpu_the_server_renders_and_the_page_says_so(browser: Browser, web_server: ComfyUI) -> None:
    context = browser.new_context()
    live = LivePage(context, web_server.address, "size=64&idle=0")
    live.wait_drawn("server")
    expect(live.page.get_by_role("alert")).to_contain_text("no WebGPU")
    live.page.select_option("select[name='renderer']", "page")
    expect(live.page.get_by_role("alert")).to_contain_text("Choose")
    live.page.select_option("select[name='renderer']", "server")
    expect(live.page.get_by_role("alert")).to_be_hidden()
    live.page.goto(f"{web_server.address}/tha4/live?language=ja")
    expect(live.page.locator(".panel")).to_contain_text("マウス")
    context.close()


@pytest.mark.parametrize(
    "query",
    [
        "scale=1e9&x=NaN&session=../..&background=url(x)&keys=[1&neutral=7&student=%00",
        "mirror=maybe&fps=-1&size=2.5e9&y=null",
        "__proto__=1&constructor=2&zzz=3",
    ],
)
def test_a_url_with_nonsense_is_a_page_as_at_first(modules: Page, query: str) -> None:
    options, first = modules.evaluate(
        """async (query) => {
            const { OPTIONS, readOptions } = await import("/live/options.js");
            return [readOptions(new URLSearchParams(query), { getItem: () => "{broken" }), OPTIONS];
        }""",
        query,
    )
    different = {name for name, value in options.items() if value != first.get(name, "?")}
    assert different <= {"student"}


def test_any_options_survive_a_url_and_the_browsers_memory(modules: Page) -> None:
    wanted, by_url, remembered = modules.evaluate("""async () => {
        const { OPTIONS, readOptions, storeOptions, toQuery } = await import("/live/options.js");
        const wanted = {
            ...OPTIONS, student: "a/b ü&=.safetensors", session: "x_1-y", mouse: false, microphone: true,
            background: "picture", color: "#ABCDEF", picture: "a b.png", crop: "bust", scale: 0.37, x: -1.5, y: 0.25,
            size: 640, fps: 24, renderer: "server", mirror: true, smoothing: 0, idle: 0.15, head: 1.3, body: 0,
            mouth: 2, recentre: 0, silence: -33, sound: false, controls: false, language: "ja", keys: { happy: "h" },
            neutral: { shapes: { jawOpen: 0.25 }, angles: [1.5, -2, 0] },
        };
        const store = {};
        storeOptions(wanted, { setItem: (name, value) => (store[name] = value) });
        const nothing = { getItem: () => null };
        return [wanted, readOptions(new URLSearchParams(toQuery(wanted).toString()), nothing),
            readOptions(new URLSearchParams(), { getItem: (name) => store[name] })];
    }""")
    assert by_url == wanted
    assert remembered == wanted
