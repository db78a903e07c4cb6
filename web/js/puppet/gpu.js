// The page's one WebGPU device, which all puppets share.

let opened = null;

/**
 * The device: `{device, name, isFallback, lost}`, opened at the first call, and anew after it was lost. `lost` is a
 * promise that resolves with the reason when this device is gone. Null where the browser has no WebGPU or no adapter.
 */
export function openGPU() {
  opened ??= open().catch(() => null);
  return opened;
}

/** Forget the device, so that the next call asks for another one. */
function forget() {
  opened = null;
}

async function open() {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    forget();
    return null;
  }
  const limits = {};
  for (const name of LIMITS) limits[name] = adapter.limits[name];
  const device = await adapter.requestDevice({ requiredLimits: limits });
  device.lost.then(forget);
  const info = adapter.info ?? {};
  const name = info.description || [info.vendor, info.architecture].filter(Boolean).join(" ") || "unknown adapter";
  return { device, name, isFallback: Boolean(info.isFallbackAdapter ?? adapter.isFallbackAdapter), lost: device.lost };
}

// Large tiles, and frames of 1024 pixels, need more than every device has unless it is asked for.
const LIMITS = [
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxStorageBufferBindingSize",
  "maxBufferSize",
];
