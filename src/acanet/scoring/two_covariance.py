"""The two-covariance model: a voice is a point, an utterance of it another point near by.

    voice ~ N(mean, between),    utterance ~ N(voice, within)

It is PLDA with subspaces of full rank (Brümmer and de Villiers, "The speaker partitioning problem", Odyssey 2010). In
the basis in which `within` is the identity and `between` is diagonal, with the `ratios` of the two on its diagonal,
every dimension can be looked at alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acanet.errors import AcanetError
from acanet.scoring.discriminant_analysis import Matrix, by_speaker, discriminants, require_groups
from acanet.scoring.pairs import Rows

MOST_STEPS = 500
LEAST_GAIN = 1e-5
"""Of log-likelihood, nats an utterance: a step of the fit that gains less is the last."""


@dataclass(frozen=True, eq=False)
class TwoCovariance:
    """The two covariances of a model, and its mean.

    Attributes:
        mean: (dim,) of voices.
        between: (dim, dim) covariance of voices; it may be singular.
        within: (dim, dim) covariance of the utterances of a voice; positive definite.
    """

    mean: Matrix
    between: Matrix
    within: Matrix

    def basis(self) -> tuple[Matrix, Matrix]:
        """The basis (dim, dim) in which `within` is the identity and `between` diagonal; and its diagonal, (dim,)."""
        return discriminants(self.within, self.between)

    def rows(self, vectors: Matrix) -> Rows:
        """Vectors (rows, dim) as `Rows.pairs` and `all_pairs` take them; the scores are log-likelihood ratios.

        The ratio, in natural logarithm, is that of "one voice" to "two voices". In the basis, with r a ratio and x, y
        the two utterances in one dimension, that dimension adds

            log(1 + r) - log(1 + 2r) / 2 + x y r / (1 + 2r) - (x² + y²) r² / (2 (1 + r) (1 + 2r)).
        """
        basis, ratios = self.basis()
        points = (vectors - self.mean) @ basis.T
        constant = (np.log1p(ratios) - np.log1p(2 * ratios) / 2).sum()
        own = points**2 @ (ratios**2 / (2 * (1 + ratios) * (1 + 2 * ratios)))
        shared = points * np.sqrt(ratios / (1 + 2 * ratios))
        gains = np.full(len(points), 0.5, np.float32)
        return Rows(shared.astype(np.float32), gains, (constant / 2 - own).astype(np.float32))


def fit(vectors: Matrix, speakers: Sequence[str]) -> TwoCovariance:
    """The most likely model, by expectation maximisation, which is right for any number of utterances a speaker.

    Speakers of one utterance tell about `between`, and those of several about both. `within` is kept from becoming
    singular by one imagined utterance, as far from its voice as the others are on average, in every direction; with
    many utterances it does not matter. In directions in which no two speakers differ, `between` is zero.

    Args:
        vectors: (utterances, dim).
        speakers: (utterances,) who speaks.

    Raises:
        AcanetError: for fewer than two speakers; when no speaker has two utterances, or all of a speaker's are the
            same.
    """
    require_groups(speakers)
    seen = _observe(vectors, speakers)
    model = TwoCovariance(
        seen.means.mean(axis=0),
        np.cov(seen.means, rowvar=False, bias=True).reshape(seen.scatter.shape),
        seen.scatter / (seen.utterances - len(seen.means)),
    )
    before = -np.inf
    for _ in range(MOST_STEPS):
        model, likelihood = _step(model, seen)
        if likelihood - before < LEAST_GAIN:
            break
        before = likelihood
    return model


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the fit needs of the data.

    Attributes:
        means: (speakers, dim).
        counts: (speakers, 1) utterances of each.
        scatter: (dim, dim) of the utterances around the mean of their speaker, and of one imagined utterance.
        utterances: with that.
    """

    means: Matrix
    counts: Matrix
    scatter: Matrix
    utterances: int


def _observe(vectors: Matrix, speakers: Sequence[str]) -> _Seen:
    seen = by_speaker(vectors, speakers)
    means, counts = seen.means, seen.counts
    deviations = vectors - means[seen.of]
    scatter = deviations.T @ deviations
    average = np.trace(scatter) / ((len(vectors) - len(means)) * len(scatter))
    if not average > 0:
        raise AcanetError("all utterances of a speaker have the same embedding; give recordings that differ")
    return _Seen(means, counts[:, None].astype(np.float64), scatter + average * np.eye(len(scatter)), len(vectors) + 1)


def _step(model: TwoCovariance, seen: _Seen) -> tuple[TwoCovariance, float]:
    """A more likely model, and the log-likelihood an utterance (up to a constant) of the one that came in."""
    basis, ratios = model.basis()
    back = np.linalg.inv(basis)
    means = (seen.means - model.mean) @ basis.T
    spread = 1 + seen.counts * ratios  # (speakers, dim): variance of a speaker's mean, times its utterances
    likelihood = (
        seen.utterances * np.linalg.slogdet(basis)[1]
        - np.log(spread).sum() / 2
        - ((basis @ seen.scatter) * basis).sum() / 2
        - (seen.counts * means**2 / spread).sum() / 2
    )
    variances = ratios / spread  # of the voices, as far as their utterances tell
    voices = seen.counts * variances * means
    centred, residuals = voices - voices.mean(axis=0), means - voices
    between = centred.T @ centred / len(means) + np.diag(variances.mean(axis=0))
    within = (seen.counts * residuals).T @ residuals + np.diag((seen.counts * variances).sum(axis=0))
    better = TwoCovariance(
        model.mean + back @ voices.mean(axis=0),
        back @ between @ back.T,
        (seen.scatter + back @ within @ back.T) / seen.utterances,
    )
    return better, float(likelihood / seen.utterances)
