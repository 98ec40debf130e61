"""PLDA: log-likelihood ratios from embeddings, by a model of voices that was trained on labelled ones.

Embeddings at length one are centred, whitened and brought to length one again, which makes them more Gaussian
(Garcia-Romero and Espy-Wilson, "Analysis of i-vector length normalization in speaker recognition systems",
Interspeech 2011). Between whitening and length LDA may keep the directions in which speakers differ most. What
follows is `acanet.scoring.two_covariance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from acanet.config.arrays import read_npz
from acanet.config.files import written
from acanet.config.reading import MEGABYTE, json_text, parse_json
from acanet.config.strict import Strict
from acanet.errors import AcanetError, ModelMismatch
from acanet.scoring.cosine import unit
from acanet.scoring.discriminant_analysis import Matrix, by_speaker, discriminants, most_directions, require_groups
from acanet.scoring.pairs import Floats, Index, Rows
from acanet.scoring.two_covariance import TwoCovariance, fit

RIDGE = 0.1
"""Added to the variance in every direction before whitening, as a share of the mean variance: directions in which
training embeddings hardly differ are mostly noise. Chosen on the dev list of the model that ships."""
MOST_BYTES = 1024 * MEGABYTE
_FORMAT = 1
_ABOUT = "about"
_ARRAYS = ("centre", "projection", "mean", "between", "within")


class Origin(Strict):
    """What a PLDA was made from."""

    format: int = Field(_FORMAT, ge=1, le=_FORMAT, description="version of the file's layout")
    fingerprint: str = Field(description="of the model whose embeddings it takes")
    data: tuple[str, ...] = Field(description="manifests, by name")
    speakers: frozenset[str]
    utterances: PositiveInt
    lda: PositiveInt | None = Field(None, description="directions that were kept; none: all")

    def __str__(self) -> str:
        lda = "" if self.lda is None else f"LDA to {self.lda}, "
        return f"{lda}{len(self.speakers):,} speakers of {', '.join(self.data)}"


@dataclass(frozen=True, eq=False)
class Plda:
    """A trained PLDA.

    Attributes:
        origin: what it was made from.
        centre: (dim,) mean of the training embeddings.
        projection: (kept, dim) whitens centred embeddings; with LDA it keeps some directions only.
        model: of what is projected and brought to length one.
    """

    origin: Origin
    centre: Matrix
    projection: Matrix
    model: TwoCovariance

    @classmethod
    def train(cls, embeddings: NDArray[np.floating], speakers: Sequence[str], origin: Origin) -> Self:
        """Learn how voices, and how the utterances of a voice, differ.

        Args:
            embeddings: (utterances, dim).
            speakers: (utterances,) who speaks.
            origin: what the file will say; its `lda` is how many directions LDA keeps.

        Raises:
            AcanetError: for speakers from whom it cannot be learned (see `require_trainable`).
            BadArgument: for embeddings of length zero, or of numbers that are not finite.
        """
        require_trainable(speakers, embeddings.shape[1], origin.lda)
        vectors = unit(embeddings).astype(np.float64)
        centre = vectors.mean(axis=0)
        projection = _whitening(vectors - centre)
        if origin.lda is not None:
            projection = _lda((vectors - centre) @ projection.T, speakers, origin.lda) @ projection
        projected = _project(vectors, centre, projection)
        return cls(origin, centre, projection, fit(projected, speakers))

    def __call__(self, embeddings: Floats, enrol: Index, test: Index) -> Floats:
        """Log-likelihood ratios (trials,) of embeddings (rows, dim) whose rows are compared as `enrol` and `test` say.

        Natural logarithms of how much likelier the two are under one voice than under two, exact under the model.

        Raises:
            AcanetError: for embeddings of another length than those of the training.
            BadArgument: for an embedding of length zero, or of numbers that are not finite.
        """
        return self.rows(embeddings).pairs(enrol, test)

    def rows(self, embeddings: NDArray[np.floating]) -> Rows:
        """Embeddings (rows, dim) as `Rows.pairs` and `all_pairs` take them; errors as in a call."""
        if embeddings.shape[1] != len(self.centre):
            raise AcanetError(
                f"embeddings of {embeddings.shape[1]} numbers came in, this PLDA was trained on {len(self.centre)}"
            )
        return self.model.rows(_project(unit(embeddings), self.centre, self.projection))

    def save(self, path: Path) -> None:
        """Write an `.npz` file; it appears whole, or what is there stays."""
        about = json_text(self.origin.model_dump(mode="json") | {"speakers": sorted(self.origin.speakers)})
        with written(path) as file:
            np.savez(
                file,
                about=np.array(about),
                centre=self.centre,
                projection=self.projection,
                mean=self.model.mean,
                between=self.model.between,
                within=self.model.within,
            )

    @classmethod
    def load(cls, path: Path, fingerprint: str) -> Self:
        """Read a PLDA that `save` wrote.

        Args:
            path: the file.
            fingerprint: of the model whose embeddings it is wanted for.

        Raises:
            AcanetError: when it is not such a file, or damaged.
            ModelMismatch: when it is for the embeddings of another model.
        """
        origin, arrays = _read(path)
        if origin.fingerprint != fingerprint:
            raise ModelMismatch(f"{path} for embeddings of {origin.fingerprint}", f"a PLDA for those of {fingerprint}")
        centre, projection, mean, between, within = arrays
        return cls(origin, centre, projection, TwoCovariance(mean, between, within))


def require_trainable(speakers: Sequence[str], dim: int, lda: int | None) -> None:
    """See that a PLDA can be learned from speakers (utterances,) and embeddings of `dim` numbers.

    More numbers than speakers or utterances are no obstacle.

    Raises:
        AcanetError: for fewer than two speakers, when no speaker has two utterances, and for an LDA to more directions
            than there are, or than so many speakers span.
    """
    require_groups(speakers)
    most = most_directions(speakers, dim)
    if lda is not None and not 1 <= lda <= most:
        raise AcanetError(
            f"LDA to {lda} directions; from 1 to {most} are possible with {len(set(speakers))} speakers and embeddings "
            f"of {dim} numbers"
        )


def _whitening(centred: Matrix) -> Matrix:
    """(dim, dim): what makes the covariance of centred vectors (utterances, dim) the identity, but for the ridge."""
    covariance = centred.T @ centred / len(centred)
    ridge = RIDGE * np.trace(covariance) / len(covariance)
    if not ridge > 0:
        raise AcanetError("all embeddings are the same; give recordings that differ")
    variances, axes = np.linalg.eigh(covariance)
    whitening: Matrix = (axes / np.sqrt(variances + ridge)).T
    return whitening


def _lda(whitened: Matrix, speakers: Sequence[str], directions: int) -> Matrix:
    """The directions (directions, dim) of LDA: where all is white, the most between speakers is the least within."""
    seen = by_speaker(whitened, speakers)
    axes, _ = discriminants(np.eye(whitened.shape[1]), seen.means.T @ seen.sums)
    return axes[:directions]


def _project(vectors: NDArray[np.floating], centre: Matrix, projection: Matrix) -> Matrix:
    """Vectors at length one (rows, dim) -> what is modelled, (rows, kept)."""
    return unit((vectors - centre) @ projection.T)


def _read(path: Path) -> tuple[Origin, list[Matrix]]:
    what = f"{path}: not a PLDA that `acanet plda` wrote, or damaged"
    if not path.exists():
        raise AcanetError(f"{path}: there is no such file; `acanet plda` makes it")
    try:
        found = read_npz(path, MOST_BYTES, links=True)
        origin = Origin.parse(parse_json(str(found.pop(_ABOUT))), path)
    except (AcanetError, KeyError) as error:
        raise AcanetError(f"{what} ({error})") from None
    if problem := _problem(found):
        raise AcanetError(f"{what} ({problem})")
    return origin, [found[name] for name in _ARRAYS]


def _problem(found: dict[str, NDArray[np.float64]]) -> str:
    """What is wrong with the arrays of a file; empty: nothing."""
    if sorted(found) != sorted(_ARRAYS):
        return f"it holds {', '.join(sorted(found))}; expected are {', '.join(_ARRAYS)}"
    kept, dim = found["mean"].size, found["centre"].size
    shapes = dict(zip(_ARRAYS, ((dim,), (kept, dim), (kept,), (kept, kept), (kept, kept)), strict=True))
    for name, shape in shapes.items():
        array = found[name]
        if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
            return f"{name} is {array.dtype} of shape {array.shape}; finite float64 of shape {shape} is expected"
    if np.linalg.eigvalsh(found["within"])[0] <= 0:
        return "within is not positive definite"
    return ""
