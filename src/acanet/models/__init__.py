"""The networks, in torch: what parts there are, what a model made of them is, and the models that have names."""

# Whoever imports any of this knows the parts and the models that acanet brings.
from acanet.models import parts as parts
from acanet.models import poolings as poolings
