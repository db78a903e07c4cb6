// The webcam's worker: MediaPipe finds the face in one picture after the other, beside the page, which goes on drawing.
// The live page has it from /tha4/mediapipe, with a policy that lets it load nothing but the files there. An exported page
// has it inside, with the files, and its own policy holds here too. ComfyUI's page, which loads every module of a pack, is
// no worker: there this does nothing.
const INTERVAL = 33; // milliseconds from one picture to the next, at least: cameras give 30 a second

if (globalThis.WorkerGlobalScope) {
  let landmarker = null;
  let last = 0; // MediaPipe wants times that rise

  /** Start MediaPipe from its `files`, `{bundle, loader, wasm, model}`: each a URL, or the bytes as a Uint8Array. */
  async function open({ bundle, loader, wasm, model }) {
    const { FaceLandmarker } = await import(script(bundle));
    const isURL = typeof wasm === "string";
    if (!isURL) globalThis.Module = { wasmBinary: wasm }; // the loader looks here before it asks for a file
    const files = { wasmLoaderPath: script(loader), wasmBinaryPath: isURL ? wasm : "" };
    const where = typeof model === "string" ? { modelAssetPath: model } : { modelAssetBuffer: model };
    // On the CPU: the GPU draws the character.
    landmarker = await FaceLandmarker.createFromOptions(files, {
      baseOptions: { ...where, delegate: "CPU" },
      runningMode: "VIDEO",
      numFaces: 1,
      outputFaceBlendshapes: true,
      outputFacialTransformationMatrixes: true,
    });
  }

  const script = (file) => (typeof file === "string" ? file : URL.createObjectURL(new Blob([file], { type: "text/javascript" })));

  function find(picture) {
    const began = performance.now();
    last = Math.max(last + 1, Math.round(began));
    const { faceBlendshapes: shapes, facialTransformationMatrixes: matrices } = landmarker.detectForVideo(picture, last);
    picture.close();
    const named = shapes[0]?.categories.map(({ categoryName, score }) => [categoryName, score]);
    postMessage({ shapes: named ? Object.fromEntries(named) : null, matrix: matrices[0]?.data ?? null });
    setTimeout(() => postMessage({ next: true }), Math.max(0, INTERVAL - (performance.now() - began)));
  }

  // First come the files, then pictures. A page that is in the background has slow timers; a worker has not. So this asks
  // for the pictures.
  globalThis.onmessage = async ({ data: { files, picture } }) => {
    try {
      if (picture) return find(picture);
      await open(files);
      postMessage({ next: true });
    } catch (error) {
      postMessage({ error: error.message });
    }
  };
}
