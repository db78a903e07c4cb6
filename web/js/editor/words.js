// What the editor says.

const en = {
  body: "Body: drag to turn it. Shift or the wheel: lean.",
  head: "Head: drag to turn and nod. Shift or the wheel: tilt.",
  eyes: "Eyes: drag to look.",
  mouth: "Mouth: drag down to open, sideways for the vowel.",
  preset: "Expression",
  strength: "Strength of the expression",
  kinds: { emotion: "Emotions", mouth: "Mouth", eyes: "Eyes", gaze: "Gaze", head: "Head", body: "Body" },
  mirror: "Mirror (M)",
  random: "Random pose (Space)",
  copy: "Copy the pose as JSON (Ctrl+C)",
  paste: "Paste a pose (Ctrl+V)",
  reset: "Reset (0)",
  copied: "Copied.",
  noClipboard: "The browser keeps its clipboard: click the picture and press Ctrl+C or Ctrl+V.",
  link: "Left and right together",
  inputs: "Inputs",
  near: "Head and shoulders, or all of it",
  numbers: "Show or hide the node's 45 inputs",
  tabs: { pads: "Pads", brows: "Brows", eyes: "Eyes", mouth: "Mouth", turn: "Turn" },
  pads: {
    gaze: { name: "gaze", title: "Where the eyes look", edges: {} },
    lids: {
      name: "lids",
      title: "Up opens the eyes wide, down shuts them: to the right with a smile",
      edges: { top: "wide", "bottom-left": "shut", "bottom-right": "smile" },
    },
    brows: {
      name: "brows",
      title: "Up and down; to the left worried, to the right angry",
      edges: { left: "worry", right: "anger" },
    },
    mouth: {
      name: "mouth",
      title: "Down opens the mouth; to the left it is narrow, to the right wide",
      edges: { "top-left": "u", "top-right": "i", bottom: "a", "bottom-left": "o", "bottom-right": "e" },
    },
  },
};

/** The texts. */
export const words = () => en;
