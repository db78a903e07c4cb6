// Several numbers as one point: what a pad's point means, and where the point is for a pose. All bilinear, so that
// reading is the inverse of writing.

const up = (value) => Math.max(0, value);
const within = (value) => Math.min(1, Math.max(-1, value));

/**
 * Pads by name. `names` are what they write, without their side where they are `sided`. x is from -1 to 1, y from `low`
 * to 1: upwards, or `downwards`.
 */
export const PADS = {
  gaze: {
    low: -1,
    names: ["iris_rotation_x", "iris_rotation_y"],
    // To the right of the pad is the character's left, where the number falls.
    write: ({ x, y }) => ({ iris_rotation_x: y, iris_rotation_y: 0 - x }),
    read: (get) => ({ x: 0 - get("iris_rotation_y"), y: get("iris_rotation_x") }),
  },
  lids: {
    low: -1,
    sided: true,
    names: ["eye_wink", "eye_happy_wink", "eye_surprised"],
    write: ({ x, y }) => ({
      eye_wink: (up(-y) * (1 - x)) / 2,
      eye_happy_wink: (up(-y) * (1 + x)) / 2,
      eye_surprised: up(y),
    }),
    read: (get) => {
      const [plain, happy] = [get("eye_wink"), get("eye_happy_wink")];
      const shut = plain + happy;
      return { x: shut ? (happy - plain) / shut : null, y: within(get("eye_surprised") - shut) };
    },
  },
  brows: {
    low: -1,
    sided: true,
    names: ["eyebrow_troubled", "eyebrow_angry", "eyebrow_raised", "eyebrow_lowered"],
    write: ({ x, y }) => ({
      eyebrow_troubled: up(-x),
      eyebrow_angry: up(x),
      eyebrow_raised: up(y),
      eyebrow_lowered: up(-y),
    }),
    read: (get) => ({
      x: get("eyebrow_angry") - get("eyebrow_troubled"),
      y: get("eyebrow_raised") - get("eyebrow_lowered"),
    }),
  },
  mouth: {
    low: 0,
    downwards: true,
    names: ["mouth_aaa", "mouth_iii", "mouth_uuu", "mouth_eee", "mouth_ooo"],
    write: ({ x, y }) => ({
      mouth_aaa: y * (1 - Math.abs(x)),
      mouth_iii: (1 - y) * up(x),
      mouth_eee: y * up(x),
      mouth_uuu: (1 - y) * up(-x),
      mouth_ooo: y * up(-x),
    }),
    read: (get) => ({
      x: within(get("mouth_iii") + get("mouth_eee") - get("mouth_uuu") - get("mouth_ooo")),
      y: within(get("mouth_aaa") + get("mouth_eee") + get("mouth_ooo")),
    }),
  },
};

/** How far down a pad, 0..1, its y lies. */
export const share = (pad, y) => (pad.downwards ? y - pad.low : 1 - y) / (1 - pad.low);

/** The y that lies so far down. */
export const fromShare = (pad, down) => (pad.downwards ? pad.low + down * (1 - pad.low) : 1 - down * (1 - pad.low));
