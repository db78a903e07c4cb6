"""The colours of the demo's character, dark lines included: no line is black."""

from __future__ import annotations

SKIN = "#ffe9dc"
SKIN_SHADE = "#f8c8b6"
SKIN_DEEP = "#eba896"
SKIN_LINE = "#a85a56"
BLUSH = "#ff8a80"

HAIR = ((54.0, "#62cfc8"), (100.0, "#48b4c4"), (150.0, "#4595c4"), (205.0, "#5276bd"), (270.0, "#7565b8"))
HAIR_SHADE = ((54.0, "#3f9fb4"), (100.0, "#3285ad"), (150.0, "#346aa8"), (205.0, "#43529e"), (270.0, "#5c4598"))
HAIR_DEEP = ((54.0, "#2c6f98"), (120.0, "#27578f"), (180.0, "#2e4486"), (270.0, "#44357f"))
HAIR_LIGHT = "#d4faf0"
HAIR_LINE = ((54.0, "#1f4f78"), (150.0, "#22386f"), (270.0, "#33245f"))

LASH = "#3b2038"
LASH_WARM = "#7a3a44"
IRIS = ((0.0, "#7a2230"), (0.38, "#c24a2c"), (0.68, "#f48a35"), (1.0, "#ffcc62"))
IRIS_RIM = "#5e1c2c"

CLOTH = "#fcf7ef"
CLOTH_SHADE = "#d3cce3"
CLOTH_DEEP = "#b3abd0"
CLOTH_LINE = "#5d5580"
NAVY = "#3a4586"
NAVY_SHADE = "#2a3168"
NAVY_LINE = "#1b1e48"
ACCENT = "#ff9144"
ACCENT_SHADE = "#e0632f"
ACCENT_LINE = "#98381f"
GOLD = "#ffd166"
