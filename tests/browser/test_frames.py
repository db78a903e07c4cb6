"""Preview frames on the page: which character a graph renders, and that only the newest request counts."""

from __future__ import annotations

import pytest

from tests.browser.comfy_page import ComfyPage

FIND = """async (id) => {
    const { findCharacter } = await import("/extensions/tha4/js/character.js");
    const { library } = await import("/extensions/tha4/js/library.js");
    await library.load(true);
    const { kind, name, found } = findCharacter(app.graph.getNodeById(id));
    return { kind, name, found };
}"""
DEMO = {"kind": "student", "name": "demo"}
FRAMES = """async (requests) => {
    const { Frames } = await import("/extensions/tha4/js/frame.js");
    const seen = [];
    await new Promise((done, failed) => {
        const frames = new Frames((bitmap, request) => {
            seen.push({ size: bitmap.width, turned: request.pose[40] });
            bitmap.close();
            if (!request.moving) done();
        }, failed);
        requests.forEach(([turned, moving]) => {
            const pose = Array(45).fill(0);
            pose[40] = turned;
            frames.request({ kind: "rig", name: "demo" }, pose, moving);
        });
    });
    return seen;
}"""


def test_only_the_newest_request_counts_and_the_last_is_of_full_size(comfy: ComfyPage) -> None:
    requests = [[0.1, True], *([i / 100, True] for i in range(50)), [0.9, False]]
    seen = comfy.page.evaluate(FRAMES, requests)
    assert seen[-1] == {"size": 512, "turned": 0.9}
    assert len(seen) == 2  # the first was under way, all between were out of date
    assert seen[0]["size"] < 512


def test_an_error_is_told(comfy: ComfyPage) -> None:
    with pytest.raises(Exception, match="no student named 'none'"):
        comfy.page.evaluate(
            FRAMES.replace('{ kind: "rig", name: "demo" }', '{ kind: "student", name: "none" }'), [[0, False]]
        )
    comfy.errors.clear()  # the browser notes every 404


def test_a_request_is_sent_again_where_the_queue_is_full(comfy: ComfyPage) -> None:
    comfy.page.route("**/tha4/frame", lambda route: route.fulfill(status=503), times=2)
    assert comfy.page.evaluate(FRAMES, [[0.5, False]]) == [{"size": 512, "turned": 0.5}]
    comfy.errors.clear()  # the browser notes every 503


def test_a_node_alone_gets_the_demo_character(comfy: ComfyPage) -> None:
    assert comfy.page.evaluate(FIND, comfy.add("THA4PoseVector")) == {**DEMO, "found": False}


def test_the_graph_says_which_student_it_is(comfy: ComfyPage, with_student: str) -> None:
    comfy.page.evaluate("async () => { await app.refreshComboInNodes(); }")
    pose, combine = comfy.add("THA4PoseVector"), comfy.add("THA4CombinePoses", 400)
    student, render = comfy.add("THA4LoadStudent", 60, 600), comfy.add("THA4StudentRender", 800)
    comfy.set(student, "student", with_student)
    comfy.connect(pose, 0, combine, "a")
    comfy.connect(combine, 0, render, "poses")
    assert comfy.page.evaluate(FIND, pose) == {**DEMO, "found": False}
    comfy.connect(student, 0, render, "student")
    assert comfy.page.evaluate(FIND, pose) == {"kind": "student", "name": with_student, "found": True}


def test_the_graph_says_that_it_is_the_demo_character(comfy: ComfyPage) -> None:
    pose, character = comfy.add("THA4PoseVector"), comfy.add("THA4LoadCharacter", 60, 600)
    render = comfy.add("THA4TeacherRender", 800)
    comfy.connect(pose, 0, render, "poses")
    comfy.connect(character, 0, render, "character")
    comfy.set(character, "file", "demo")
    assert comfy.page.evaluate(FIND, pose) == {**DEMO, "found": True}
    comfy.set(character, "file", "from the image input")
    assert comfy.page.evaluate(FIND, pose) == {**DEMO, "found": False}


@pytest.mark.parametrize("by", ["student", "teacher"])
def test_render_video_says_whom_it_renders(comfy: ComfyPage, by: str) -> None:
    pose, render = comfy.add("THA4PoseVector"), comfy.add("THA4RenderVideo", 800)
    comfy.connect(pose, 0, render, "poses")
    assert comfy.page.evaluate(FIND, pose) == {**DEMO, "found": False}
    if by == "student":
        comfy.connect(comfy.add("THA4LoadStudent", 60, 600), 0, render, "student")
        assert comfy.page.evaluate(FIND, pose) == {**DEMO, "found": True}
    else:
        comfy.connect(comfy.add("THA4LoadTeacher", 60, 800), 0, render, "teacher")
        comfy.connect(comfy.add("THA4LoadCharacter", 60, 1000), 0, render, "character")
        assert comfy.page.evaluate(FIND, pose) == {**DEMO, "found": True}


def test_the_character_is_found_from_within_a_subgraph(comfy: ComfyPage, with_student: str) -> None:
    comfy.page.evaluate("async () => { await app.refreshComboInNodes(); }")
    pose, render = comfy.add("THA4PoseVector", 300), comfy.add("THA4StudentRender", 800)
    student = comfy.add("THA4LoadStudent", 300, 800)
    comfy.set(student, "student", with_student)
    comfy.connect(pose, 0, render, "poses")
    comfy.connect(student, 0, render, "student")
    script = """async (id) => {
        const { findCharacter } = await import("/extensions/tha4/js/character.js");
        const { library } = await import("/extensions/tha4/js/library.js");
        await library.load(true);
        app.graph.convertToSubgraph(new Set([app.graph.getNodeById(id)]));
        const everywhere = [app.graph, ...app.graph.subgraphs.values()].flatMap((graph) => graph.nodes);
        return findCharacter(everywhere.find((one) => one.type === "THA4PoseVector"));
    }"""
    for moved in (pose, student):
        found = comfy.page.evaluate(script, moved)
        assert (found["kind"], found["name"], found["found"]) == ("student", with_student, True)


def test_settings_say_how_large_and_who(comfy: ComfyPage, with_student: str) -> None:
    setting = "async ([id, value]) => { await app.extensionManager.setting.set(id, value); }"
    comfy.page.evaluate(setting, ["THA4.PreviewSize", 96])
    comfy.page.evaluate(setting, ["THA4.DefaultCharacter", with_student])
    seen = comfy.page.evaluate(FRAMES, [[0.1, True], [0.2, False]])
    found = comfy.page.evaluate(FIND, comfy.add("THA4PoseVector"))
    comfy.page.evaluate(setting, ["THA4.PreviewSize", 256])
    comfy.page.evaluate(setting, ["THA4.DefaultCharacter", "demo"])
    assert [one["size"] for one in seen] == [96, 512]
    assert found == {"kind": "student", "name": with_student, "found": False}
