"""The network that finds speech, taught: labels by the teacher, batches of crops, AdamW."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch.nn import functional
from torch.utils.data import DataLoader

from acanet.data.feed.cache import AudioCache, build_cache
from acanet.data.lists.manifest import read_recordings
from acanet.errors import AcanetError
from acanet.models.parts.kaldi_fbank import KaldiFrontEnd
from acanet.models.speech import SpeechNetwork
from acanet.training.corpus import load_banks
from acanet.training.interrupt import start_worker
from acanet.training.recipe import Data
from acanet.training.speech.crops import SpeechCrops, Taught
from acanet.training.speech.recipe import SpeechRecipe
from acanet.training.speech.teacher import RATE, probabilities

_CLIP = 5.0
_TOLD = 50  # steps between lines of the log


def teach_speech(recipe: SpeechRecipe, console: Console) -> dict[str, NDArray[np.float32]]:
    """The weights of `acanet.models.speech.SpeechNetwork`, by name, taught as a recipe says.

    Args:
        recipe: everything that decides it.
        console: where the progress is told.

    Raises:
        BadManifest, BadAudio: for manifests or recordings that cannot be read.
        MissingExtra: without the teacher, or what makes rooms.
        AcanetError: when the loss is not finite.
    """
    crops = _crops(recipe, console)
    torch.manual_seed(recipe.seed)
    features, network = KaldiFrontEnd().build().features, SpeechNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=recipe.steps, pct_start=0.1)
    batches: Any = crops
    loader: Any = DataLoader(batches, batch_size=None, num_workers=recipe.workers, worker_init_fn=start_worker)
    losses = []
    for step, (waveforms, spoken) in enumerate(track(loader, "Teaching", recipe.steps, console=console), 1):
        with torch.no_grad():
            heard = features(waveforms)
        loss = functional.binary_cross_entropy_with_logits(network.logits(heard), spoken)
        losses.append(loss.item())
        if not np.isfinite(losses[-1]):
            raise AcanetError(f"the loss is {losses[-1]} at step {step}; try a lower `rate` than {recipe.rate:g}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        optimizer.step()
        schedule.step()
        if step % _TOLD == 0:
            console.print(f"step {step}: loss {np.mean(losses[-_TOLD:]):.4f}", highlight=False)
    return {name: value.numpy() for name, value in network.state_dict().items()}


def _crops(recipe: SpeechRecipe, console: Console) -> SpeechCrops:
    audio = _decoded(recipe.speech, recipe)
    numbers = track(range(len(audio)), "Asking the teacher", console=console)
    told = [probabilities(audio.read(number, 0, audio.samples(number))) for number in numbers]
    data = Data(train=recipe.speech, cache=recipe.cache, workers=recipe.workers)
    return SpeechCrops(
        Taught(audio, told),
        recipe.augment,
        load_banks(recipe.augment, data, RATE, recipe.seed),
        None if recipe.noise is None else _decoded([recipe.noise], recipe),
        batch=recipe.batch,
        seconds=recipe.crop_seconds,
        steps=recipe.steps,
        seed=recipe.seed,
        sounds=recipe.sounds,
    )


def _decoded(manifests: tuple[Path, ...] | list[Path], recipe: SpeechRecipe) -> AudioCache:
    recordings = [recording for path in manifests for recording in read_recordings(path)]
    return build_cache(recordings, recipe.cache, RATE, recipe.workers)
