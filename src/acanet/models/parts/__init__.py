"""The parts that acanet brings, one file each: config, answers, module, named models, foreign layouts of weights.

`acanet.models.base` says what a part is. Parts are known once their file is imported, which is done here, in the order
in which `acanet models` lists the models that come with them.
"""

# isort: off
from acanet.models.parts import kaldi_fbank as kaldi_fbank
from acanet.models.parts import speechbrain_fbank as speechbrain_fbank
from acanet.models.parts import redimnet2_fbank as redimnet2_fbank
from acanet.models.parts import pointwise as pointwise
from acanet.models.parts import convolution as convolution
from acanet.models.parts import spectral as spectral
from acanet.models.parts import shared_readout as shared_readout
from acanet.models.parts import own_readout as own_readout
from acanet.models.parts import linear_head as linear_head
from acanet.models.parts import mla as mla
from acanet.models.parts import aca_statistics as aca_statistics
from acanet.models.parts import ecapa as ecapa
from acanet.models.parts import tdnn as tdnn
from acanet.models.parts import campplus as campplus
from acanet.models.parts import redimnet2 as redimnet2
from acanet.models.parts import mean as mean
from acanet.models.parts import statistics as statistics
from acanet.models.parts import attentive_statistics as attentive_statistics
from acanet.models.parts import astp as astp
