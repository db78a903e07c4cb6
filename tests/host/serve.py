"""Start a ComfyUI with this pack in it, for a person to look at. Its folders are in output/comfyui."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .comfyui import PACK, prepare_base, server_arguments


def main() -> int:
    """Serve until interrupted."""
    comfyui, port = Path(sys.argv[1]), int(sys.argv[2])
    base = PACK / "output" / "comfyui"
    prepare_base(base)
    print(f"ComfyUI comes up at http://127.0.0.1:{port}; stop it with Ctrl+C. Its folders are in {base}.", flush=True)
    try:
        return subprocess.call([sys.executable, "main.py", *server_arguments(base, port)], cwd=comfyui, env=os.environ)
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
