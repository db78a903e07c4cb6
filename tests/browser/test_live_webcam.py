"""The webcam of the live page: MediaPipe, from the user's files, follows a face in a camera that plays a file."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.test_live_page import PATIENCE, LivePage
from tests.conftest import REPOSITORY
from tests.host.comfyui import ComfyUI
from tha4_core.demo import demo_character
from tha4_core.motion.tracking.face import euler_angles

FILES = REPOSITORY / ".mediapipe"
QUERY = "size=64&idle=0&renderer=server&mouse=0&webcam=1"
"""The server draws: nothing here needs a GPU."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera's film, which is repeated: the face of the demo character on white."""
    path = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    picture = Image.fromarray(demo_character().picture.numpy())
    face = Image.new("RGB", picture.size, "white")
    face.paste(picture, mask=picture)
    film = Image.new("RGB", (640, 480), "white")
    film.paste(face.crop((180, 50, 340, 210)).resize((480, 480)), (80, 0))
    content = io.BytesIO()
    film.save(content, "JPEG", quality=95)
    path.write_bytes(content.getvalue() * 10)
    return path


@pytest.fixture(scope="module")
def context(chromium: Callable[..., Browser], film: Path) -> Iterator[BrowserContext]:
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    browser = chromium("--disable-gpu", *fake, f"--use-file-for-fake-video-capture={film}")
    context = browser.new_context(viewport={"width": 900, "height": 600})
    context.grant_permissions(["camera"])
    yield context
    context.close()


@pytest.fixture
def with_files(web_server: ComfyUI) -> Iterator[Path]:
    """MediaPipe's files where a user puts them."""
    if not FILES.is_dir():
        pytest.skip("MEDIAPIPE'S FILES ARE MISSING: the webcam is not tried (python3 dev.py test gets them from npm)")
    folder = web_server.base / "models" / "tha4" / "mediapipe"
    shutil.copytree(FILES, folder)
    yield folder
    shutil.rmtree(folder)


def test_a_face_before_the_camera_moves_the_character(
    context: BrowserContext, web_server: ComfyUI, with_files: Path
) -> None:
    hosts = set[str]()
    context.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    watcher = LivePage(context, web_server.address, "size=64&idle=0&renderer=server&mouse=0&session=webcam")
    live = LivePage(context, web_server.address, f"{QUERY}&session=webcam&share=1")
    live.wait_connected()
    expect(live.page.locator(".camera [role='status']")).to_have_text("A face is found.", timeout=PATIENCE)
    live.wait_pose("Math.abs(pose.head_y) + Math.abs(pose.head_x) + Math.abs(pose.neck_z) > 0.05")
    watcher.wait_pose("Math.abs(pose.head_y) + Math.abs(pose.head_x) + Math.abs(pose.neck_z) > 0.05")
    poses = live.page.evaluate(
        "() => [...document.getElementById('tha4-live').page.engine.pose(performance.now() / 1e3)]"
    )
    assert np.isfinite(poses).all()
    assert np.count_nonzero(poses) >= 5
    assert live.page.locator("select[name='camera'] option").count() >= 1
    expect(live.page.locator(".camera video")).to_be_visible()
    live.page.uncheck("input[name='preview']")
    expect(live.page.locator(".camera video")).to_be_hidden()
    live.page.uncheck("input[name='webcam']")
    live.wait_pose("Math.abs(pose.head_y) + Math.abs(pose.head_x) + Math.abs(pose.neck_z) === 0")
    # TensorFlow says what it computes on as an error.
    assert [error for error in live.errors if not error.startswith("INFO:")] == []
    assert hosts == {web_server.address.split("/")[2]}
    for page in (live, watcher):
        page.page.close()


def test_without_its_files_the_page_says_what_to_put_where(context: BrowserContext, web_server: ComfyUI) -> None:
    live = LivePage(context, web_server.address, QUERY)
    files = live.page.locator(".camera-files")
    expect(files).to_contain_text("models/tha4/mediapipe", timeout=PATIENCE)
    for text in ("vision_bundle.mjs", "face_landmarker.task", "@mediapipe/tasks-vision 0.10.35", "64184e229b26"):
        expect(files).to_contain_text(text)
    expect(live.page.locator("input[name='webcam']")).not_to_be_checked()
    live.page.close()


@pytest.mark.parametrize(
    ("lend", "words"),
    [
        ("async () => { throw new DOMException('', 'NotAllowedError'); }", "no permission"),
        ("async () => { throw new DOMException('', 'NotFoundError'); }", "None is plugged in"),
        ("async () => { throw new DOMException('', 'NotReadableError'); }", "Another program"),
        (None, "https and localhost"),
    ],
)
def test_without_a_camera_the_page_says_why(modules: Page, lend: str | None, words: str) -> None:
    """A stand-in for the browser's camera: which of its errors comes cannot be had from a fake one."""
    said = modules.evaluate(
        f"""async () => {{
            const {{ filesOnServer }} = await import("/live/inputs/mediapipe.js");
            const {{ Webcam }} = await import("/live/inputs/webcam.js");
            const fetched = window.fetch;
            const device = {{ value: {f"{{ getUserMedia: {lend} }}" if lend else "undefined"}, configurable: true }};
            Object.defineProperty(navigator, "mediaDevices", device);
            window.fetch = async () => new Response('{{"files": {{"a": true}}}}');
            try {{
                await new Webcam(filesOnServer, () => {{}}, () => {{}}).open("");
                return "";
            }} catch (error) {{
                return error.message;
            }} finally {{
                window.fetch = fetched;
                delete navigator.mediaDevices;
            }}
        }}"""
    )
    assert words in said


def random_rotations(count: int) -> NDArray[np.float64]:
    matrices, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(count, 3, 3)))
    return np.asarray(matrices * np.linalg.det(matrices)[:, None, None])


def test_a_heads_matrix_means_the_librarys_angles(modules: Page) -> None:
    matrices = np.tile(np.eye(4), (100, 1, 1))
    matrices[:, :3, :3] = random_rotations(100) * 2.5  # scaled ones count by their directions
    matrices[:, :3, 3] = [3, -2, -40]
    messages = modules.evaluate(
        """async (matrices) => {
            const { faceMessage } = await import("/live/inputs/webcam.js");
            return matrices.map((matrix) => faceMessage({ shapes: { _neutral: 0, jawOpen: 0.5 }, matrix }));
        }""",
        matrices.transpose(0, 2, 1).reshape(-1, 16).tolist(),
    )
    expected = np.degrees(euler_angles(matrices))
    np.testing.assert_allclose([message["angles"] for message in messages], expected, atol=1e-9)
    assert messages[0]["shapes"] == {"jawOpen": 0.5}


def test_no_face_and_no_directions_are_a_lost_face(modules: Page) -> None:
    found = modules.evaluate(
        """async () => {
            const { faceMessage } = await import("/live/inputs/webcam.js");
            const flat = { shapes: { jawOpen: 1 }, matrix: new Float32Array(16) };
            return [{}, { shapes: null, matrix: null }, flat].map((result) => faceMessage(result).found);
        }"""
    )
    assert found == [False, False, False]
