"""Which teachers are published: their files, licences and addresses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .progress import megabytes

THA4_NETWORKS = ("body_morpher", "eyebrow_decomposer", "eyebrow_morphing_combiner", "face_morpher", "upscaler")
THA3_NETWORKS = (
    "editor",
    "eyebrow_decomposer",
    "eyebrow_morphing_combiner",
    "face_morpher",
    "two_algo_face_body_rotator",
)


@dataclass(frozen=True)
class Publication:
    """What is published: a title, the names of its files, licence, a page or link, size of the download in bytes.

    `architecture` is what its networks are built as. One of several publications in a repository also has a `variant`,
    the name of its folder there, and `repositories`, the copies on the hub in the order in which they are asked.
    """

    title: str
    networks: tuple[str, ...]
    licence: str
    link: str
    size: int
    paper: str
    architecture: str = "THA4"
    author: str = "Pramook Khungurn"
    variant: str = ""
    repositories: tuple[str, ...] = ()

    def folder_in(self, teachers: Path) -> Path:
        """Where its files belong in a folder of teachers: a variant in a folder of its own, apart from THA4's files."""
        return teachers / f"tha3_{self.variant}" if self.variant else teachers

    def metadata(self, source: str) -> dict[str, str]:
        """What is written into files that are made of its own, which came from `source`."""
        about = {"title": self.title, "author": self.author, "licence": self.licence, "paper": self.paper}
        return about | {"source": source}

    def by_hand(self, folder: Path) -> str:
        """How to get the files into `folder` without our help: link, size, licence and names."""
        facts = f"{self.link} (about {megabytes(self.size)}; {self.licence})"
        how = f"the folder {self.variant} of {facts}" if self.variant else f"{facts}, unpack it"
        return (
            f"By hand: download {how} and put these files (.safetensors or .pt) into {folder}: "
            f"{', '.join(self.networks)}."
        )


THA4_TEACHER = Publication(
    title="THA4 teacher",
    networks=THA4_NETWORKS,
    licence="CC BY-NC 4.0, non-commercial use only",
    link="https://www.dropbox.com/scl/fi/7wec0sur7449iqgtlpi3n/tha4-models.zip?rlkey=0f9d1djmbvjjjn09469s1adx8&dl=1",
    size=600_000_000,
    paper="https://arxiv.org/abs/2311.17409",
)


def _tha3(architecture: str, variant: str, size: int) -> Publication:
    repositories = ("OktayAlpk/talking-head-anime-3", "ksuriuri/talking-head-anime-3-models")
    return Publication(
        title=f"THA3 teacher ({variant.replace('_', ', ')})",
        networks=THA3_NETWORKS,
        licence="CC BY 4.0 (commercial use allowed, with attribution)",
        link=" or ".join(f"https://huggingface.co/{repo_id}" for repo_id in repositories),
        size=size,
        paper="https://pkhungurn.github.io/talking-head-anime-3/",
        architecture=architecture,
        variant=variant,
        repositories=repositories,
    )


# The sizes are those of the numbers alone, counted from the networks' shapes.
PUBLICATIONS = {
    "THA4": THA4_TEACHER,
    "THA3 standard": _tha3("THA3 standard", "standard_float", 542_577_048),
    "THA3 standard half": _tha3("THA3 standard", "standard_half", 271_288_524),
    "THA3 separable": _tha3("THA3 separable", "separable_float", 58_011_580),
    "THA3 separable half": _tha3("THA3 separable", "separable_half", 29_005_790),
}
"""Every teacher that is published, by the name that people choose it by."""
