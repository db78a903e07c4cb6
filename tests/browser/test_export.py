"""The exported page, opened as a file: with a GPU that is computed on the CPU, and without one."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

import tha4_core as tha4
from dev import MEDIAPIPE_FOLDER
from tests.browser.comfy_page import ComfyPage
from tests.browser.puppet_site import SOFTWARE_GPU
from tests.browser.test_live_page import voice  # noqa: F401 - a fixture
from tests.browser.test_live_webcam import film  # noqa: F401 - a fixture
from tests.core.export.test_modules import write
from tests.core.export.test_page import HOSTILE
from tests.host.comfyui import ComfyUI
from tha4_core.demo import DEMO_STUDENT
from tha4_core.export import PageOptions, read_mediapipe, to_html
from tha4_core.export.modules import bundle

PATIENCE = 90_000
SIZE = 64  # a GPU that is computed on the CPU needs a minute for 512
JAPANESE = {"ja": {"The microphone moves the mouth": "マイクで口を動かす"}}
BUTTON = "app.graph.getNodeById({node}).widgets.find((one) => one.name === '{name}')"
MOVED = "Object.values(pose).some((value) => Math.abs(value) > 0.01)"
WITHOUT_GPU = "This browser has no WebGPU, so the character does not move here."


@pytest.fixture(scope="module")
def student() -> tha4.Student:
    return tha4.Student.load(DEMO_STUDENT)


@pytest.fixture(scope="module")
def file(student: tha4.Student, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "puppet.html"
    path.write_bytes(to_html(student, PageOptions(size=SIZE, mouse=False, texts=JAPANESE)))
    return path


@pytest.fixture(scope="module")
def webcam_file(student: tha4.Student, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The same with a webcam; None where MediaPipe's files are missing."""
    if not MEDIAPIPE_FOLDER.is_dir():
        return None
    path = tmp_path_factory.mktemp("export") / "webcam.html"
    options = PageOptions(size=SIZE, mouse=False, webcam=read_mediapipe([MEDIAPIPE_FOLDER]))
    path.write_bytes(to_html(student, options))
    return path


def skip_without_mediapipe(webcam_file: Path | None) -> None:
    if webcam_file is None:
        pytest.skip("MEDIAPIPE'S FILES ARE MISSING: the webcam is not tried (python3 dev.py test gets them from npm)")


class Opened:
    """An exported page that is open as a file, and all that it and its workers asked for."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.requests, self.errors = page, list[str](), list[str]()
        page.context.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(url)

    def wait_pose(self, condition: str) -> None:
        """Wait until JavaScript that has the pose on the screen as `pose` is true."""
        self.page.wait_for_function(
            f"() => {{ const {{ pose }} = puppet; return pose && ({condition}); }}", timeout=PATIENCE
        )

    def run(self, script: str) -> Any:
        return self.page.evaluate(f"async () => {{ {script} }}")


@pytest.fixture(scope="module")
def with_gpu(
    chromium: Callable[..., Browser],
    voice: Path,  # noqa: F811
    film: Path,  # noqa: F811
    file: Path,
    webcam_file: Path | None,
) -> Iterator[Opened]:
    """One page for all tests that draw: it compiles its kernels for ten seconds. Nothing is asked of anybody."""
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    devices = (f"--use-file-for-fake-audio-capture={voice}", f"--use-file-for-fake-video-capture={film}")
    browser = chromium(*SOFTWARE_GPU, *fake, *devices)
    context = browser.new_context(viewport={"width": 300, "height": 200})
    context.grant_permissions(["microphone", "camera"])
    url = f"{(webcam_file or file).as_uri()}?renderer=page"
    opened = Opened(context.new_page(), url)
    assert opened.run("return puppet.ready;") is True
    yield opened
    # TensorFlow says what it computes on as an error.
    assert [error for error in opened.errors if not error.startswith("INFO:")] == []
    assert [each for each in opened.requests if not each.startswith(("data:", "blob:"))] == [url]


@pytest.fixture
def puppet(with_gpu: Opened) -> Opened:
    """That page as it was at first, but without its idle motion."""
    with_gpu.run("puppet.release(); puppet.mouse(false); puppet.expression(null); puppet.look(null); puppet.idle(0);")
    return with_gpu


def test_it_moves_by_itself(puppet: Opened) -> None:
    puppet.run("puppet.idle(1);")
    puppet.wait_pose("true")
    first = puppet.run("return puppet.pose;")
    puppet.page.wait_for_function(
        "(first) => Object.entries(puppet.pose).some(([name, value]) => Math.abs(value - first[name]) > 0.05)",
        arg=first,
        timeout=PATIENCE,
    )
    expect(puppet.page.locator(".still")).to_have_count(0)
    size = puppet.page.locator("canvas").evaluate("(canvas) => [canvas.width, canvas.height]")
    assert size == [SIZE, SIZE]


def test_it_looks_at_the_mouse(puppet: Opened) -> None:
    puppet.page.get_by_role("button", name="Follow the pointer").click()
    puppet.page.mouse.move(5, 80)
    puppet.wait_pose("pose.head_y > 0.3 && pose.iris_rotation_y > 0.5")
    puppet.page.mouse.move(295, 80)
    puppet.wait_pose("pose.head_y < -0.3")


def test_a_script_sets_parameters_and_lets_them_go(puppet: Opened) -> None:
    puppet.run("puppet.set({ head_y: -0.8 }); puppet.set({ eye_wink: 1, mouth_aaa: 0.9 });")
    puppet.wait_pose("pose.head_y < -0.75 && pose.eye_wink_left > 0.95 && pose.eye_wink_right > 0.95")
    turned = puppet.page.locator("canvas").screenshot()
    puppet.run("puppet.set({ head_y: null });")
    puppet.wait_pose("pose.head_y > -0.05 && pose.mouth_aaa > 0.85")
    puppet.run("puppet.release();")
    puppet.wait_pose("pose.mouth_aaa < 0.05")
    assert puppet.page.locator("canvas").screenshot() != turned
    errors = {"{ nose: 1 }": "no parameter nose", "{ head_y: '1' }": "is a number", "{ head_y: NaN }": "is a number"}
    for wrong, why in errors.items():
        assert why in puppet.run(f"try {{ puppet.set({wrong}); return ''; }} catch (error) {{ return error.message; }}")
    assert puppet.run("return puppet.parameters.length;") == 45


def test_expressions_and_speech(puppet: Opened) -> None:
    puppet.run("puppet.expression('happy');")
    puppet.wait_pose("Math.max(pose.eye_happy_wink_left, pose.mouth_raised_corner_left, pose.mouth_smile ?? 0) > 0.3")
    puppet.run("puppet.expression(null); puppet.say({ fps: 1, names: ['mouth_ooo'], values: Array(90).fill([1]) });")
    puppet.wait_pose("pose.mouth_ooo > 0.9")
    puppet.run("puppet.say(null);")
    puppet.wait_pose("pose.mouth_ooo < 0.1")
    assert "no dancing" in puppet.run("try { puppet.expression('dancing'); } catch (error) { return error.message; }")


def test_messages_pose_it_and_do_nothing_else(puppet: Opened) -> None:
    send = "const send = (data) => window.postMessage(data, '*');"
    senseless = """[null, 1, "pose", { type: "microphone" }, { type: "pose", pose: "abc" }, { type: "constructor" },
        { type: "face", shapes: 3, angles: "x" }, { type: "say", track: { fps: 1, names: 3, values: [null] } }]"""
    puppet.run(f"""{send}
        {senseless}.forEach(send);
        send({{ type: "say", id: null }});
        send({{ type: "pose", pose: {{ neck_z: 0.9 }}, seconds: null }});""")
    puppet.wait_pose("pose.neck_z > 0.85")
    expect(puppet.page.get_by_role("button", name="The microphone")).to_have_attribute("aria-pressed", "false")
    puppet.run(f"{send} send({{ type: 'pose', pose: {{}} }});")
    puppet.wait_pose("pose.neck_z < 0.1")


def test_the_microphone_moves_the_mouth(puppet: Opened) -> None:
    puppet.page.get_by_role("button", name="The microphone").click()
    puppet.wait_pose("pose.mouth_aaa > 0.3")
    puppet.page.get_by_role("button", name="The microphone").click()
    puppet.wait_pose("pose.mouth_aaa < 0.05")


REFUSED = """async () => {
    const blocked = new Promise((resolve) => {
        addEventListener("securitypolicyviolation", (event) => resolve(event.blockedURI), { once: true });
    });
    await fetch("data:text/plain,x").catch(() => {});
    return blocked;
}"""


def test_its_policy_refuses_requests(puppet: Opened) -> None:
    assert puppet.page.evaluate(REFUSED) == "data"
    puppet.errors.clear()  # the browser reports what it refused


def test_a_face_in_the_webcam_moves_it_and_nothing_leaves(puppet: Opened, webcam_file: Path | None) -> None:
    skip_without_mediapipe(webcam_file)
    webcam = puppet.page.get_by_role("button", name="The webcam moves head and face")
    calibrate = puppet.page.get_by_role("button", name="Calibrate (C)")
    puppet.wait_pose(f"!({MOVED})")
    expect(calibrate).to_be_hidden()
    webcam.click()
    expect(puppet.page.get_by_role("status")).to_have_text("A face is found.", timeout=PATIENCE)
    # MediaPipe uses the GPU too, which the CPU computes: a frame may come so late that the face fades already.
    puppet.wait_pose(MOVED)
    calibrate.click()
    expect(puppet.page.get_by_role("status")).to_have_text("This is the neutral face now.")
    (worker,) = puppet.page.workers
    assert worker.evaluate(REFUSED) == "data"
    puppet.errors.clear()  # the browser reports what it refused
    with worker.expect_event("close"):
        webcam.click()
    puppet.wait_pose(f"!({MOVED})")


@pytest.fixture
def still(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Opens pages in a browser without WebGPU."""
    contexts = []

    def open_page(url: str, **options: Any) -> Opened:
        contexts.append(browser.new_context(viewport={"width": 300, "height": 300}, **options))
        return Opened(contexts[-1].new_page(), url)

    yield open_page
    for context in contexts:
        context.close()


def test_without_webgpu_there_is_the_still_and_what_to_do(still: Callable[..., Opened], file: Path) -> None:
    opened = still(file.as_uri())
    assert opened.run("return puppet.ready;") is False
    expect(opened.page.get_by_role("status")).to_contain_text(WITHOUT_GPU)
    picture = opened.page.locator(".still")
    expect(picture).to_be_visible()
    assert picture.evaluate("(image) => image.naturalWidth") == 512
    expect(opened.page.get_by_role("button", name="Follow the pointer")).to_be_hidden()
    opened.page.get_by_text("i", exact=True).click()
    expect(opened.page.get_by_text("CC0-1.0")).to_be_visible()
    assert (opened.requests, opened.errors) == ([file.as_uri()], [])


def test_it_speaks_the_browsers_language(still: Callable[..., Opened], file: Path) -> None:
    opened = still(file.as_uri(), locale="ja-JP")
    assert opened.page.locator("[data-name=microphone]").get_attribute("title") == "マイクで口を動かす"


def test_a_hostile_student_runs_nothing(still: Callable[..., Opened], student: tha4.Student, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    hostile = tha4.Student(replace(student.character, name=HOSTILE), {"licence": HOSTILE})
    path.write_bytes(to_html(hostile, PageOptions(title=HOSTILE, texts={"en": {"Follow the pointer": HOSTILE}})))
    opened = still(path.as_uri())
    assert opened.run("await puppet.ready; return [window.hacked, document.images.length, document.title];") == [
        None, 1, " ".join(HOSTILE.split()),
    ]  # fmt: skip
    assert opened.page.locator("dd").all_text_contents() == [HOSTILE, HOSTILE]


def test_in_a_frame_it_tells_the_page_around_it_that_it_is_ready(
    still: Callable[..., Opened], file: Path, tmp_path: Path
) -> None:
    around = tmp_path / "around.html"
    around.write_text(
        f"<script>addEventListener('message', (event) => (window.heard = event.data))</script>"
        f"<iframe src='{file.as_uri()}?background=none'></iframe>"
    )
    opened = still(around.as_uri())
    opened.page.wait_for_function("() => window.heard", timeout=PATIENCE)
    assert opened.page.evaluate("() => heard") == {"type": "tha4-puppet", "ready": True, "moves": False}


def test_a_bundle_does_what_its_modules_do(browser: Browser, tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        main="""import { count, name as other } from "./a.js";
import "./effect.js";
import { Thing, slow } from "./b.js";

const name = "main";
const address = new URL("./asset.js", import.meta.url);
export const result = slow().then(async () => {
  const text = await (await fetch(address)).text();
  return [name, other, new Thing().count(), count(), window.order, text];
});
window.result = result;
""",
        a='window.order = ["a"];\nlet calls = 0;\nexport const name = "a";\n'
        "export function count() {\n  return (calls += 1);\n}\n",
        b='import { count } from "./a.js";\nwindow.order.push("b");\n'
        "export class Thing {\n  count() {\n    return count();\n  }\n}\nexport async function slow() {}\n",
        effect='import "./a.js";\nwindow.order.push("effect");\n',
        asset="// ü </b>\n",
    )
    page = browser.new_page()
    page.set_content(f"<script type='module'>{bundle(folder, 'main.js')}</script>")
    assert page.evaluate("() => window.result") == ["main", "a", 1, 2, ["a", "effect", "b"], "// ü </b>\n"]
    page.close()


def test_without_a_camera_or_a_permission_it_says_why(
    chromium: Callable[..., Browser], browser: Browser, webcam_file: Path | None
) -> None:
    skip_without_mediapipe(webcam_file)
    with_camera = chromium("--disable-gpu", "--use-fake-device-for-media-stream")
    for each, why in ((browser, "None is plugged in."), (with_camera, "The browser has no permission for it.")):
        opened = Opened(each.new_page(), webcam_file.as_uri())
        opened.run("await puppet.ready; await puppet.webcam(true);")
        expect(opened.page.get_by_role("status")).to_contain_text(f"The webcam cannot be used: {why}")
        expect(opened.page.locator("[data-name=webcam]")).to_have_attribute("aria-pressed", "false")
        opened.page.close()
    with_camera.close()


def test_background_and_transparency(still: Callable[..., Opened], student: tha4.Student, tmp_path: Path) -> None:
    path = tmp_path / "green.html"
    path.write_bytes(to_html(student, PageOptions(background="#00ff00")))
    for query, expected in {"": (0, 255, 0, 255), "?background=none": (0, 0, 0, 0)}.items():
        opened = still(f"{path.as_uri()}{query}")
        opened.run("await puppet.ready; document.querySelector('.notice').hidden = true;")
        picture = Image.open(io.BytesIO(opened.page.screenshot(omit_background=True))).convert("RGBA")
        assert picture.getpixel((2, 2)) == expected


def test_the_nodes_buttons_show_the_page_in_a_sandbox_and_are_no_inputs(comfy: ComfyPage, web_server: ComfyUI) -> None:
    student, node = comfy.add("THA4LoadStudent"), comfy.add("THA4ExportPuppet", 500)
    comfy.connect(student, 0, node, "student")
    assert [name for name in comfy.prompt()[str(node)]["inputs"] if "page" in name] == []
    comfy.run(web_server)
    with comfy.page.expect_popup() as popup:
        comfy.page.wait_for_function(f"() => !{BUTTON.format(node=node, name='Open the page')}.disabled")
        comfy.page.evaluate(f"() => {{ {BUTTON.format(node=node, name='Open the page')}.callback(); }}")
    shown = popup.value.frame_locator("iframe")
    expect(shown.locator(".still")).to_be_visible(timeout=PATIENCE)
    assert shown.locator("body").evaluate("() => [window.origin, window.isSecureContext]") == ["null", True]
    popup.value.close()
    with comfy.page.expect_download() as download:
        comfy.page.evaluate(f"() => {{ {BUTTON.format(node=node, name='Download the page')}.callback(); }}")
    assert download.value.suggested_filename.startswith("puppet_")
