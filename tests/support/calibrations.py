"""Calibrations made by hand."""

from __future__ import annotations

from acanet.scoring.calibrate import Calibration, CalibrationData, FalseAccepts, Ratio
from acanet.scoring.measure import Measure

RATIO = Ratio(offset=-2.0, offset_q=-1.0, slope=10.0, slope_q=2.0, shortest=0.5, longest=8.0)


def calibration(fingerprint, *, ratio=RATIO, threshold=1.0, warnings=()):
    """Of a model: a threshold of this log-likelihood ratio, on figures that mean nothing; it has seen these losses."""
    estimate = Measure(value=threshold, low=threshold - 1, high=threshold + 1)
    return Calibration(
        fingerprint=fingerprint,
        ratio=ratio,
        goal=FalseAccepts(far=0.01),
        threshold=estimate,
        whole_speech=2.0,
        whole_threshold=estimate,
        figures={"cllr": estimate},
        data=CalibrationData(
            trial_list="few.trials",
            trial_list_sha256="0" * 64,
            speakers=10,
            utterances=20,
            targets=10,
            nontargets=100,
            crops=4,
            shortest_crop=1.0,
            pairs=400,
            seed=0,
            replicates=200,
            warnings=warnings,
            date="2026-01-01T00:00:00+00:00",
        ),
    )
