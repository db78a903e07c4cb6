"""Files of weights: finding, downloading, reading, checking and writing them.

state_dict      reading .safetensors and .pt files safely, checking them against a network, writing them
publications    which teachers are published, under which licence, at which address
teacher_files   finding the five files of a teacher
downloads       downloading a teacher, or one file of a hub repository
hub             files of a hub repository
archive         the ZIP of THA4's author
progress        reports, interrupts, retries
"""

from .archive import Archive
from .downloads import download_hub_file, download_teacher
from .hub import Repository
from .progress import Progress, ProgressCallback
from .publications import PUBLICATIONS, THA3_NETWORKS, THA4_NETWORKS, THA4_TEACHER, Publication
from .state_dict import (
    StateDict,
    check_is_no_placeholder,
    load_strictly,
    read_safetensors,
    read_state_dict,
    read_torch,
    to_safetensors,
    write_safetensors,
)
from .teacher_files import Files, Shapes, find_any_teacher_files, find_teacher_files

__all__ = [
    "PUBLICATIONS",
    "THA3_NETWORKS",
    "THA4_NETWORKS",
    "THA4_TEACHER",
    "Archive",
    "Files",
    "Progress",
    "ProgressCallback",
    "Publication",
    "Repository",
    "Shapes",
    "StateDict",
    "check_is_no_placeholder",
    "download_hub_file",
    "download_teacher",
    "find_any_teacher_files",
    "find_teacher_files",
    "load_strictly",
    "read_safetensors",
    "read_state_dict",
    "read_torch",
    "to_safetensors",
    "write_safetensors",
]
