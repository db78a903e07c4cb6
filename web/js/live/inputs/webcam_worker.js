// The webcam's worker: MediaPipe finds the face in one picture after the other, beside the page, which goes on drawing.
// It comes from /tha4/mediapipe, with a policy that lets it load nothing but the files there. ComfyUI's page, which loads
// every module of a pack, is no worker: there this does nothing.
const INTERVAL = 33; // milliseconds from one picture to the next, at least: cameras give 30 a second
const MODEL = new URL("./face_landmarker.task", import.meta.url).href;

if (globalThis.WorkerGlobalScope) {
  let landmarker = null;
  let last = 0; // MediaPipe wants times that rise

  async function open() {
    const { FaceLandmarker, FilesetResolver } = await import("./vision_bundle.mjs");
    const files = await FilesetResolver.forVisionTasks(new URL("./wasm", import.meta.url).href, true);
    // On the CPU: the GPU draws the character.
    landmarker = await FaceLandmarker.createFromOptions(files, {
      baseOptions: { modelAssetPath: MODEL, delegate: "CPU" },
      runningMode: "VIDEO",
      numFaces: 1,
      outputFaceBlendshapes: true,
      outputFacialTransformationMatrixes: true,
    });
  }

  function find(picture) {
    const began = performance.now();
    last = Math.max(last + 1, Math.round(began));
    const { faceBlendshapes: shapes, facialTransformationMatrixes: matrices } = landmarker.detectForVideo(picture, last);
    picture.close();
    const named = shapes[0]?.categories.map(({ categoryName, score }) => [categoryName, score]);
    postMessage({ shapes: named ? Object.fromEntries(named) : null, matrix: matrices[0]?.data ?? null });
    setTimeout(() => postMessage({ next: true }), Math.max(0, INTERVAL - (performance.now() - began)));
  }

  // A page that is in the background has slow timers; a worker has not. So this asks for pictures.
  globalThis.onmessage = ({ data }) => {
    try {
      find(data);
    } catch (error) {
      postMessage({ error: error.message });
    }
  };
  open().then(() => postMessage({ next: true }), (error) => postMessage({ error: error.message }));
}
