// Puts a player on every node that makes a motion.
import { app } from "../../../scripts/app.js";
import { addPanel, chain } from "./panel.js";
import { Player } from "./player/player.js";

const NODES = ["THA4PoseSequence", "THA4IdleMotion", "THA4LipSync"];

app.registerExtension({
  name: "THA4.Player",
  nodeCreated(node) {
    if (!NODES.includes(node.comfyClass) || !node.addDOMWidget) return;
    const player = new Player(node);
    addPanel(node, "tha4_player", player, [300, 300], [400, 420]);
    chain(node, "onExecuted", (output) => player.ran(output));
  },
});
