"""The frames of the live page. Clock and GPU are made up here: real ones keep no time that a test can know."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

RUN = """async (limits) => {
    const { Loop } = await import("/live/loop.js");
    const real = window.requestAnimationFrame;
    let tick = null;
    window.requestAnimationFrame = (next) => (tick = next);
    const engine = { value: 0, pose() { return Float32Array.of(this.value); } };
    const frames = [];
    const errors = [];
    const loop = new Loop(engine, () => limits, (frame) => frames.push(frame), (error) => errors.push(error.message));
    let now = 0;
    // A frame of the screen; the GPU has done its work before the next.
    const next = async (milliseconds = 1000 / 60) => {
        now += milliseconds;
        tick(now);
        await new Promise((done) => setTimeout(done));
    };
    const figure = (milliseconds) => ({
        sizes: [],
        pace: [33, 12],
        async draw(pose, size) {
            this.sizes.push(size);
            return milliseconds;
        },
    });
    try {
        SCRIPT
    } finally {
        window.requestAnimationFrame = real;
    }
}"""


def run(page: Page, script: str, fps: int = 60, size: float = 512) -> Any:
    return page.evaluate(RUN.replace("SCRIPT", script), {"fps": fps, "size": size})


def test_nothing_is_drawn_while_the_pose_stays(modules: Page) -> None:
    sizes = run(
        modules,
        """
        const gpu = figure(20);
        loop.use(gpu);
        for (let k = 0; k < 10; k += 1) await next();
        engine.value = 0.001;
        await next();
        engine.value = 0.01;
        for (let k = 0; k < 10; k += 1) await next();
        loop.redraw();
        await next();
        return gpu.sizes;
        """,
    )
    assert len(sizes) == 3


def test_no_more_frames_than_the_user_wants(modules: Page) -> None:
    count = run(
        modules,
        """
        loop.use(figure(20));
        for (let k = 0; k < 60; k += 1) { engine.value = k; await next(); }
        return frames.length;
        """,
        fps=20,
    )
    assert 19 <= count <= 21


def test_frames_grow_on_a_fast_gpu_up_to_what_is_seen_and_shrink_on_a_slow_one(modules: Page) -> None:
    fast, slow = run(
        modules,
        """
        const gpus = [figure(5), figure(60)];
        for (const gpu of gpus) {
            loop.use(gpu);
            for (let k = 0; k < 100; k += 1) { engine.value += 1; await next(); }
        }
        return gpus.map((gpu) => gpu.sizes);
        """,
        size=700.3,
    )
    assert fast[0] == 256
    assert fast[-1] == 704
    assert fast == sorted(fast)
    assert slow[-1] == 64
    assert all(size % 32 == 0 for size in fast + slow)


def test_a_frame_waits_for_the_one_before(modules: Page) -> None:
    begun, done = run(
        modules,
        """
        let finish = null;
        const gpu = figure(10);
        gpu.draw = () => new Promise((resolve) => (finish = resolve, gpu.sizes.push(0)));
        loop.use(gpu);
        for (let k = 0; k < 10; k += 1) { engine.value += 1; await next(); }
        const begun = gpu.sizes.length;
        finish(10);
        await next();
        engine.value += 1;
        await next();
        return [begun, gpu.sizes.length];
        """,
    )
    assert (begun, done) == (1, 2)


def test_an_error_is_told_once_for_each_frame_and_the_next_figure_draws(modules: Page) -> None:
    errors, drawn = run(
        modules,
        """
        loop.use({ async draw() { loop.use(null); throw new Error("lost"); } });
        await next();
        loop.use({ async draw() { throw new Error("gone"); } });
        await next();
        loop.use(figure(5));
        await next();
        return [errors, frames.length];
        """,
    )
    assert errors == ["gone"]
    assert drawn == 1
